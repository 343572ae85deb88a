"""The kernels' CPU paths against their references, on one full-field digital mammogram.

`cases` gives (name, ours, theirs): two callables without arguments that return the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import torch
from torch import Tensor

from benchmarks.harness import Row, ratio_row
from mammosweep_kernels import histogram16, to_canvas
from mammosweep_kernels.canvas.layout import CanvasLayout
from mammosweep_kernels.canvas.reference import to_canvas_reference
from mammosweep_kernels.histogram.reference import histogram16_reference

__all__ = ["Case", "canvas_cases", "cases", "histogram_cases", "rows"]

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


def rows() -> list[Row]:
    """How many times faster each is than what it is compared with."""
    return [ratio_row(name, ours, theirs) for name, ours, theirs in cases()]


def cases() -> list[Case]:
    """Every comparison of this file."""
    return [*histogram_cases(), *canvas_cases()]


def histogram_cases() -> list[Case]:
    """Counting all pixels, and those of the breast, beside the reference and plain numpy."""
    values = _mammogram()
    mask = values.to(torch.int32) > 0
    flat = values.numpy().ravel()
    return [
        ("histogram/cpu-reference", lambda: histogram16(values), lambda: histogram16_reference(values)),
        ("histogram/cpu-numpy", lambda: histogram16(values), lambda: np.bincount(flat, minlength=65536)),
        (
            "histogram-masked/cpu-reference",
            lambda: histogram16(values, mask),
            lambda: histogram16_reference(values, mask),
        ),
    ]


def canvas_cases() -> list[Case]:
    """The whole way from stored pixels to the canvas, beside the reference's two dense products."""
    stored, table = _mammogram(), torch.arange(65536, dtype=torch.float32)
    options = asdict(LAYOUT)
    return [
        (
            "canvas/cpu-reference",
            lambda: to_canvas(stored, table, **options),
            lambda: to_canvas_reference(stored, table, LAYOUT),
        )
    ]


def _mammogram() -> Tensor:
    """12-bit noise where the breast is, 0 elsewhere."""
    noise = torch.Generator().manual_seed(1)
    stored = torch.randint(1, 4096, DETECTOR_SIZE, generator=noise, dtype=torch.int32)
    stored[:, DETECTOR_SIZE[1] // 2 :] = 0
    return stored.to(torch.uint16)
