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
from mammosweep.pixels.border import without_borders
from mammosweep.pixels.morphology import grown, opened
from mammosweep.pixels.orientation import EDGE_MM, ChestWall, Nipple, find_chest_wall, find_nipple

__all__ = ["WORK_SPACING_MM", "Breast", "segment"]

WORK_SPACING_MM = 0.8
"""Segmentation needs no finer grid: a label's stroke is about 3 mm, a film's border 1 to 5 mm wide."""

OPENING_MM = 14.0
"""Structures thinner than this are not breast: labels, tape, borders, the glow along a film's edges."""

WIDE_OPENING_MM = 34.0
"""A collar, an arm or a label's holder that joins the breast may be nearly as thick as this."""

MAX_PROTRUSION_MM = 12.0
"""What the wide opening shortens by more than this across the image was no nipple, but one of those."""

RECOVERY_MM = 8.0
"""How far beyond the opened component the threshold's pixels are taken back: skin, nipple, axilla."""

SPUR_MM = 4.0
"""Thinner than this, what is taken back is noise at the skin: of two exposures it is there in one."""

MIN_AREA_CM2 = 15.0
"""A compressed breast of 4 x 4 cm; smaller components are not one."""

# Of CBIS-DDSM's 1,231 training films the rectangles are 112 to 232 mm high (the film's height) and 34 to
# 136 mm wide, and the breast fills 0.54 to 0.89 of them. The largest detectors and films have 240 x 300 mm.
HEIGHT_MM, WIDTH_MM = (40.0, 330.0), (20.0, 330.0)
FILL = (0.35, 0.95)

MAX_AIR = 0.6
"""The median gray beside the breast, relative to its own: below 0.02 on all of those films. An image that
shows tissue only, or whose polarity is wrong, has no air."""

SECOND_BREAST = 0.4
"""A component of this share of the largest, at the opposite edge, is another breast."""

Mask = NDArray[np.bool_]
Bits = NDArray[np.uint8]  # 0 or 1


@dataclass(frozen=True, slots=True)
class Breast:
    """The breast in a view, on the working grid."""

    mask: Mask  # (h, w)
    wall: ChestWall
    nipple: Nipple

    @property
    def rectangle(self) -> tuple[int, int, int, int]:
        """The smallest upright rectangle around it: x1, y1, x2, y2, half open."""
        return _rectangle(self.mask)


def segment(gray: NDArray[np.uint8], spacing_mm: float = WORK_SPACING_MM) -> Breast:
    """Find the breast in a presented view on a grid of square pixels.

    Args:
        gray: (h, w), 0 dark to 255 bright.
        spacing_mm: the grid's pixel.

    Raises:
        GeometryError: nothing in the image is large and thick enough to be a breast, what is found cannot be
            one, or there are two.
    """
    height_mm, width_mm = (side * spacing_mm for side in gray.shape)
    if min(height_mm, width_mm) < OPENING_MM:
        raise GeometryError(
            Reason.NO_BREAST,
            f"the image is {height_mm:.3g} x {width_mm:.3g} mm; a breast takes at least {OPENING_MM:g} mm",
        )
    bright = _above_triangle(without_borders(gray, spacing_mm))
    mask = _breast(bright, spacing_mm).astype(np.bool_)
    _check_plausible(mask, gray, spacing_mm)
    wall = find_chest_wall(mask, spacing_mm)
    return Breast(mask, wall, find_nipple(mask, wall, spacing_mm))


def _breast(bright: Bits, spacing_mm: float) -> Bits:
    """The component and what belongs to it, without what sticks out beyond the nipple."""
    component = _breast_component(opened(bright, OPENING_MM, spacing_mm), spacing_mm)
    mask = _recovered(component, bright, spacing_mm)
    wide = opened(mask, WIDE_OPENING_MM, spacing_mm)
    if not wide.any():
        return mask
    body = _recovered(_largest(wide), mask, spacing_mm)
    shortened_mm = (_width(mask) - _width(body)) * spacing_mm
    return body if shortened_mm > MAX_PROTRUSION_MM else mask


