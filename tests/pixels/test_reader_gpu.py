"""Frames that a GPU decodes, where there is one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mammosweep.archive.source import open_source
from mammosweep.config import DecoderChoice, PixelsConfig
from mammosweep.phantom import PhantomConfig, Syntax, make_exam, write_exam
from mammosweep.pixels.decode import codec_for
from mammosweep.pixels.reader import FrameReader

ON_A_GPU = [Syntax.JPEG2000, Syntax.JPEG_LOSSLESS]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("syntax", ON_A_GPU)
def test_a_gpus_frames_are_the_stored_values(syntax, tmp_path, views_of):
    exam = make_exam(7, 0, PhantomConfig(spacing_mm=0.2))
    write_exam(exam, tmp_path, syntax=syntax)
    with FrameReader(PixelsConfig(), 0.4, device="cuda") as reader:
        pending = [reader.request(open_source(tmp_path), view) for view in views_of(tmp_path)]
        for one, view in zip(pending, exam.views, strict=True):
            with one as frame:
                np.testing.assert_array_equal(frame.stored, view.pixels)
        assert all(worker.pid is None for worker in reader.workers)


@pytest.mark.parametrize("syntax", Syntax)
def test_a_gpu_is_asked_for_what_it_knows_and_only_where_the_settings_let_it(syntax):
    on_gpu = codec_for(syntax.uid, PixelsConfig(), device="cuda", reduce=0)

    assert (on_gpu.device == "cuda") == (syntax in ON_A_GPU)
    assert codec_for(syntax.uid, PixelsConfig(), device="cpu").device == "cpu"


def test_dali_is_taken_on_the_cpu_only_when_it_is_asked_for():
    asked = PixelsConfig(decoder=DecoderChoice.DALI)

    assert codec_for(Syntax.JPEG2000.uid, asked, reduce=1).library == "dali"
    assert codec_for(Syntax.JPEG2000.uid, PixelsConfig(), reduce=1).library == "pillow"
    assert codec_for(Syntax.RLE.uid, asked).library == "imagecodecs"
