"""The three pre-processing steps of the method, in its order, for one view.

1. breast segmentation (`segment.py`) and the rectangle around the breast;
2. resampling of that rectangle to the bundle's grid by area averaging, chest wall to the left;
3. a linear gray map from the breast's own statistics: 90 % of its pixels lie in 0..1, 5 % below, 5 % above.

A frame may come at a lower resolution (`Frame.reduce`). All steps work on the pixels that it has; only the
grid's crop is told in stored pixels of the full resolution, as `_full_resolution` maps them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from mammosweep.errors import GeometryError, Reason
from mammosweep.geometry import PixelGrid, Size
from mammosweep.pixels.detail import Detail
from mammosweep.pixels.frame import Frame
from mammosweep.pixels.orientation import CONFIDENT, ChestWall, check_side, declared_right
from mammosweep.pixels.segment import WORK_SPACING_MM, Breast, segment
from mammosweep_kernels import to_canvas

__all__ = ["GRAY_RANGE", "Landmarks", "NormalisedView", "normalise"]

LOW_PERCENT, HIGH_PERCENT = 5.0, 95.0

GRAY_RANGE = (-0.5, 2.0)
"""Where the mapped gray is cut off: air lies far below the breast's 5th percentile, metal far above its 95th;
neither says anything beyond that. Also the value of padding: (-0.5, air)."""

SAMPLES_PER_SIDE = 4
"""Of a pixel of the segmentation's grid: it is the mean of at least so many rows and columns of the frame's
pixels, not of all. On the demo's films an edge of the crop moves by two of its pixels at most (1.6 mm)."""

DIM = 0.5
"""An image whose brightest spot lies below this uses little of its range: segmentation sees it stretched."""

STRETCHED = 0.8
"""What its brightest spot becomes: less white than a film's rim."""

Gray = NDArray[np.float32]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Landmarks:
    """What the breast's outline says of how it lies. Confidences run from 0 to 1."""

    nipple_px: tuple[float, float]  # x, y in stored pixels
    nipple_confidence: float
    wall_confidence: float  # that the chest wall is on the side where the grid has it


@dataclass(frozen=True, slots=True)
class NormalisedView:
    """What the networks see of one view, and the way back."""

    gray: Gray = field(repr=False)  # (rows, columns) of grid.net_size, within GRAY_RANGE
    grid: PixelGrid
    landmarks: Landmarks | None = None
    detail: Detail | None = field(default=None, repr=False)  # where it was asked for


def normalise(
    frame: Frame, spacing_mm: tuple[float, float], grid_mm: float, *, keep_detail: bool = False
) -> NormalisedView:
    """Segment, resample and map one view.

    Args:
        frame: stored pixels (H, W) and their presentation table.
        spacing_mm: (row, column) millimetres per stored pixel at full resolution.
        grid_mm: side of a network pixel.
        keep_detail: whether the breast's own pixels are copied, for crops at a finer grid.

    Raises:
        GeometryError: no plausible breast is found, it lies on another side than the header says, or its
            pixels are all alike.
    """
    step = 1 << frame.reduce
    pixel_mm = (spacing_mm[0] * step, spacing_mm[1] * step)
    work = _working_image(frame, pixel_mm)
    breast = segment(work.gray)
    check_side(breast.wall, frame.orientation)
    mirrored = _is_mirrored(breast.wall, frame.orientation)
    crop = work.to_frame(breast.rectangle, frame.stored.shape)
    net_size = _net_size(crop, pixel_mm, grid_mm)
    gray = _area_mean(frame.stored, frame.table, crop, net_size, mirrored=mirrored)
    low, high = _gray_ends(gray, _mask_on(breast, work, crop, net_size, mirrored=mirrored))
    grid = PixelGrid(crop_px=_full_resolution(crop, frame.reduce), net_size=net_size, mirrored=mirrored)
    detail = _detail(frame, crop, (low, high), pixel_mm, grid) if keep_detail else None
    return NormalisedView(_map_gray(gray, low, high), grid, _landmarks(breast, work, frame.reduce), detail)


def _detail(
    frame: Frame,
    crop: tuple[int, int, int, int],
    ends: tuple[float, float],
    pixel_mm: tuple[float, float],
    grid: PixelGrid,
) -> Detail:
    x1, y1, x2, y2 = crop
    return Detail(
        stored=frame.stored[y1:y2, x1:x2].copy(),
        table=frame.table.copy(),  # the frame's memory goes to the next view
        gray_low=ends[0],
        gray_high=ends[1],
        rectangle_px=grid.crop_px,
        pixel_mm=pixel_mm,
        mirrored=grid.mirrored,
        gray_range=GRAY_RANGE,
    )


def _full_resolution(box: Box, reduce: int) -> Box:
    """A box in a lower resolution's pixels, in stored pixels.

    Sample i of ``reduce`` = k levels stands for the stored pixels around number ``2**k * i``, where its
    wavelet is centred (T.800 F.3), so that it covers ``2**k`` of them from ``2**k * i + 0.5 - 2**k / 2`` on.
    """
    step = float(1 << reduce)
    shift = 0.5 - step / 2
    x1, y1, x2, y2 = (edge * step + shift for edge in box)
    return x1, y1, x2, y2


