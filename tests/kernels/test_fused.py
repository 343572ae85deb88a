"""The Triton kernels' arithmetic where there is no GPU: in Triton's interpreter, against the reference."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from mammosweep_kernels.canvas.reference import to_canvas_reference
from mammosweep_kernels.histogram.reference import histogram16_reference
from mammosweep_kernels.roi_align.reference import roi_align_reference
from mammosweep_kernels.suppress.reference import suppress_reference


@pytest.fixture(scope="module")
def interpreted(tmp_path_factory, run_program):
    """What the fused kernels return for every case, by "kernel/case"."""
    out = tmp_path_factory.mktemp("interpreted") / "results.safetensors"
    run_program("interpret.py", out)
    return load_file(out)


def test_the_fused_canvas_is_the_reference_in_every_pixel(canvas_case, interpreted):
    stored, table = canvas_case.inputs()

    fused = interpreted[f"canvas/{canvas_case.name}"]

    expected = to_canvas_reference(stored, table, canvas_case.layout)
    assert fused.dtype == canvas_case.layout.dtype
    torch.testing.assert_close(fused, expected, rtol=0, atol=canvas_case.atol)


def test_the_fused_histogram_is_the_reference(histogram_case, interpreted):
    expected = histogram16_reference(*histogram_case.inputs())

    assert torch.equal(interpreted[f"histogram/{histogram_case.name}"], expected)


def test_the_fused_suppression_is_the_reference_in_every_box(suppress_case, interpreted):
    expected = suppress_reference(*suppress_case.inputs(), suppress_case.iou)

    assert torch.equal(interpreted[f"suppress/{suppress_case.name}"], expected)


def test_the_fused_regions_are_the_reference_in_every_bin(roi_case, interpreted):
    fused = interpreted[f"roi_align/{roi_case.name}"]

    expected = roi_align_reference(*roi_case.inputs())
    assert fused.dtype == roi_case.dtype
    torch.testing.assert_close(fused, expected, **roi_case.tolerance)
