"""The Triton kernels where there is a GPU."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest
import torch

from mammosweep_kernels import histogram16, to_canvas
from mammosweep_kernels.canvas.layout import CanvasLayout
from mammosweep_kernels.canvas.reference import to_canvas_reference
from mammosweep_kernels.histogram.reference import histogram16_reference

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

# A full-field mammogram on the 0.15 mm grid, no two numbers alike or even.
MAMMOGRAM = CanvasLayout(
    crop_px=(17, 33, 2394, 3995),
    net_size=(1849, 1109),
    canvas_size=(1920, 1152),
    mirrored=True,
    low=100.0,
    high=3900.0,
    pad_value=0.0,
    dtype=torch.float16,
)


@pytest.fixture
def poisoned():
    """Fills every torch.empty with NaN: a pixel that a kernel leaves unwritten shows."""
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def mammogram():
    noise = torch.Generator().manual_seed(1)
    stored = torch.randint(0, 4096, (4096, 2560), generator=noise, dtype=torch.int32)
    stored[:, 1200:] = 0
    return stored.to(torch.uint16)


@pytest.mark.usefixtures("poisoned")
def test_the_fused_canvas_is_the_reference_on_a_gpu(canvas_case):
    stored, table = canvas_case.inputs()

    canvas = to_canvas(stored.cuda(), table.cuda(), **asdict(canvas_case.layout))

    expected = to_canvas_reference(stored, table, canvas_case.layout)
    torch.testing.assert_close(canvas.cpu(), expected, rtol=0, atol=canvas_case.atol)


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_a_whole_mammogram_is_the_reference_on_a_gpu(dtype):
    stored, table = mammogram(), torch.arange(65536, dtype=torch.float32)
    layout = replace(MAMMOGRAM, dtype=dtype)

    canvas = to_canvas(stored.cuda(), table.cuda(), **asdict(layout))

    expected = to_canvas_reference(stored, table, layout)
    atol = {torch.float32: 2e-6, torch.float16: 2**-10, torch.bfloat16: 2**-7}[dtype]
    torch.testing.assert_close(canvas.cpu(), expected, rtol=0, atol=atol)


def test_the_fused_histogram_is_the_reference_on_a_gpu(histogram_case):
    values, mask = histogram_case.inputs()

    counts = histogram16(values.cuda(), None if mask is None else mask.cuda())

    assert torch.equal(counts.cpu(), histogram16_reference(values, mask))


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
def test_a_whole_mammogram_is_counted_on_a_gpu(masked):
    values = mammogram()
    mask = values.to(torch.int32) % 3 == 0 if masked else None

    counts = histogram16(values.cuda(), None if mask is None else mask.cuda())

    assert torch.equal(counts.cpu(), histogram16_reference(values, mask))
