"""Awkward cases that every path of a kernel is held to, and programs that need a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mammosweep_kernels.canvas.layout import CanvasLayout
from mammosweep_kernels.roi_align.sampling import LEVEL_AREAS, STRIDES

OUTSIDE = 65535  # stored outside the crop only; its table entry is NaN

# Results lie near 0..1: float32 sums of up to 117 pixels, one step of float16, one of bfloat16.
TOLERANCE = {torch.float32: 2e-6, torch.float16: 2**-10, torch.bfloat16: 2**-7}


@dataclass(frozen=True)
class CanvasCase:
    """One image, and where and how it goes on the canvas."""

    name: str
    size: tuple[int, int]
    options: dict[str, Any]

    @property
    def layout(self) -> CanvasLayout:
        usual: dict[str, Any] = {
            "mirrored": False,
            "low": 100.0,
            "high": 3900.0,
            "pad_value": -0.25,
            "dtype": torch.float32,
        }
        return CanvasLayout(**(usual | self.options))

    @property
    def atol(self) -> float:
        return TOLERANCE[self.layout.dtype]

    def inputs(self) -> tuple[Tensor, Tensor]:
        """12-bit stored pixels and a table; whatever lies outside the crop turns a result into NaN."""
        noise = torch.Generator().manual_seed(7)
        stored = torch.full(self.size, OUTSIDE, dtype=torch.int32)
        crop = self.layout.crop(stored)
        crop.copy_(torch.randint(0, 4096, crop.shape, generator=noise, dtype=torch.int32))
        table = torch.arange(65536, dtype=torch.float32)
        table[OUTSIDE] = torch.nan
        return stored.to(torch.uint16), table


def _canvas(name: str, size: tuple[int, int], **options: Any) -> CanvasCase:
    return CanvasCase(name, size, options)


ODD_CROP: dict[str, Any] = {"crop_px": (5, 3, 118, 251), "net_size": (115, 53), "canvas_size": (128, 64)}
SMALL_CROP: dict[str, Any] = {"crop_px": (1, 3, 32, 62), "net_size": (23, 13), "canvas_size": (24, 16)}

CANVAS_CASES = [
    _canvas("one pixel", (1, 1), crop_px=(0, 0, 1, 1), net_size=(1, 1), canvas_size=(1, 1)),
    _canvas("one pixel repeated", (1, 1), crop_px=(0, 0, 1, 1), net_size=(3, 5), canvas_size=(9, 70)),
    _canvas("one cell", (9, 13), crop_px=(0, 0, 13, 9), net_size=(1, 1), canvas_size=(2, 2)),
    _canvas("same scale", (33, 65), crop_px=(3, 1, 61, 32), net_size=(31, 58), canvas_size=(32, 64)),
    _canvas("whole steps", (33, 65), crop_px=(1, 1, 65, 33), net_size=(8, 32), canvas_size=(8, 32)),
    _canvas("finer across", (65, 33), crop_px=(2, 1, 32, 64), net_size=(29, 71), canvas_size=(30, 96)),
    _canvas("clipped", (65, 33), **SMALL_CROP, clip=(0.3, 0.6)),
    _canvas("float16", (65, 33), **SMALL_CROP, dtype=torch.float16, mirrored=True),
    _canvas("bfloat16", (65, 33), **SMALL_CROP, dtype=torch.bfloat16, mirrored=True),
    _canvas("odd crop, mirrored", (257, 129), **ODD_CROP, mirrored=True),
    _canvas("anisotropic", (257, 129), crop_px=(0, 0, 129, 257), net_size=(37, 101), canvas_size=(64, 101)),
]


@dataclass(frozen=True)
class HistogramCase:
    """One image, with or without a mask, part of it one background value."""

    name: str
    size: tuple[int, int]
    masked: bool = False
    background: float = 0.0

    def inputs(self) -> tuple[Tensor, Tensor | None]:
        noise = torch.Generator().manual_seed(11)
        values = torch.randint(0, 65536, self.size, generator=noise, dtype=torch.int32)
        values[torch.rand(self.size, generator=noise) < self.background] = 0
        values.view(-1)[-1:] = 65535
        mask = torch.rand(self.size, generator=noise) < 0.5 if self.masked else None
        return values.to(torch.uint16), mask


HISTOGRAM_CASES = [
    HistogramCase("one pixel", (1, 1)),
    HistogramCase("one pixel, masked", (1, 1), masked=True),
    HistogramCase("no pixel", (0, 5)),
    HistogramCase("odd", (33, 65)),
    HistogramCase("odd, masked", (33, 65), masked=True),
    HistogramCase("mostly background", (257, 129), background=0.9),
    HistogramCase("mostly background, masked", (257, 129), masked=True, background=0.9),
]


@dataclass(frozen=True)
class SuppressCase:
    """Groups of boxes, strongest first; what is not valid holds NaN."""

    name: str
    boxes: Tensor  # (G, K, 4)
    valid: Tensor | None = None  # (G, K); None: all are
    iou: float = 0.5

    def inputs(self) -> tuple[Tensor, Tensor]:
        valid = torch.ones(self.boxes.shape[:2], dtype=torch.bool) if self.valid is None else self.valid
        return torch.where(valid[..., None], self.boxes, torch.nan), valid


def _crowd(num_groups: int, num_boxes: int, *, steps: int | None = None) -> Tensor:
    """(G, K, 4) boxes of which many overlap; with ``steps``, on so coarse a grid that many are equal."""
    noise = torch.Generator().manual_seed(13)
    first = torch.rand((num_groups, num_boxes, 2), generator=noise)
    size = torch.rand((num_groups, num_boxes, 2), generator=noise) * 0.4
    if steps is not None:
        first, size = (first * steps).floor(), (size * steps).floor()
    return torch.cat([first, first + size], dim=2)


def _some(num_groups: int, num_boxes: int, part: float) -> Tensor:
    noise = torch.Generator().manual_seed(17)
    return torch.rand((num_groups, num_boxes), generator=noise) < part


def _row(*boxes: tuple[float, float, float, float]) -> Tensor:
    return torch.tensor([boxes], dtype=torch.float32)


SUPPRESS_CASES = [
    SuppressCase("no group", torch.zeros(0, 5, 4)),
    SuppressCase("no box", torch.zeros(3, 0, 4)),
    SuppressCase("one box", _row((3, 4, 8, 9))),
    SuppressCase("one box that is not valid", _row((3, 4, 8, 9)), torch.zeros(1, 1, dtype=torch.bool)),
    SuppressCase("crowd of 37", _crowd(5, 37)),
    SuppressCase("crowd of 64", _crowd(3, 64), iou=0.1),
    SuppressCase("crowd of 300", _crowd(2, 300), iou=0.7),
    SuppressCase("equal boxes", _crowd(4, 50, steps=4), iou=0.3),
    SuppressCase("nothing in common is enough to stay", _crowd(3, 40), iou=0.0),
    SuppressCase("no overlap is too much", _crowd(3, 40, steps=3), iou=1.0),
    SuppressCase("half are not valid", _crowd(5, 37), _some(5, 37, 0.5), iou=0.2),
    SuppressCase(
        "empty group among others", _crowd(3, 9), torch.tensor([[True], [False], [True]]).expand(3, 9)
    ),
    SuppressCase(
        "padded to the widest group", _crowd(4, 21), torch.arange(21) < torch.tensor([[21], [1], [0], [8]])
    ),
    SuppressCase(
        "points and lines",
        _row((2, 2, 2, 2), (2, 2, 2, 2), (0, 2, 5, 2), (0, 2, 5, 2), (1, 1, 4, 4)),
        iou=0.0,
    ),
    # the first drops the second, which therefore cannot drop the third
    SuppressCase("chain", _row((0, 0, 10, 10), (4, 0, 14, 10), (8, 0, 18, 10)), iou=0.4),
    SuppressCase("exactly as much as allowed", _row((0, 0, 10, 10), (0, 0, 10, 5)), iou=0.5),
    # 3 / 10 in float32 is more than 0.3 in float64, and as much as 0.3 in float32
    SuppressCase("a rounding more than allowed", _row((0, 0, 10, 1), (0, 0, 3, 1)), iou=0.3),
    # 7 / 10 in float32 is less than 0.7 in float64
    SuppressCase("a rounding less than allowed", _row((0, 0, 10, 1), (0, 0, 7, 1)), iou=0.7),
]


# Float32 sums of 16 numbers below 5; where those are rounded further, one step of the dtype too. The CPU
# path writes its weights as two numbers of the dtype, which in bfloat16 leaves 2**-18 of a weight.
ROI_TOLERANCE = {
    torch.float32: {"rtol": 0.0, "atol": 2e-6},
    torch.float16: {"rtol": 2**-10, "atol": 2e-6},
    torch.bfloat16: {"rtol": 2**-7, "atol": 2e-5},
}


@dataclass(frozen=True)
class RoiCase:
    """A pyramid of noise, and boxes on each of its canvases; a level to which no box belongs holds NaN."""

    name: str
    boxes: Tensor  # (N, R, 4)
    canvas_size: tuple[int, int] = (96, 64)
    channels: int = 5
    dtype: torch.dtype = torch.float32
    memory: str = "channels last"

    @property
    def tolerance(self) -> dict[str, float]:
        return ROI_TOLERANCE[self.dtype]

    def inputs(self) -> tuple[list[Tensor], Tensor]:
        noise = torch.Generator().manual_seed(19)
        sides = self.boxes[..., 2:] - self.boxes[..., :2]
        area = sides[..., :1] * sides[..., 1:]
        used = (area >= torch.tensor([-torch.inf, *LEVEL_AREAS])).sum(dim=-1) - 1
        levels = []
        for index, stride in enumerate(STRIDES):
            rows, columns = (-(-side // stride) for side in self.canvas_size)
            shape = (self.boxes.shape[0], self.channels, rows, columns)
            level = torch.randn(shape, generator=noise)
            level = level if bool((used == index).any()) else torch.full(shape, torch.nan)
            levels.append(self._laid_out(level.to(self.dtype)))
        return levels, self.boxes

    def _laid_out(self, level: Tensor) -> Tensor:
        if self.memory == "channels last":
            return level.contiguous(memory_format=torch.channels_last)
        if self.memory == "channels first":
            return level
        wider = torch.full((*level.shape[:3], 2 * level.shape[3]), torch.nan, dtype=level.dtype)
        wider[..., ::2] = level
        return wider[..., ::2]


def _anywhere(num_canvases: int, num_boxes: int, largest: float = 110.0) -> Tensor:
    """(N, R, 4) boxes of 1 to ``largest`` pixels whose centres lie on a canvas of 96 by 64."""
    noise = torch.Generator().manual_seed(23)
    centre = torch.rand((num_canvases, num_boxes, 2), generator=noise) * torch.tensor([64.0, 96.0])
    half = 0.5 * largest ** torch.rand((num_canvases, num_boxes, 2), generator=noise)
    return torch.cat([centre - half, centre + half], dim=2)


def _at_boundaries() -> Tensor:
    """(1, 24, 4) boxes on both sides of every boundary between levels, 1 pixel high and square."""
    boxes = []
    for side, area in zip((112.0, 224.0, 448.0), LEVEL_AREAS, strict=True):
        below = float(torch.nextafter(torch.tensor(area), torch.tensor(0.0)))
        boxes += [(0.0, 3.0, width, 4.0) for width in (below, area, side**2)]
        boxes += [(-side / 2, 1.0, side / 2, 1.0 + s) for s in (side, side - 1e-4, side - 2e-5, side + 1e-3)]
        boxes += [(0.0, 0.0, side / 2, side * 2)]
    return torch.tensor([boxes], dtype=torch.float32)


EDGES = _row(
    *((-40, -40, -20, -20), (-4, -4, 3, 3), (-3, 10, -1, 30), (60, 90, 70, 110), (64, 96, 64, 96)),
    *((63.5, 95.5, 64, 96), (0, 0, 64, 96), (-9, -9, 73, 105), (200, 300, 260, 350), (66, 20, 68, 40)),
)
THIN = _row((5, 5, 5, 5), (5, 5, 5, 60), (5, 5, 60, 5), (1.25, 2.5, 1.5, 2.75), (10, 10, 12, 80))
MALFORMED = _row((20, 5, 10, 50), (8, 8, 30, 30), (30, 50, 10, 5), (torch.nan, 0, 9, 9), (9, 40, 30, 20))

ROI_CASES = [
    RoiCase("no canvas", torch.zeros(0, 3, 4)),
    RoiCase("no box", torch.zeros(2, 0, 4)),
    RoiCase("one box", _row((8.0, 12.0, 40.0, 70.0))),
    RoiCase("one channel, one cell", _row((0, 0, 4, 4), (1, 1, 3, 2)), canvas_size=(3, 4), channels=1),
    RoiCase("boxes anywhere", _anywhere(3, 4)),
    RoiCase("more channels than a block", _anywhere(2, 3), channels=67),
    RoiCase("channels first", _anywhere(2, 4), memory="channels first"),
    RoiCase("every second column of memory", _anywhere(2, 4), memory="strided"),
    RoiCase("of every level", _anywhere(2, 8, largest=900.0)),
    RoiCase("at the boundaries of levels", _at_boundaries(), canvas_size=(64, 96), channels=2),
    RoiCase("over the edge and beyond", EDGES),
    RoiCase("odd canvas", EDGES, canvas_size=(93, 61)),
    RoiCase("points and lines", THIN),
    RoiCase("malformed", MALFORMED),
    RoiCase("float16", _anywhere(2, 4), dtype=torch.float16),
    RoiCase("bfloat16", _anywhere(2, 4), dtype=torch.bfloat16),
    RoiCase("bfloat16, channels first", _anywhere(2, 4), dtype=torch.bfloat16, memory="channels first"),
]

CASES = {
    "canvas_case": CANVAS_CASES,
    "histogram_case": HISTOGRAM_CASES,
    "suppress_case": SUPPRESS_CASES,
    "roi_case": ROI_CASES,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for a case with each of them."""
    for argument, cases in CASES.items():
        if argument in metafunc.fixturenames:
            metafunc.parametrize(argument, cases, ids=[case.name for case in cases])


@pytest.fixture
def poisoned() -> Iterator[None]:
    """Fills every torch.empty with NaN: an element that a kernel leaves unwritten shows."""
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(before[0], warn_only=before[1])


@pytest.fixture(scope="session")
def run_program() -> Callable[..., None]:
    """Runs a program of this folder in a fresh process, one that has not imported Triton."""

    def run(program: str, *arguments: Path, **environment: str) -> None:
        inherited = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
        done = subprocess.run(
            [sys.executable, Path(__file__).with_name(program), *arguments],
            env=inherited | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    return run
