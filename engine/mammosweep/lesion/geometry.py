"""Where a finding lies by geometry alone: nipple, chest wall and pectoral line, no network.

Stands beside the networks of `quadrant.py` and `depth.py` as a check, and in their stead where a bundle has
none. Views have the chest wall at the left, and the patient's head (CC: outer side) up, as both breasts hang.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammosweep.geometry import PixelGrid
from mammosweep.records import Laterality, Position

__all__ = ["CONFIDENT", "PectoralLine", "Place", "find_pectoral", "nipple_on_grid", "places", "settle"]

# Shapes:  H, W network pixels   h, w pixels of the search's grid   K findings   N lines

FloatArray = NDArray[np.float32]

CONFIDENT = 0.5
"""From here on geometry may contradict the networks."""

MAX_DEPTH_DIFFERENCE = 0.25
"""Beyond this a network's depth is not believed against a confident geometry."""

MIN_NIPPLE = 0.2
"""Below this the outline is so flat that distances from its tip say nothing."""

# The regions of a view as truth tables have them: `quadrant_of` in phantom/lesions.py.
AREOLA_MM = 22.0
LEVEL_MM = 10.0
TAIL_MM = 48.0

STANDS_OUT_MM = 4.0
"""The outline's tip is the nipple's; depth counts from the skin under it (NIPPLE_MM, phantom/anatomy.py)."""

SEARCH_MM = 1.0
"""The grid on which the pectoral is looked for."""

BAND_MM = 8
"""How much on either side of a line is compared: strands of gland are narrower."""

GRAY = (0.0, 1.2)
"""Normalised gray beyond is cut off before: air looks like fat then, and the skin like no edge."""

MAX_STEP = 0.4
"""What a step counts at most: one dense spot does not make a line."""

CLEAR_STEP = 0.12
"""A step that is seen as one. Of 36 oblique films' lines at least 0.64 have it, of the best lines that can be
drawn into 12 craniocaudal ones, which show no muscle at the top, at most 0.47; of 48 and 48 phantoms' views,
0.83 and 0.48."""

# Lines that are tried, all looser than what those films and phantoms have.
UPPER_MM = (12.0, 110.0)
"""Where the line leaves the image's upper edge, from the chest wall's."""

LOWER_MM = (-90.0, 24.0)
"""Where it crosses the nipple's level; below 0 it has left the image above that."""

SLOPE = (0.2, 1.4)
"""How far it runs to the side for each millimetre downwards."""

MARGIN = 3.0
"""Nearer to the image's edge, in pixels of the search, there is no band to compare with."""

MIN_LENGTH_MM = 25.0
"""Of a line, downwards: a shorter one is no muscle's."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in its breast a finding lies; None where that is not known."""

    depth: float | None  # 0 nipple, 1 chest wall (CC) or pectoralis major (MLO)
    quadrant: str | None  # a word of `vocabulary.QUADRANTS`
    nipple_mm: float | None  # the box's centre from the nipple
    confidence: float  # 0..1, of depth and quadrant


@dataclass(frozen=True, slots=True)
class PectoralLine:
    """The pectoral's edge in an oblique view, in millimetres on the view's axes."""

    upper_mm: float  # x at the image's upper edge
    slope: float  # how far x falls per millimetre downwards
    confidence: float  # 0..1: along how much of its length it is clearly brighter at the wall's side

    def x_mm(self, y_mm: float) -> float:
        """Where it is, ``y_mm`` below the upper edge."""
        return self.upper_mm - self.slope * y_mm


def nipple_on_grid(nipple_px: tuple[float, float], grid: PixelGrid) -> tuple[float, float]:
    """Give the nipple of `pixels.normalise.Landmarks` in network pixels, x and y."""
    x, y, *_ = grid.to_network([(*nipple_px, *nipple_px)])[0].tolist()
    return x, y


