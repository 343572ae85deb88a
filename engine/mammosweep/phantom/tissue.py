"""What normal tissue looks like: fat, fibroglandular texture, ducts and septa, muscle, skin.

Gray values are on a 12-bit scale (0..4095) whatever is stored in the end. Arrays are (H, W) on the
0.4 mm grid, float32.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from mammosweep.phantom.anatomy import GRID_MM, Breast, Plane
from mammosweep.phantom.streams import random_stream
from mammosweep.records import Position

__all__ = ["tissue"]

FloatArray = NDArray[np.float32]

FAT = 800.0
MUSCLE = 720.0
SKIN = 260.0
ROLL_MM = 16.0  # how far inside the outline the compressed breast has its full thickness
REACH_MM = 126.0  # beyond the deepest breast's nipple there is nothing to draw
# By BI-RADS composition: gray added by gland, its extent as a share of the breast, how patchy it is.
GLAND = {
    "a": (420.0, 0.42, 0.55),
    "b": (560.0, 0.55, 0.5),
    "c": (700.0, 0.68, 0.42),
    "d": (800.0, 0.85, 0.3),
}


def tissue(seed: int, index: int, breast: Breast, plane: Plane) -> FloatArray:
    """Draw a breast without lesions, noise or labels."""
    edge = plane.edge_mm[:, : round(REACH_MM / GRID_MM)]
    fields = _Fields(seed, index, breast, plane.position, edge.shape)
    x, y = _axes(edge.shape)
    gland = _gland(breast, plane, fields, x, y)
    parenchyma = gland + _strands(plane, fields, x, y) * (0.35 + 0.65 * np.clip(gland / 500, 0, 1))
    muscle, behind = _muscle(plane, fields, x, y)
    body = FAT + 45 * fields("fat", 9.0) + parenchyma * (1 - 0.8 * behind) + muscle
    thick = np.sqrt(1 - (1 - np.clip(edge / ROLL_MM, 0, 1)) ** 2)
    skin = SKIN * np.exp(-(((edge - 1.0) / 0.7) ** 2)) * (edge > 0.05)
    gray = np.zeros(plane.edge_mm.shape, dtype=np.float32)
    gray[:, : edge.shape[1]] = body * thick**0.75 + skin
    return gray


class _Fields:
    """Smooth noise of unit variance: partly this view's own, partly shared by both views or both sides."""

    SHARES = (0.4, 0.3, 0.3)  # of the variance: both sides (same view), both views (same breast), own

    def __init__(
        self, seed: int, index: int, breast: Breast, position: Position, shape: tuple[int, ...]
    ) -> None:
        self._key = (seed, index)
        self._names = (position, breast.laterality, f"{breast.laterality}{position}")
        self._shape = shape

    def __call__(self, name: str, scale_mm: float, shape: tuple[int, int] | None = None) -> FloatArray:
        """Give a field whose structures are about ``scale_mm`` wide."""
        rows, columns = shape or self._shape
        step = scale_mm / 2 / GRID_MM
        coarse = (max(4, round(rows / step)), max(4, round(columns / step)))
        mix = sum(
            np.sqrt(share) * draw for share, draw in zip(self.SHARES, self._draws(name, coarse), strict=True)
        )
        wide = cv2.resize(np.asarray(mix, dtype=np.float32), (columns, rows), interpolation=cv2.INTER_CUBIC)
        return np.asarray(wide / max(float(wide.std()), 1e-6), dtype=np.float32)

    def _draws(self, name: str, shape: tuple[int, int]) -> Iterator[FloatArray]:
        for owner in self._names:
            yield random_stream(*self._key, "field", name, owner).standard_normal(shape, dtype=np.float32)


def _axes(shape: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
    """X and y of every grid pixel in millimetres, as a row and a column that broadcast."""
    rows, columns = shape
    x = ((np.arange(columns) + 0.5) * GRID_MM).astype(np.float32)[None, :]
    y = ((np.arange(rows) + 0.5) * GRID_MM).astype(np.float32)[:, None]
    return x, y


def _gland(breast: Breast, plane: Plane, fields: _Fields, x: FloatArray, y: FloatArray) -> FloatArray:
    brightness, extent, patchy = GLAND[breast.density]
    depth, outer, up = breast.gland_centre
    half = breast.height_mm / 2
    centre = plane.place(depth * breast.depth_mm, outer * half, up * half)
    reach = extent * breast.gland_extent
    radius = np.hypot(
        (x - centre[0]) / (0.62 * reach * breast.depth_mm), (y - centre[1]) / (0.95 * reach * half)
    )
    ragged = 0.28 * fields("border", 22.0) + 0.16 * fields("border fine", 7.0)
    region = 1 / (1 + np.exp(-(1 - radius + ragged) / 0.11))
    grain = 0.55 * fields("lobules", 6.0) + 0.35 * fields("fine", 2.6) + 0.25 * fields("finest", 1.3)
    lobules = np.clip(0.8 + 0.45 * patchy * grain, 0.25, 1.6)
    return np.asarray(brightness * region * lobules, dtype=np.float32)


def _strands(plane: Plane, fields: _Fields, x: FloatArray, y: FloatArray) -> FloatArray:
    """Ducts that run to the nipple, and a web of septa: thin bright curves where a smooth field is zero."""
    away_x, away_y = plane.nipple_mm[0] + 12 - x, y - plane.nipple_mm[1]
    radius = np.hypot(away_x, away_y)
    angle = np.arctan2(away_y, away_x)
    polar = fields("ducts", 7.0, (360, 720))  # rows: 25 mm per 60; columns: 0.5 degree
    map_x = ((angle / np.pi + 0.5) * 719).astype(np.float32)
    map_y = (radius * 0.7).astype(np.float32)
    ducts = cv2.remap(polar, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    web = fields("septa", 11.0) + 0.35 * fields("septa fine", 4.0)
    fade = np.clip(radius / 30, 0, 1)
    return np.asarray(190 * fade * np.exp(-((ducts / 0.16) ** 2)) + 130 * np.exp(-((web / 0.13) ** 2)))


def _muscle(plane: Plane, fields: _Fields, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Gray added by the pectoral muscle, and where it lies (0..1)."""
    if plane.position is Position.CC:
        nothing = np.zeros((1, 1), dtype=np.float32)
        return nothing, nothing
    inside = plane.muscle_edge(y).astype(np.float32) - x
    weight = 1 / (1 + np.exp(-np.clip(inside / 0.9, -30, 30)))
    fibres = 30 * np.sin(inside * 1.1 + 1.5 * fields("fibres", 30.0))
    gray = weight * (MUSCLE + fibres + 3.0 * np.clip(inside, 0, 40))
    return np.asarray(gray, dtype=np.float32), np.asarray(weight, dtype=np.float32)
