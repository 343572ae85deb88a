"""What passes between the steps of this folder: a frame's code, and the frame."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mammosweep.errors import Flag
from mammosweep.geometry import Size

__all__ = ["EncodedFrame", "Frame", "Stored", "reduced_size"]

Stored = NDArray[np.uint16]
"""(rows, columns) stored values, C-contiguous."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedFrame:
    """One frame's bytes and what the header says of them; nothing is decoded yet."""

    data: memoryview = field(repr=False)  # one codestream, or native pixels
    transfer_syntax: str  # DICOM UID
    size_px: Size  # Rows and Columns
    bits_allocated: int  # 8 or 16
    bits_stored: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One image's stored pixels and what they mean.

    Where the codestream holds lower resolutions, ``stored`` may be one of them: ``reduce`` levels of the
    wavelet transform are left out, and one of its pixels stands for ``2**reduce`` stored pixels a side.
    """

    stored: Stored = field(repr=False)  # (rows, columns), or the ceiling of their 2**reduce-th part
    table: NDArray[np.float32] = field(
        repr=False
    )  # (65536,) stored value -> presented gray, 0 dark, 1 bright
    size_px: Size  # Rows and Columns, whatever `reduce` is
    reduce: int = 0
    voi: str = "full range"  # which of the header's presentations was chosen
    orientation: tuple[str, str] | None = None  # Patient Orientation (0020,0020): along rows, along columns
    flags: tuple[Flag, ...] = ()


def reduced_size(size_px: Size, reduce: int) -> Size:
    """Rows and columns with ``reduce`` levels left out (T.800 B.15: ceilings, the origin at 0)."""
    step = 1 << reduce
    return Size(-(-size_px.rows // step), -(-size_px.columns // step))
