"""The Triton kernels where there is a GPU."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, replace

import pytest
import torch

from mammosweep_kernels import histogram16, roi_align, suppress, to_canvas
from mammosweep_kernels.canvas.layout import CanvasLayout
from mammosweep_kernels.canvas.reference import to_canvas_reference
from mammosweep_kernels.histogram.reference import histogram16_reference
from mammosweep_kernels.roi_align.reference import roi_align_reference
from mammosweep_kernels.suppress.reference import suppress_reference

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


@contextmanager
def never_waiting():
    """Lets a synchronisation with the host fail."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def mammogram():
    noise = torch.Generator().manual_seed(1)
    stored = torch.randint(0, 4096, (4096, 2560), generator=noise, dtype=torch.int32)
    stored[:, 1200:] = 0
    return stored.to(torch.uint16)


def batch_of_boxes(num_groups, num_boxes, seed=3):
    """Boxes of 8 to 800 network pixels, some over the edge of a canvas of 1536 by 704."""
    noise = torch.Generator().manual_seed(seed)
    centre = torch.rand((num_groups, num_boxes, 2), generator=noise) * torch.tensor([704.0, 1536.0])
    half = 4 * 100 ** torch.rand((num_groups, num_boxes, 2), generator=noise)
    return torch.cat([centre - half, centre + half], dim=2)


def pyramid(num_canvases, dtype, memory):
    noise = torch.Generator().manual_seed(2)
    return [
        torch.randn((num_canvases, 256, 1536 // stride, 704 // stride), generator=noise)
        .to(dtype)
        .contiguous(memory_format=memory)
        for stride in (4, 8, 16, 32)
    ]


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


@pytest.mark.usefixtures("poisoned")
def test_the_fused_suppression_is_the_reference_on_a_gpu(suppress_case):
    boxes, valid = suppress_case.inputs()

    keep = suppress(boxes.cuda(), valid.cuda(), suppress_case.iou)

    assert torch.equal(keep.cpu(), suppress_reference(boxes, valid, suppress_case.iou))


@pytest.mark.parametrize(("num_groups", "num_boxes"), [(80, 250), (80, 1000), (3, 4096)])
@pytest.mark.parametrize("iou", [0.3, 0.7])
def test_the_proposals_of_a_batch_are_suppressed_on_a_gpu(num_groups, num_boxes, iou):
    boxes = batch_of_boxes(num_groups, num_boxes)
    valid = torch.arange(num_groups * num_boxes).view(num_groups, num_boxes) % 11 > 0

    keep = suppress(boxes.cuda(), valid.cuda(), iou)

    assert torch.equal(keep.cpu(), suppress_reference(boxes, valid, iou))


def test_more_boxes_than_registers_hold_are_refused_on_a_gpu():
    boxes = torch.zeros(1, 4097, 4, device="cuda")

    with pytest.raises(ValueError, match="a group has 4097 boxes; expected at most 4096 on a GPU"):
        suppress(boxes, boxes[..., 0] == 0, 0.5)


@pytest.mark.usefixtures("poisoned")
def test_the_fused_regions_are_the_reference_on_a_gpu(roi_case):
    levels, boxes = roi_case.inputs()

    regions = roi_align([level.cuda() for level in levels], boxes.cuda())

    expected = roi_align_reference(levels, boxes)
    torch.testing.assert_close(regions.cpu(), expected, **roi_case.tolerance)


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("memory", [torch.channels_last, torch.contiguous_format], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_the_regions_of_an_exam_are_the_reference_on_a_gpu(dtype, memory):
    levels, boxes = pyramid(4, dtype, memory), batch_of_boxes(4, 300)

    regions = roi_align([level.cuda() for level in levels], boxes.cuda())

    step = {torch.float32: 0.0, torch.float16: 2**-10, torch.bfloat16: 2**-7}[dtype]
    torch.testing.assert_close(regions.cpu(), roi_align_reference(levels, boxes), rtol=step, atol=4e-6)


@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
def test_between_pyramid_and_regions_nothing_waits_for_the_gpu():
    levels = [level.cuda() for level in pyramid(4, torch.float16, torch.channels_last)]
    boxes = batch_of_boxes(4, 100).cuda()
    valid = torch.ones(4, 100, dtype=torch.bool).cuda()

    with never_waiting():
        suppress(boxes, valid, 0.5)
        roi_align(levels, boxes)


def test_a_cuda_graph_repeats_suppression_and_regions_on_new_boxes():
    levels = [level.cuda() for level in pyramid(2, torch.float32, torch.channels_last)]
    boxes, others = batch_of_boxes(2, 100).cuda(), batch_of_boxes(2, 100, seed=5).cuda()
    valid = torch.ones(2, 100, dtype=torch.bool).cuda()
    suppress(boxes, valid, 0.5)  # compiled before they are recorded
    roi_align(levels, boxes)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        keep, regions = suppress(boxes, valid, 0.5), roi_align(levels, boxes)

    boxes.copy_(others)
    graph.replay()

    assert torch.equal(keep, suppress(others, valid, 0.5))
    assert torch.equal(regions, roi_align(levels, others))
