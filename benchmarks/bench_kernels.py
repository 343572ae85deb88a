"""The kernels against their references: full-field digital mammograms and what a detector makes of one exam.

`cases` gives (name, ours, theirs): two callables without arguments that return the same. On a machine with a
GPU the fused kernels are compared with their references there too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from benchmarks.harness import Row, ratio_row
from mammosweep_kernels import histogram16, roi_align, suppress, to_canvas
from mammosweep_kernels.canvas.layout import CanvasLayout
from mammosweep_kernels.canvas.reference import to_canvas_reference
from mammosweep_kernels.histogram.reference import histogram16_reference
from mammosweep_kernels.roi_align.reference import roi_align_reference
from mammosweep_kernels.roi_align.sampling import STRIDES
from mammosweep_kernels.suppress.reference import suppress_reference

__all__ = ["Case", "canvas_cases", "cases", "histogram_cases", "roi_align_cases", "rows", "suppress_cases"]

Case = tuple[str, Callable[[], object], Callable[[], object]]

# 0.07 mm pixels to the 0.15 mm grid: a common detector of 18 x 24 cm with a crop of its breast.
DETECTOR_SIZE = (3328, 2560)
LAYOUT = CanvasLayout(
    crop_px=(0, 103, 1483, 3190),
    net_size=(1441, 692),
    canvas_size=(1472, 704),
    mirrored=True,
    low=100.0,
    high=3900.0,
    pad_value=0.0,
    dtype=torch.float32,
)

# One exam: four views on a canvas of a common bucket, ResNet50's pyramid.
VIEWS = 4
CANVAS_SIZE = (1536, 704)
CHANNELS = 256
REGIONS = 300
# Both flips of an exam: the strongest anchors of a view's five levels; what a box head judged, by four types.
PROPOSALS = (2 * VIEWS * 5, 250)
JUDGED = (2 * VIEWS * 4, 60)


def rows() -> list[Row]:
    """How many times faster each is than what it is compared with."""
    found = [ratio_row(name, ours, theirs) for name, ours, theirs in cases("cpu")]
    if not torch.cuda.is_available():
        return found
    gpu = torch.cuda.get_device_name()
    return found + [
        replace(ratio_row(name, _finished(ours), _finished(theirs)), device=gpu)
        for name, ours, theirs in cases("cuda")
    ]


def cases(device: str) -> list[Case]:
    """Every comparison of this file on one device, "cpu" or "cuda"."""
    return [
        case
        for cases_of in (histogram_cases, canvas_cases, suppress_cases, roi_align_cases)
        for case in cases_of(device)
    ]


def histogram_cases(device: str) -> list[Case]:
    """Counting all pixels, and those of the breast, beside the reference and plain numpy."""
    values = _mammogram().to(device)
    mask = values.to(torch.int32) > 0
    found: list[Case] = [
        (
            f"histogram/{device}-reference",
            lambda: histogram16(values),
            lambda: histogram16_reference(values),
        ),
        (
            f"histogram-masked/{device}-reference",
            lambda: histogram16(values, mask),
            lambda: histogram16_reference(values, mask),
        ),
    ]
    if device == "cpu":
        flat = values.numpy().ravel()
        found.append(
            ("histogram/cpu-numpy", lambda: histogram16(values), lambda: np.bincount(flat, minlength=65536))
        )
    return found


def canvas_cases(device: str) -> list[Case]:
    """The whole way from stored pixels to the canvas, beside the reference's two dense products."""
    stored, table = _mammogram().to(device), torch.arange(65536, dtype=torch.float32, device=device)
    options = asdict(LAYOUT)
    return [
        (
            f"canvas/{device}-reference",
            lambda: to_canvas(stored, table, **options),
            lambda: to_canvas_reference(stored, table, LAYOUT),
        )
    ]


def suppress_cases(device: str) -> list[Case]:
    """An exam's proposals, and what its box head found, beside torchvision's `nms` of one group at a time."""
    found: list[Case] = []
    for name, (num_groups, num_boxes) in (("suppress", PROPOSALS), ("suppress-judged", JUDGED)):
        boxes = _boxes(num_groups, num_boxes).to(device)
        valid = torch.ones((num_groups, num_boxes), dtype=torch.bool, device=device)
        valid[:, -num_boxes // 10 :] = False
        found.append(
            (
                f"{name}/{device}-reference",
                partial(suppress, boxes, valid, 0.7),
                partial(suppress_reference, boxes, valid, 0.7),
            )
        )
    return found


def roi_align_cases(device: str) -> list[Case]:
    """An exam's regions in both of the types that it may be computed in, beside torchvision's pooling."""
    boxes = _boxes(VIEWS, REGIONS).to(device)
    found: list[Case] = []
    for name, dtype in (("roi-align", torch.float32), ("roi-align-bfloat16", torch.bfloat16)):
        levels = [level.to(device) for level in _pyramid(dtype)]
        found.append(
            (
                f"{name}/{device}-reference",
                partial(roi_align, levels, boxes),
                partial(roi_align_reference, levels, boxes),
            )
        )
    return found


def _finished(work: Callable[[], object]) -> Callable[[], None]:
    """The same work, until the GPU is done with it."""

    def run() -> None:
        work()
        torch.cuda.synchronize()

    return run


def _mammogram() -> Tensor:
    """12-bit noise where the breast is, 0 elsewhere."""
    noise = torch.Generator().manual_seed(1)
    stored = torch.randint(1, 4096, DETECTOR_SIZE, generator=noise, dtype=torch.int32)
    stored[:, DETECTOR_SIZE[1] // 2 :] = 0
    return stored.to(torch.uint16)


def _boxes(num_groups: int, num_boxes: int) -> Tensor:
    """(G, K, 4) boxes of 12 to 250 network pixels (2 to 38 mm) anywhere on the canvas, cut at its edges."""
    noise = torch.Generator().manual_seed(2)
    rows, columns = CANVAS_SIZE
    centre = torch.rand((num_groups, num_boxes, 2), generator=noise) * torch.tensor([columns, rows])
    half = 6 * (250 / 12) ** torch.rand((num_groups, num_boxes, 2), generator=noise)
    return (
        torch.cat([centre - half, centre + half], dim=2)
        .clamp(min=0)
        .minimum(torch.tensor([columns, rows, columns, rows]))
    )


def _pyramid(dtype: torch.dtype) -> list[Tensor]:
    """Noise in the shape of an exam's four levels, channels last."""
    noise = torch.Generator().manual_seed(3)
    rows, columns = CANVAS_SIZE
    shapes = [(VIEWS, CHANNELS, rows // stride, columns // stride) for stride in STRIDES]
    return [
        torch.randn(shape, generator=noise).to(dtype).contiguous(memory_format=torch.channels_last)
        for shape in shapes
    ]
