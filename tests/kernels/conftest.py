"""Awkward cases that every path of a kernel is held to, and programs that need a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mammosweep_kernels.canvas.layout import CanvasLayout

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


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for a case with each of them."""
    for argument, cases in (("canvas_case", CANVAS_CASES), ("histogram_case", HISTOGRAM_CASES)):
        if argument in metafunc.fixturenames:
            metafunc.parametrize(argument, cases, ids=[case.name for case in cases])


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