def _is_mirrored(wall: ChestWall, orientation: tuple[str, str] | None) -> bool:
    """Whether the chest wall is at the right: as seen, or as declared where that cannot be seen."""
    declared = declared_right(orientation)
    return wall.right if declared is None or wall.confidence >= CONFIDENT else declared


@dataclass(frozen=True, slots=True)
class _WorkingImage:
    """The whole frame on the segmentation's grid."""

    gray: NDArray[np.uint8] = field(repr=False)  # 0 dark to 255 bright
    pixel_yx: tuple[float, float]  # of the frame's pixels for one of its own, down and across

    def to_frame(self, box: tuple[int, int, int, int], shape: tuple[int, ...]) -> tuple[int, int, int, int]:
        """Its box in the frame's pixels, outer edges outward."""
        (x1, y1, x2, y2), (down, across) = box, self.pixel_yx
        return (
            int(x1 * across),
            int(y1 * down),
            min(-int(-x2 * across // 1), shape[1]),
            min(-int(-y2 * down // 1), shape[0]),
        )


def _working_image(frame: Frame, pixel_mm: tuple[float, float]) -> _WorkingImage:
    down, across = (
        max(min(int(WORK_SPACING_MM / mm / SAMPLES_PER_SIDE), side), 1)
        for mm, side in zip(pixel_mm, frame.stored.shape, strict=True)
    )
    sampled = np.ascontiguousarray(frame.stored[down // 2 :: down, across // 2 :: across])
    rows, columns = sampled.shape
    whole = (0, 0, columns, rows)
    size = _net_size(whole, (pixel_mm[0] * down, pixel_mm[1] * across), WORK_SPACING_MM)
    gray = _area_mean(sampled, frame.table, whole, size, mirrored=False)
    brightest = float(gray.max())
    scale = 255 * (1 if brightest >= DIM or brightest <= 0 else STRETCHED / brightest)
    return _WorkingImage(
        gray=np.rint(gray * scale).astype(np.uint8),
        pixel_yx=(rows * down / size.rows, columns * across / size.columns),
    )


def _area_mean(
    stored: NDArray[np.uint16],
    table: Gray,
    crop: tuple[int, int, int, int],
    net_size: Size,
    *,
    mirrored: bool,
) -> Gray:
    """The crop's presented gray on a grid: each pixel is the mean over its footprint."""
    size = (net_size.rows, net_size.columns)
    canvas = to_canvas(
        torch.from_numpy(stored),
        torch.from_numpy(table),
        crop_px=crop,
        net_size=size,
        canvas_size=size,
        mirrored=mirrored,
        pad_value=0.0,
        dtype=torch.float32,
    )
    return canvas.numpy()


def _net_size(crop: tuple[int, int, int, int], pixel_mm: tuple[float, float], grid_mm: float) -> Size:
    x1, y1, x2, y2 = crop
    return Size(
        rows=max(round((y2 - y1) * pixel_mm[0] / grid_mm), 1),
        columns=max(round((x2 - x1) * pixel_mm[1] / grid_mm), 1),
    )


def _mask_on(
    breast: Breast, work: _WorkingImage, crop: tuple[int, int, int, int], net_size: Size, *, mirrored: bool
) -> NDArray[np.bool_]:
    """The breast's mask on the network's grid: each network pixel asks the working pixel under its centre."""
    (x1, y1, x2, y2), (down, across) = crop, work.pixel_yx
    rows = _centres(y1, y2, net_size.rows, down, breast.mask.shape[0])
    columns = _centres(x1, x2, net_size.columns, across, breast.mask.shape[1])
    return breast.mask[rows][:, columns[::-1] if mirrored else columns]


def _centres(start: int, stop: int, num: int, pixel: float, work: int) -> NDArray[np.int64]:
    centres = start + (np.arange(num) + 0.5) * (stop - start) / num
    return np.minimum(centres / pixel, work - 1).astype(np.int64)


def _gray_ends(gray: Gray, mask: NDArray[np.bool_]) -> tuple[float, float]:
    """The breast's percentiles, which the map takes to 0 and 1."""
    low, high = np.percentile(gray[mask], [LOW_PERCENT, HIGH_PERCENT]) if mask.any() else (0.0, 0.0)
    if not high > low:
        raise GeometryError(
            Reason.BLANK_IMAGE,
            "the breast's 5th and 95th percentiles of gray are equal; expected tissue of different densities",
        )
    return float(low), float(high)


def _map_gray(gray: Gray, low: float, high: float) -> Gray:
    mapped: Gray = (gray - np.float32(low)) / np.float32(high - low)
    return np.clip(mapped, *GRAY_RANGE, out=mapped)


def _landmarks(breast: Breast, work: _WorkingImage, reduce: int) -> Landmarks:
    (x, y), (down, across) = breast.nipple.xy, work.pixel_yx
    x_px, y_px, *_ = _full_resolution((x * across, y * down, 0.0, 0.0), reduce)
    return Landmarks((x_px, y_px), breast.nipple.confidence, breast.wall.confidence)
