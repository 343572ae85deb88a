"""Where a crop goes on the canvas and how its levels are mapped: the arguments that all paths share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["CanvasLayout"]

DTYPES = (torch.float32, torch.float16, torch.bfloat16)


@dataclass(frozen=True, slots=True, kw_only=True)
class CanvasLayout:
    """The keyword arguments of `mammosweep_kernels.to_canvas`, checked when made."""

    crop_px: tuple[int, int, int, int]  # x1, y1, x2, y2 in stored pixels, half open
    net_size: tuple[int, int]  # rows, columns of the crop on the network's grid
    canvas_size: tuple[int, int]  # rows, columns
    mirrored: bool
    low: float = 0.0
    high: float = 1.0
    clip: tuple[float, float] | None = None
    pad_value: float
    dtype: torch.dtype

    def __post_init__(self) -> None:
        x1, y1, x2, y2 = self.crop_px
        if not (0 <= x1 < x2 and 0 <= y1 < y2):
            raise ValueError(f"crop_px is {self.crop_px}; expected 0 <= x1 < x2 and 0 <= y1 < y2")
        if min(self.net_size) < 1 or any(n > c for n, c in zip(self.net_size, self.canvas_size, strict=True)):
            raise ValueError(
                f"net_size is {self.net_size} on a canvas of {self.canvas_size}; "
                "expected at least 1 row and column, and no more than the canvas has"
            )
        if not self.low < self.high:
            raise ValueError(f"low is {self.low} and high {self.high}; expected low < high")
        if self.clip is not None and not self.clip[0] <= self.clip[1]:
            raise ValueError(f"clip is {self.clip}; expected (smallest, largest)")
        if self.dtype not in DTYPES:
            raise TypeError(f"dtype is {self.dtype}; expected one of {', '.join(map(str, DTYPES))}")

    @property
    def crop_size(self) -> tuple[int, int]:
        """Rows and columns of the crop in stored pixels."""
        x1, y1, x2, y2 = self.crop_px
        return y2 - y1, x2 - x1

    def crop(self, image: Tensor) -> Tensor:
        """The crop of an image, as a view of it."""
        x1, y1, x2, y2 = self.crop_px
        return image[y1:y2, x1:x2]

    def check_inputs(self, stored: Tensor, table: Tensor) -> None:
        """Refuse tensors that this layout cannot be applied to.

        Raises:
            TypeError: a tensor has the wrong type.
            ValueError: shapes or devices do not fit.
        """
        if stored.dtype != torch.uint16 or table.dtype != torch.float32:
            raise TypeError(
                f"stored is {stored.dtype} and table {table.dtype}; expected torch.uint16 and torch.float32"
            )
        if stored.ndim != 2 or table.shape != (65536,) or table.device != stored.device:
            raise ValueError(
                f"stored is {tuple(stored.shape)} on {stored.device} and table {tuple(table.shape)} "
                f"on {table.device}; expected (H, W) and (65536,) on one device"
            )
        rows, columns = stored.shape
        if self.crop_px[2] > columns or self.crop_px[3] > rows:
            raise ValueError(f"crop_px is {self.crop_px}; the image has {columns} columns and {rows} rows")