def _width(mask: Bits) -> int:
    x1, _, x2, _ = _rectangle(mask.astype(np.bool_))
    return x2 - x1


def _above_triangle(gray: NDArray[np.uint8]) -> Bits:
    """Zack's triangle threshold (J Histochem Cytochem 1977;25:741), by OpenCV."""
    _, bright = cv2.threshold(gray, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_TRIANGLE)
    return bright.astype(np.uint8)


def _breast_component(thick: Bits, spacing_mm: float) -> Bits:
    num, labels, stats, _ = cv2.connectedComponentsWithStats(thick, connectivity=4)
    if num < 2:
        raise GeometryError(Reason.NO_BREAST, "no bright region is thick enough to be a breast")
    by_area = 1 + np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable")
    largest = int(by_area[0])
    area_cm2 = float(stats[largest, cv2.CC_STAT_AREA]) * spacing_mm**2 / 100
    if area_cm2 < MIN_AREA_CM2:
        raise GeometryError(
            Reason.NO_BREAST,
            f"the largest bright region covers {area_cm2:.1f} cm2; a breast covers at least {MIN_AREA_CM2:g}",
        )
    _check_alone(np.asarray(stats, np.int64)[by_area], thick.shape[1], spacing_mm)
    component: Bits = (labels == largest).astype(np.uint8)
    return component


def _check_alone(stats: NDArray[np.int64], width: int, spacing_mm: float) -> None:
    """Not two breasts side by side, each at its own edge.

    Raises:
        GeometryError: BOTH_BREASTS.
    """
    if len(stats) < 2 or stats[1, cv2.CC_STAT_AREA] < SECOND_BREAST * stats[0, cv2.CC_STAT_AREA]:
        return
    near = round(EDGE_MM / spacing_mm)
    lefts = stats[:2, cv2.CC_STAT_LEFT]
    rights = lefts + stats[:2, cv2.CC_STAT_WIDTH]
    if lefts.min() <= near and rights[np.argmin(lefts)] <= lefts.max() and rights.max() >= width - near:
        raise GeometryError(
            Reason.BOTH_BREASTS, "two regions of a breast's size lie at the left and right edge; expected one"
        )


def _recovered(component: Bits, bright: Bits, spacing_mm: float) -> Bits:
    """The component with what is bright near it, in one piece, its holes closed."""
    near = grown(component, RECOVERY_MM, spacing_mm) & bright
    return _largest(opened(near, SPUR_MM, spacing_mm))


def _largest(mask: Bits) -> Bits:
    """Its largest piece, holes closed."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest = max(contours, key=cv2.contourArea)
    return cv2.drawContours(np.zeros_like(mask), [largest], -1, 1, cv2.FILLED).astype(np.uint8)


def _rectangle(mask: Mask) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _check_plausible(mask: Mask, gray: NDArray[np.uint8], spacing_mm: float) -> None:
    """What was found has a breast's size and shape, and air beside it.

    Raises:
        GeometryError: BREAST_IMPLAUSIBLE.
    """
    x1, y1, x2, y2 = _rectangle(mask)
    height_mm, width_mm = (y2 - y1) * spacing_mm, (x2 - x1) * spacing_mm
    fill = np.count_nonzero(mask) / ((y2 - y1) * (x2 - x1))
    air = float(np.median(gray[~mask]) / max(np.median(gray[mask]), 1)) if not mask.all() else 1.0
    found = {
        "height in mm": (height_mm, HEIGHT_MM),
        "width in mm": (width_mm, WIDTH_MM),
        "share of its rectangle": (fill, FILL),
        "background, relative to its own gray,": (air, (0.0, MAX_AIR)),
    }
    for name, (value, (low, high)) in found.items():
        if not low <= value <= high:
            raise GeometryError(
                Reason.BREAST_IMPLAUSIBLE,
                f"what stands out from the background has a {name} of {value:.3g}; a breast has {low:g} to "
                f"{high:g}: look at the image, and at its pixel spacing",
            )
