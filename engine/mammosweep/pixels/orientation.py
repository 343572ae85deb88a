"""Which way a breast lies in its image: chest wall, nipple, and whether the header says the same.

Both are read off the breast's outline. A compressed breast meets the image's edge at the chest wall, where it
is widest, and ends in the nipple; each estimate says how much of that it saw.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mammosweep.errors import GeometryError, Reason
from mammosweep.pixels.morphology import opened

__all__ = [
    "CONFIDENT",
    "EDGE_MM",
    "ChestWall",
    "Nipple",
    "check_side",
    "declared_right",
    "find_chest_wall",
    "find_nipple",
]

Mask = NDArray[np.bool_]

EDGE_MM = 12.0
"""A scanned film's rim is up to 10 mm wide; what ends within this distance of an edge is cut by it."""

CONFIDENT = 0.5
"""Of the 1,231 films of CBIS-DDSM's mass training set all but one reach this, none on the wrong side."""

BODY_SHARE = 0.4
"""Of the breast's depth: what is thinner is not searched for the nipple."""

TIP_MM = 1.0
"""The nipple is the middle of what lies within this of the outline's farthest point."""

SMOOTH_MM = 25.0
"""Bumps smaller than half of this are smoothed away; a nipple is about 10 mm high."""

BUMP_MM, BUMP_WITHIN_MM = 2.0, 25.0
"""How far a nipple in profile stands out, and how far from the outline's tip it is looked for."""

IN_PROFILE = 0.8
"""The confidence where one is found."""

FLAT_TIP_MM = 60.0
"""A tip of this height says nothing of where the nipple is."""

MIN_HELD = 0.6
"""Of the breast's width that has to lie along the upper or lower edge before that is the chest wall's."""


@dataclass(frozen=True, slots=True)
class ChestWall:
    """On which side of the image the breast meets the body."""

    right: bool
    confidence: float  # 0 not known, 1 the whole breast ends at this side's edge


@dataclass(frozen=True, slots=True)
class Nipple:
    """Where the outline is farthest from the chest wall, x and y in pixels of the mask (edge coordinates)."""

    xy: tuple[float, float]
    confidence: float  # 0 a flat outline, 1 a sharp tip


def find_chest_wall(mask: Mask, spacing_mm: float) -> ChestWall:
    """The side whose edge cuts the breast, and in whose half there is more of it.

    Raises:
        GeometryError: BREAST_IMPLAUSIBLE, the upper or lower edge cuts it instead.
    """
    near = max(round(EDGE_MM / spacing_mm), 1)
    left, right = (_share(edge, mask, axis=1) for edge in (mask[:, :near], mask[:, -near:]))
    upper, lower = (_share(edge, mask, axis=0) for edge in (mask[:near], mask[-near:]))
    if max(upper, lower) >= MIN_HELD and max(left, right) < 1 - MIN_HELD:
        raise GeometryError(
            Reason.BREAST_IMPLAUSIBLE,
            f"the breast ends at the image's {'upper' if upper > lower else 'lower'} edge; expected the "
            "chest wall at the left or right: turn the image",
        )
    found = np.flatnonzero(mask.any(axis=0))
    middle = (found[0] + found[-1] + 1) // 2
    halves = int(mask[:, :middle].sum()), int(mask[:, middle:].sum())
    vote = right - left + (halves[1] - halves[0]) / sum(halves)
    return ChestWall(right=bool(vote > 0), confidence=float(min(abs(vote), 1.0)))


def _share(edge: Mask, mask: Mask, *, axis: int) -> float:
    """Of the breast's rows (or columns), those that end near the edge."""
    return float(np.count_nonzero(edge.any(axis=axis)) / np.count_nonzero(mask.any(axis=axis)))


def find_nipple(mask: Mask, wall: ChestWall, spacing_mm: float) -> Nipple:
    """The outline's farthest point from the line between its two ends.

    Of a craniocaudal view that line is the image's edge; of an oblique one, whose upper end is cut off in the
    armpit, it runs about as the pectoral muscle does.
    """
    reach = _reach(mask, wall)
    thick = opened(mask, BODY_SHARE * float(reach.max()), 1.0).astype(np.bool_)
    body = _reach(thick, wall) if thick.any() else reach
    rows = np.flatnonzero(body)
    first, last = int(rows[0]), int(rows[-1])
    chord = np.linspace(_end(body[first:], first, spacing_mm), 0.0, last - first + 1)
    height = body[first : last + 1] - chord
    tip = first + np.flatnonzero(height >= height.max() - TIP_MM / spacing_mm)
    bump = _bump(reach, int(np.median(tip)), spacing_mm)
    sharpness = float(np.clip(1 - (tip[-1] - tip[0]) * spacing_mm / FLAT_TIP_MM, 0.0, 1.0))
    row = int(np.median(tip)) if bump is None else bump
    x = float(reach[row])
    return Nipple(
        xy=(mask.shape[1] - x if wall.right else x, row + 0.5),
        confidence=sharpness if bump is None else max(sharpness, IN_PROFILE),
    )


def _bump(reach: NDArray[np.int64], tip: int, spacing_mm: float) -> int | None:
    """The row near the tip where something stands out from the outline as a nipple in profile does."""
    half = round(SMOOTH_MM / 2 / spacing_mm)
    padded = np.pad(reach, half, mode="edge")
    smooth = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=1)
    start = max(tip - round(BUMP_WITHIN_MM / spacing_mm), 0)
    standing_out = (reach - smooth)[start : tip + round(BUMP_WITHIN_MM / spacing_mm) + 1]
    if standing_out.max() * spacing_mm < BUMP_MM:
        return None
    return start + int(np.median(np.flatnonzero(standing_out == standing_out.max())))


def _end(reach: NDArray[np.int64], row: int, spacing_mm: float) -> float:
    """How far the breast reaches where it leaves the image at the top; 0 where it ends within."""
    near = max(round(EDGE_MM / spacing_mm), 1)
    return float(np.median(reach[:near])) if row < near else 0.0


def _reach(mask: Mask, wall: ChestWall) -> NDArray[np.int64]:
    """How far from the chest wall's edge each row's outermost pixel lies."""
    from_wall = mask[:, ::-1] if wall.right else mask
    return np.where(from_wall.any(axis=1), mask.shape[1] - np.argmax(from_wall[:, ::-1], axis=1), 0)


def declared_right(orientation: tuple[str, str] | None) -> bool | None:
    """Whether Patient Orientation (0020,0020) puts the chest wall at the right; None where it does not say.

    Its first value is the direction in which rows run (PS3.3 C.7.6.1.1.1): towards anterior, away from the
    chest wall, or towards posterior.

    >>> declared_right(("A", "R")), declared_right(("P", "FL")), declared_right(("L", "F"))
    (False, True, None)
    """
    return {"A": False, "P": True}.get(orientation[0][:1]) if orientation else None


def check_side(wall: ChestWall, orientation: tuple[str, str] | None) -> None:
    """The tissue lies where the header says.

    Raises:
        GeometryError: SIDE_CONTRADICTED, it clearly lies on the other side.
    """
    declared = declared_right(orientation)
    if declared is None or declared == wall.right or wall.confidence < CONFIDENT:
        return
    assert orientation is not None
    raise GeometryError(
        Reason.SIDE_CONTRADICTED,
        f"the chest wall is at the image's {_side(wall.right)}, and Patient Orientation (0020,0020) "
        f"{orientation[0][:1]!r} puts it at the {_side(declared)}: a possible left/right swap; look at it",
    )


def _side(right: bool) -> str:
    return "right" if right else "left"
