"""Where the breast is: triangle threshold, then the one component that is the breast.

Films carry labels, tape, notes and bright borders, digital images none of these. All of them are thinner
than a breast or do not reach the chest wall, which is what tells them apart here.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mammosweep.errors import GeometryError, Reason

__all__ = ["WORK_SPACING_MM", "Breast", "segment"]

WORK_SPACING_MM = 0.8
"""Segmentation needs no finer grid: a label's stroke is about 3 mm, a film's border 1 to 5 mm wide."""

WHITE = 230
"""Of 255. The unexposed rim of a scanned film is whiter than any tissue on it."""

MAX_BORDER_MM = 10.0
"""Whiter for longer from an edge inwards is tissue that its window saturates, not a film's rim."""

MIN_BORDER_SHARE = 0.1
"""Of an edge's length that has to be white before the whole edge is taken for a rim."""

RIM_STEP = 10
"""Of 255, from the outermost line to the next: tissue changes by 2 to 6 in 0.8 mm, a rim thinner than that by
13 to 47 on the demo's films."""

OPENING_MM = 14.0
"""Structures thinner than this are not breast: labels, tape, borders, the glow along a film's edges."""

RECOVERY_MM = 8.0
"""How far beyond the opened component the threshold's pixels are taken back: skin, nipple, axilla."""

MIN_AREA_CM2 = 15.0
"""A compressed breast of 4 x 4 cm; smaller components are not one."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Breast:
    """The breast in a view, on the working grid."""

    mask: Mask  # (h, w)
    chest_wall_right: bool

    @property
    def rectangle(self) -> tuple[int, int, int, int]:
        """The smallest upright rectangle around it: x1, y1, x2, y2, half open."""
        rows, columns = np.flatnonzero(self.mask.any(axis=1)), np.flatnonzero(self.mask.any(axis=0))
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def segment(gray: NDArray[np.uint8], spacing_mm: float = WORK_SPACING_MM) -> Breast:
    """Find the breast in a presented view on a grid of square pixels.

    Args:
        gray: (h, w), 0 dark to 255 bright.
        spacing_mm: the grid's pixel.

    Raises:
        GeometryError: nothing in the image is large and thick enough to be a breast.
    """
    height_mm, width_mm = (side * spacing_mm for side in gray.shape)
    if min(height_mm, width_mm) < OPENING_MM:
        raise GeometryError(
            Reason.NO_BREAST,
            f"the image is {height_mm:.3g} x {width_mm:.3g} mm; a breast takes at least {OPENING_MM:g} mm",
        )
    bright = _above_triangle(_without_borders(gray, spacing_mm))
    component = _breast_component(_opened(bright, OPENING_MM / 2 / spacing_mm), spacing_mm)
    near = cv2.dilate(component, _disc(RECOVERY_MM / spacing_mm)).astype(np.uint8)
    mask = _filled(near & bright)
    return Breast(mask.astype(np.bool_), _chest_wall_right(mask))


def _without_borders(gray: NDArray[np.uint8], spacing_mm: float) -> NDArray[np.uint8]:
    """The view with a scanned film's white rims made dark."""
    inner = gray.copy()
    for edge in range(4):
        from_edge = np.rot90(gray, edge)  # the edge in question is the first row
        depth = _border_depth(from_edge >= WHITE, MAX_BORDER_MM / spacing_mm)
        depth = max(depth, _has_thin_rim(from_edge))
        np.rot90(inner, edge)[:depth] = 0  # a view: writes into inner
    return inner


def _has_thin_rim(from_edge: NDArray[np.uint8]) -> bool:
    """Whether the outermost line alone is brighter than what lies beside it."""
    first, second = from_edge[0].astype(np.int16), from_edge[1].astype(np.int16)
    lit = second > second.max() // 8
    return bool(lit.any() and np.median((first - second)[lit]) >= RIM_STEP)


def _border_depth(white: Mask, limit: float) -> int:
    """How many rows from the first on are a rim, by its whitest run: 0 where too little is white."""
    runs = np.where(white.all(axis=0), white.shape[0], np.argmin(white, axis=0))
    rim = runs[(runs > 0) & (runs <= limit)]
    if rim.size < MIN_BORDER_SHARE * runs.size or rim.size < np.count_nonzero(runs > limit):
        return 0
    return int(rim.max()) + 1  # the last row of a rim is half rim, half film


def _above_triangle(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Zack's triangle threshold (J Histochem Cytochem 1977;25:741), by OpenCV."""
    _, bright = cv2.threshold(gray, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_TRIANGLE)
    return bright.astype(np.uint8)


def _disc(radius: float) -> NDArray[np.uint8]:
    size = 2 * max(round(radius), 1) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)).astype(np.uint8)


def _opened(bright: NDArray[np.uint8], radius: float) -> NDArray[np.uint8]:
    """Open with dark all around the image, so that a bright strip along an edge counts as thin too."""
    disc = _disc(radius)
    pad = disc.shape[0]
    padded = cv2.copyMakeBorder(bright, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=0)
    return cv2.morphologyEx(padded, cv2.MORPH_OPEN, disc)[pad:-pad, pad:-pad].astype(np.uint8)


def _breast_component(opened: NDArray[np.uint8], spacing_mm: float) -> NDArray[np.uint8]:
    num, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    if num < 2:
        raise GeometryError(Reason.NO_BREAST, "no bright region is thick enough to be a breast")
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    area_cm2 = float(stats[largest, cv2.CC_STAT_AREA]) * spacing_mm**2 / 100
    if area_cm2 < MIN_AREA_CM2:
        raise GeometryError(
            Reason.NO_BREAST,
            f"the largest bright region covers {area_cm2:.1f} cm2; a breast covers at least {MIN_AREA_CM2:g}",
        )
    component: NDArray[np.uint8] = (labels == largest).astype(np.uint8)
    return component


def _filled(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The largest piece of what was recovered, its holes closed."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest = max(contours, key=cv2.contourArea)
    return cv2.drawContours(np.zeros_like(mask), [largest], -1, 1, cv2.FILLED).astype(np.uint8)


def _chest_wall_right(mask: NDArray[np.uint8]) -> bool:
    """The breast is cut by the image's edge at the chest wall, and rounded at the nipple: its half with more
    breast in it is the chest wall's.
    """
    columns = np.flatnonzero(mask.any(axis=0))
    middle = (columns[0] + columns[-1] + 1) // 2
    return bool(mask[:, middle:].sum() > mask[:, :middle].sum())
