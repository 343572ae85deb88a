"""The breast at its own resolution, kept while its exam is on its way: small crops are cut out of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Detail", "NativeCrop"]

Gray = NDArray[np.float32]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class NativeCrop:
    """A part of an image as it was presented, not mirrored."""

    gray: Gray = field(repr=False)  # (rows, columns) presented gray, 0 dark to 1 bright
    spacing_mm: tuple[float, float]  # (row, column)
    box: Box  # the box that it was cut around, in its own pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """The pixels of a breast's rectangle, and how they become normalised gray."""

    stored: NDArray[np.uint16] = field(repr=False)  # (rows, columns) of the rectangle, decoded resolution
    table: Gray = field(repr=False)  # stored value -> presented gray
    gray_low: float  # presented gray that normalises to 0
    gray_high: float  # and to 1
    rectangle_px: Box  # in stored pixels of the full resolution
    pixel_mm: tuple[float, float]  # (row, column) of its pixels
    mirrored: bool  # the chest wall was on the right; crops have it at the left
    gray_range: tuple[float, float]  # where normalised gray is cut off; its low end is air

    def crop(self, box_px: Box, side_mm: float, side_px: int) -> Gray:
        """(side_px, side_px) normalised gray of a square around a box's centre, chest wall at the left.

        Args:
            box_px: xyxy stored pixels.
            side_mm: of the square.
            side_px: pixels that it is averaged to; where the image is coarser, interpolated.
        """
        x1, y1, x2, y2 = self._own(box_px)
        half_x, half_y = side_mm / 2 / self.pixel_mm[1], side_mm / 2 / self.pixel_mm[0]
        x, y = (x1 + x2) / 2, (y1 + y2) / 2
        edges = [round(x - half_x), round(y - half_y), round(x + half_x), round(y + half_y)]
        cut = self._cut(edges[0], edges[1], max(edges[2], edges[0] + 1), max(edges[3], edges[1] + 1))
        # Pixels are not always square: one side may be finer than the crop's, and averaged, the other not.
        rows, columns = (min(side, side_px) for side in cut.shape)
        averaged = cv2.resize(cut, (columns, rows), interpolation=cv2.INTER_AREA)
        crop = np.asarray(
            cv2.resize(averaged, (side_px, side_px), interpolation=cv2.INTER_LINEAR), np.float32
        )
        return np.ascontiguousarray(crop[:, ::-1]) if self.mirrored else crop

    def native(self, box_px: Box, margin_mm: float) -> NativeCrop | None:
        """The presented pixels of a box and a margin around it; None where the box misses the breast."""
        x1, y1, x2, y2 = self._own(box_px)
        across, down = margin_mm / self.pixel_mm[1], margin_mm / self.pixel_mm[0]
        rows, columns = self.stored.shape
        left, top = max(int(x1 - across), 0), max(int(y1 - down), 0)
        right, lower = min(int(np.ceil(x2 + across)), columns), min(int(np.ceil(y2 + down)), rows)
        if left >= right or top >= lower:
            return None
        gray = self.table[self.stored[top:lower, left:right]]
        return NativeCrop(gray, self.pixel_mm, (x1 - left, y1 - top, x2 - left, y2 - top))

    def _own(self, box_px: Box) -> Box:
        """A box in this rectangle's pixels."""
        left, top, right, lower = self.rectangle_px
        across = self.stored.shape[1] / (right - left)
        down = self.stored.shape[0] / (lower - top)
        x1, y1, x2, y2 = box_px
        return (x1 - left) * across, (y1 - top) * down, (x2 - left) * across, (y2 - top) * down

    def _cut(self, x1: int, y1: int, x2: int, y2: int) -> Gray:
        """Normalised gray of a rectangle that may reach beyond the breast's: there is air."""
        low, high = self.gray_range
        cut = np.full((y2 - y1, x2 - x1), low, dtype=np.float32)
        rows, columns = self.stored.shape
        left, top, right, lower = max(x1, 0), max(y1, 0), min(x2, columns), min(y2, rows)
        if left < right and top < lower:
            gray = self.table[self.stored[top:lower, left:right]]
            gray = (gray - np.float32(self.gray_low)) / np.float32(self.gray_high - self.gray_low)
            cut[top - y1 : lower - y1, left - x1 : right - x1] = np.clip(gray, low, high)
        return cut
