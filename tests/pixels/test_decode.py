"""Decoding: every syntax the phantoms can be written in, bit-exact; and what cannot be trusted is refused."""

from __future__ import annotations

from dataclasses import replace

import imagecodecs
import numpy as np
import pydicom
import pytest

from mammosweep.config import PixelsConfig
from mammosweep.errors import DecodeError, Flag, Reason
from mammosweep.geometry import Size
from mammosweep.phantom import PhantomConfig, Syntax, make_exam, write_exam
from mammosweep.pixels.decode import decode
from mammosweep.records import Laterality, Position, View

CONFIG = PixelsConfig()


@pytest.fixture(scope="module")
def exam():
    return make_exam(7, 0, PhantomConfig(spacing_mm=0.4))


def view_of(path, **changes):
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    view = View(
        path=path.name,
        sop_instance_uid=dataset.SOPInstanceUID,
        laterality=Laterality.LEFT,
        position=Position.CC,
        size_px=Size(dataset.Rows, dataset.Columns),
        spacing_mm=(0.4, 0.4),
        transfer_syntax=dataset.file_meta.TransferSyntaxUID,
    )
    return replace(view, **changes)


def rewrite(path, change):
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.save_as(path)


@pytest.mark.parametrize("syntax", Syntax)
def test_every_lossless_syntax_gives_the_pixels_that_were_written(syntax, exam, tmp_path):
    path = write_exam(exam, tmp_path, syntax=syntax)[0]

    frame = decode(path, view_of(path), CONFIG)

    np.testing.assert_array_equal(frame.stored, exam.views[0].pixels)
    assert frame.stored.dtype == np.uint16
    assert frame.table.shape == (65536,)


def refusal(path, view=None):
    with pytest.raises(DecodeError) as caught:
        decode(path, view or view_of(path), CONFIG)
    assert "Phantom" not in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize("syntax", [s for s in Syntax if s not in (Syntax.EXPLICIT, Syntax.IMPLICIT)])
def test_a_codestream_cut_to_a_tenth_is_refused(syntax, exam, tmp_path):
    path = write_exam(exam, tmp_path, syntax=syntax)[0]
    whole = pydicom.dcmread(path)
    stream = next(pydicom.encaps.generate_frames(whole.PixelData, number_of_frames=1))

    def cut(dataset):
        dataset.PixelData = pydicom.encaps.encapsulate([stream[: len(stream) // 10]])

    rewrite(path, cut)

    assert refusal(path) in (Reason.DECODE_FAILED, Reason.TRUNCATED)


def test_a_file_that_vanished_is_missing(tmp_path, exam):
    path = write_exam(exam, tmp_path, syntax=Syntax.EXPLICIT)[0]
    view = view_of(path)
    path.unlink()

    assert refusal(path, view) is Reason.FILE_MISSING


def test_a_file_that_was_replaced_is_changed(tmp_path, exam):
    paths = write_exam(exam, tmp_path, syntax=Syntax.EXPLICIT)
    view = view_of(paths[0])
    paths[0].write_bytes(paths[1].read_bytes())

    assert refusal(paths[0], view) is Reason.FILE_CHANGED


def test_a_codestream_of_another_size_is_a_mismatch(tmp_path, exam):
    path = write_exam(exam, tmp_path, syntax=Syntax.JPEG2000)[0]
    view = view_of(path)

    assert refusal(path, replace(view, size_px=Size(view.size_px.rows + 1, view.size_px.columns))) is (
        Reason.SIZE_MISMATCH
    )


def test_a_constant_image_is_blank(tmp_path, exam):
    path = write_exam(exam, tmp_path, syntax=Syntax.EXPLICIT)[0]
    rewrite(path, lambda d: setattr(d, "PixelData", b"\x07\x00" * (d.Rows * d.Columns)))

    assert refusal(path) is Reason.BLANK_IMAGE


def test_a_frame_above_the_cap_is_refused_unread(tmp_path, exam):
    path = write_exam(exam, tmp_path, syntax=Syntax.EXPLICIT)[0]

    assert refusal(path, view_of(path, size_px=Size(60_000, 60_000))) is Reason.SIZE_TOO_LARGE


def test_stray_bits_above_bits_stored_are_masked_and_flagged(tmp_path, exam):
    path = write_exam(exam, tmp_path, syntax=Syntax.EXPLICIT)[0]
    stray = (exam.views[0].pixels | 0x8000).astype("<u2").tobytes()
    rewrite(path, lambda d: setattr(d, "PixelData", stray))

    frame = decode(path, view_of(path), CONFIG)

    assert frame.flags == (Flag.STRAY_BITS_MASKED,)
    np.testing.assert_array_equal(frame.stored, exam.views[0].pixels)


def raster_view(path, media_type):
    return View(
        path=path.name,
        sop_instance_uid="2.25.1",
        laterality=Laterality.LEFT,
        position=Position.CC,
        size_px=Size(60, 50),
        spacing_mm=(0.1, 0.1),
        transfer_syntax=media_type,
    )


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_raster_images_are_read_as_they_are(kind, bits, tmp_path):
    pixels = (np.arange(60 * 50).reshape(60, 50) % 251).astype(f"u{bits // 8}")
    path = tmp_path / f"view.{kind}"
    path.write_bytes(getattr(imagecodecs, f"{kind}_encode")(pixels))
    view = raster_view(path, f"image/{kind}")

    np.testing.assert_array_equal(decode(path, view, CONFIG).stored, pixels)


def test_a_raster_image_is_as_bright_as_the_bits_that_it_uses(tmp_path):
    pixels = np.linspace(0, 4095, 60 * 50).astype(np.uint16).reshape(60, 50)
    path = tmp_path / "view.png"
    path.write_bytes(imagecodecs.png_encode(pixels))

    frame = decode(path, raster_view(path, "image/png"), CONFIG)

    assert frame.table[frame.stored].max() == 1.0


def test_a_coloured_raster_image_is_refused(tmp_path):
    path = tmp_path / "view.png"
    path.write_bytes(imagecodecs.png_encode(np.random.default_rng(0).integers(0, 255, (60, 50, 3), np.uint8)))

    assert refusal(path, raster_view(path, "image/png")) is Reason.PHOTOMETRIC
