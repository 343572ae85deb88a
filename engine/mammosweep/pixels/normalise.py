"""The three pre-processing steps of the method, in its order, for one view.

1. breast segmentation (`segment.py`) and the rectangle around the breast;
2. resampling of that rectangle to the bundle's grid by area averaging, chest wall to the left;
3. a linear gray map from the breast's own statistics: 90 % of its pixels lie in 0..1, 5 % below, 5 % above.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from mammosweep.errors import GeometryError, Reason
from mammosweep.geometry import PixelGrid, Size
from mammosweep.pixels.decode import Frame
from mammosweep.pixels.segment import WORK_SPACING_MM, Breast, segment
from mammosweep_kernels import to_canvas

__all__ = ["GRAY_RANGE", "NormalisedView", "normalise"]

LOW_PERCENT, HIGH_PERCENT = 5.0, 95.0

GRAY_RANGE = (-0.5, 2.0)
"""Where the mapped gray is cut off: air lies far below the breast's 5th percentile, metal far above its 95th;
neither says anything beyond that. Also the value of padding: (-0.5, air)."""

Gray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class NormalisedView:
    """What the networks see of one view, and the way back."""

    gray: Gray = field(repr=False)  # (rows, columns) of grid.net_size, within GRAY_RANGE
    grid: PixelGrid


def normalise(frame: Frame, spacing_mm: tuple[float, float], grid_mm: float) -> NormalisedView:
    """Segment, resample and map one view.

    Args:
        frame: stored pixels (H, W) and their presentation table.
        spacing_mm: (row, column) millimetres per stored pixel.
        grid_mm: side of a network pixel.

    Raises:
        GeometryError: no breast is found, or its pixels are all alike.
    """
    shape = (frame.stored.shape[0], frame.stored.shape[1])
    breast = segment(_working_gray(frame, spacing_mm))
    crop_px = _to_stored(breast.rectangle, breast.mask.shape, shape)
    grid = PixelGrid(
        crop_px=crop_px,
        net_size=_net_size(crop_px, spacing_mm, grid_mm),
        mirrored=breast.chest_wall_right,
    )
    gray = _area_mean(frame, grid)
    return NormalisedView(_map_gray(gray, _mask_on(breast, grid, shape)), grid)


def _working_gray(frame: Frame, spacing_mm: tuple[float, float]) -> NDArray[np.uint8]:
    """The whole frame on the segmentation's grid, 0 dark to 255 bright."""
    rows, columns = frame.stored.shape
    whole = (0, 0, columns, rows)
    small = _area_mean(
        frame,
        PixelGrid(crop_px=whole, net_size=_net_size(whole, spacing_mm, WORK_SPACING_MM), mirrored=False),
    )
    return np.rint(small * 255).astype(np.uint8)


def _area_mean(frame: Frame, grid: PixelGrid) -> Gray:
    """The crop's presented gray on a grid: each pixel is the mean over its footprint."""
    size = (grid.net_size.rows, grid.net_size.columns)
    canvas = to_canvas(
        torch.from_numpy(frame.stored),
        torch.from_numpy(frame.table),
        crop_px=grid.crop_px,
        net_size=size,
        canvas_size=size,
        mirrored=grid.mirrored,
        pad_value=0.0,
        dtype=torch.float32,
    )
    return canvas.numpy()


def _to_stored(
    rectangle: tuple[int, int, int, int], work: tuple[int, ...], stored: tuple[int, ...]
) -> tuple[int, int, int, int]:
    """The working grid's rectangle in stored pixels, outer edges outward."""
    x1, y1, x2, y2 = rectangle
    down, across = stored[0] / work[0], stored[1] / work[1]
    return (
        int(x1 * across),
        int(y1 * down),
        min(-int(-x2 * across // 1), stored[1]),
        min(-int(-y2 * down // 1), stored[0]),
    )


def _net_size(crop_px: tuple[int, int, int, int], spacing_mm: tuple[float, float], grid_mm: float) -> Size:
    x1, y1, x2, y2 = crop_px
    return Size(
        rows=max(round((y2 - y1) * spacing_mm[0] / grid_mm), 1),
        columns=max(round((x2 - x1) * spacing_mm[1] / grid_mm), 1),
    )


def _mask_on(breast: Breast, grid: PixelGrid, stored: tuple[int, ...]) -> NDArray[np.bool_]:
    """The breast's mask on the network's grid: each network pixel asks the working pixel under its centre."""
    x1, y1, x2, y2 = grid.crop_px
    rows = _centres(y1, y2, grid.net_size.rows, stored[0], breast.mask.shape[0])
    columns = _centres(x1, x2, grid.net_size.columns, stored[1], breast.mask.shape[1])
    mask = breast.mask[np.ix_(rows, columns)]
    return mask[:, ::-1] if grid.mirrored else mask


def _centres(start: int, stop: int, num: int, stored: int, work: int) -> NDArray[np.int64]:
    centres_px = start + (np.arange(num) + 0.5) * (stop - start) / num
    return np.minimum(centres_px * work / stored, work - 1).astype(np.int64)


def _map_gray(gray: Gray, mask: NDArray[np.bool_]) -> Gray:
    low, high = np.percentile(gray[mask], [LOW_PERCENT, HIGH_PERCENT]) if mask.any() else (0.0, 0.0)
    if not high > low:
        raise GeometryError(
            Reason.BLANK_IMAGE,
            "the breast's 5th and 95th percentiles of gray are equal; expected tissue of different densities",
        )
    mapped: Gray = ((gray - low) / (high - low)).clip(*GRAY_RANGE).astype(np.float32)
    return mapped
