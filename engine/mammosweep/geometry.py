"""How stored pixels map to network pixels, and back: the object that crops, scales and mirrors a view is
the object that maps its boxes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["PixelGrid", "Size", "clipped"]

BoxArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Size:
    """Rows and columns."""

    rows: int
    columns: int

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self.rows * self.columns


def clipped(boxes_px: BoxArray, size_px: Size) -> BoxArray:
    """Cut (K, 4) xyxy boxes off at the edges of their image."""
    right, lower = size_px.columns, size_px.rows
    return np.clip(boxes_px, 0.0, [right, lower, right, lower])


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelGrid:
    """One view's crop on the network's grid, chest wall at the left.

    Scales differ in x and y where the stored pixels are not square, and by the rounding of the crop to
    whole network pixels. The crop of a frame that was decoded at a lower resolution may begin up to 1.5
    pixels outside the image (see `pixels.normalise`); `clipped` brings boxes back.
    """

    crop_px: tuple[float, float, float, float]  # x1, y1, x2, y2: outer edges, in stored pixels
    net_size: Size  # the crop's size in network pixels
    mirrored: bool  # the chest wall was on the right

    @property
    def scale_xy(self) -> tuple[float, float]:
        """Network pixels per stored pixel, across and down."""
        x1, y1, x2, y2 = self.crop_px
        return self.net_size.columns / (x2 - x1), self.net_size.rows / (y2 - y1)

    def to_network(self, boxes_px: ArrayLike) -> BoxArray:
        """Move (K, 4) xyxy boxes from stored pixels to network pixels."""
        return self._mirror((self._rows(boxes_px) - self._origin) * self._scale)

    def to_native(self, boxes_net: ArrayLike) -> BoxArray:
        """Move (K, 4) xyxy boxes from network pixels to stored pixels."""
        return self._mirror(self._rows(boxes_net)) / self._scale + self._origin

    @property
    def _origin(self) -> BoxArray:
        return np.tile(np.asarray(self.crop_px[:2], dtype=np.float64), 2)

    @property
    def _scale(self) -> BoxArray:
        return np.tile(np.asarray(self.scale_xy, dtype=np.float64), 2)

    @staticmethod
    def _rows(boxes: ArrayLike) -> BoxArray:
        return np.asarray(boxes, dtype=np.float64).reshape(-1, 4)

    def _mirror(self, boxes: BoxArray) -> BoxArray:
        if not self.mirrored:
            return boxes
        x1, y1, x2, y2 = boxes.T
        width = self.net_size.columns
        return np.stack([width - x2, y1, width - x1, y2], axis=1)