def places(
    view_gray_HW: FloatArray,
    grid_mm: float,
    nipple_net_xy: tuple[float, float] | None,
    nipple_confidence: float,
    laterality: Laterality,
    position: Position,
    boxes_K4: ArrayLike,
) -> list[Place]:
    """Give the places of one view's findings.

    Args:
        view_gray_HW: the breast's normalised gray, chest wall at the left.
        grid_mm: side of a network pixel.
        nipple_net_xy: the outline's tip in network pixels, see `nipple_on_grid`; None where it is not known.
        nipple_confidence: 0..1.
        laterality: without effect: views of both breasts hang with the outer side up.
        position: CC or MLO.
        boxes_K4: xyxy, network pixels.
    """
    boxes = np.asarray(boxes_K4, dtype=np.float64).reshape(-1, 4)
    if nipple_net_xy is None or nipple_confidence < MIN_NIPPLE or not len(boxes):
        return [Place(None, None, None, 0.0)] * len(boxes)
    tip_mm = (nipple_net_xy[0] * grid_mm, nipple_net_xy[1] * grid_mm)
    wall_mm, seen = _wall(view_gray_HW, grid_mm, tip_mm[1], position)
    nipple_mm = (max(tip_mm[0] - STANDS_OUT_MM, wall_mm + STANDS_OUT_MM), tip_mm[1])
    confidence = min(nipple_confidence, seen)
    centres_mm = (boxes[:, :2] + boxes[:, 2:]) / 2 * grid_mm
    return [_place((x, y), nipple_mm, wall_mm, position, confidence) for x, y in centres_mm.tolist()]


def _wall(gray_HW: FloatArray, grid_mm: float, nipple_y_mm: float, position: Position) -> tuple[float, float]:
    """Where depth is 1, on the nipple's level, and how sure that is.

    In CC that is the image's edge; in MLO the pectoral's, where it is seen. A muscle that leaves the image
    above the nipple's level is taken to lie at its edge there, for nothing deeper is imaged; so is one
    that is not seen.
    """
    if position is Position.CC:
        return 0.0, 1.0
    line = find_pectoral(gray_HW, grid_mm, nipple_y_mm)
    if line is None or line.confidence < CONFIDENT:
        return 0.0, 0.0 if line is None else line.confidence
    return max(line.x_mm(nipple_y_mm), 0.0), line.confidence


def _place(
    centre_mm: tuple[float, float],
    nipple_mm: tuple[float, float],
    wall_mm: float,
    position: Position,
    confidence: float,
) -> Place:
    depth = (nipple_mm[0] - centre_mm[0]) / (nipple_mm[0] - wall_mm)
    return Place(
        depth=min(max(depth, 0.0), 1.0),
        quadrant=_quadrant(centre_mm, nipple_mm, position),
        nipple_mm=math.dist(centre_mm, nipple_mm),
        confidence=confidence,
    )


def _quadrant(centre_mm: tuple[float, float], nipple_mm: tuple[float, float], position: Position) -> str:
    rise = nipple_mm[1] - centre_mm[1]
    if math.dist(centre_mm, nipple_mm) <= AREOLA_MM:
        return "areola"
    if abs(rise) <= LEVEL_MM:
        return "middle"
    if position is Position.CC:
        return "outer" if rise > 0 else "inner"
    if rise > TAIL_MM:
        return "axillary_tail"
    return "upper" if rise > 0 else "lower"


def find_pectoral(gray_HW: FloatArray, grid_mm: float, nipple_y_mm: float) -> PectoralLine | None:
    """Find the straight line that fits the pectoral's edge best; None where nothing looks like one.

    Of all lines from the upper edge down to the chest wall or the nipple's level, the one across which the
    gray falls most, summed over its height: long faint edges win over short bright ones.

    Args:
        gray_HW: normalised gray of an oblique view, chest wall at the left.
        grid_mm: side of its pixels.
        nipple_y_mm: the nipple's level.
    """
    height = int(nipple_y_mm / SEARCH_MM)
    if height * SEARCH_MM < MIN_LENGTH_MM:
        return None
    step_hw = _steps(gray_HW, grid_mm)[:height]
    upper_N, slope_N = _lines(step_hw.shape)
    scores = _sums(step_hw, upper_N, slope_N)
    best = int(np.argmax(scores))
    if scores[best] <= 0:
        return None
    upper, slope = float(upper_N[best]), float(slope_N[best])
    return PectoralLine(upper * SEARCH_MM, slope, _clear_share(step_hw, upper, slope))


def _steps(gray_HW: FloatArray, grid_mm: float) -> FloatArray:
    """(h, w) by how much the band left of each pixel's left edge is brighter than that right of it."""
    rows, columns = (max(round(side * grid_mm / SEARCH_MM), 1) for side in gray_HW.shape)
    gray = np.clip(np.asarray(gray_HW, dtype=np.float32), *GRAY)
    gray_hw = cv2.resize(gray, (columns, rows), interpolation=cv2.INTER_AREA)
    band = round(BAND_MM / SEARCH_MM)
    padded = np.pad(gray_hw, ((0, 0), (band, band)), mode="edge")
    sums = np.pad(np.cumsum(padded, axis=1, dtype=np.float64), ((0, 0), (1, 0)))
    means = (sums[:, band:] - sums[:, :-band]) / band
    step_hw = means[:, :columns] - means[:, band : band + columns]
    return np.minimum(step_hw, MAX_STEP).astype(np.float32)


def _lines(shape_hw: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
    """(N,) x at the upper edge and slope of every line that is tried."""
    upper = np.arange(UPPER_MM[0], UPPER_MM[1], 1.0, dtype=np.float32) / SEARCH_MM
    lower = np.arange(LOWER_MM[0], LOWER_MM[1], 2.0, dtype=np.float32) / SEARCH_MM
    upper = upper[upper < shape_hw[1]]
    uppers, lowers = (side.ravel() for side in np.meshgrid(upper, lower, indexing="ij"))
    slopes = (uppers - lowers) / shape_hw[0]
    length = np.minimum(uppers / np.maximum(slopes, 1e-6), shape_hw[0])
    kept = (slopes >= SLOPE[0]) & (slopes <= SLOPE[1]) & (length >= MIN_LENGTH_MM / SEARCH_MM)
    return uppers[kept], slopes[kept]


def _sums(step_hw: FloatArray, upper_N: FloatArray, slope_N: FloatArray) -> FloatArray:
    """(N,) the steps along each line, summed over its rows within the image."""
    total = np.zeros(len(upper_N), dtype=np.float32)
    for row, steps in enumerate(step_hw):
        x = upper_N - slope_N * (row + 0.5)
        column = np.clip(np.rint(x).astype(np.int64), 0, len(steps) - 1)
        total += np.where(x >= MARGIN, steps[column], 0.0)
    return total


def _clear_share(step_hw: FloatArray, upper: float, slope: float) -> float:
    """Of the line's rows, those where the step is clear."""
    x = upper - slope * (np.arange(len(step_hw)) + 0.5)
    rows = np.flatnonzero(x >= MARGIN)
    columns = np.minimum(np.rint(x[rows]).astype(np.int64), step_hw.shape[1] - 1)
    return float(np.mean(step_hw[rows, columns] >= CLEAR_STEP))


def settle(network: Place | None, geometry: Place) -> tuple[Place, str | None]:
    """Choose between the networks' place and geometry's.

    The networks' stands unless there is none, or its depth is far from a confident geometry's. The distance
    from the nipple is geometry's in any case.

    Returns:
        the place, and what gave it: "network", "geometry", or None where nothing is known.
    """
    if network is None or _contradicts(geometry, network):
        return geometry, None if geometry.depth is None else "geometry"
    return replace(network, nipple_mm=geometry.nipple_mm), "network"


def _contradicts(geometry: Place, network: Place) -> bool:
    if geometry.depth is None or network.depth is None or geometry.confidence < CONFIDENT:
        return False
    return abs(geometry.depth - network.depth) > MAX_DEPTH_DIFFERENCE
