"""Calcifications that touch or overlap in the projection, told apart by brightness, outline and area."""

# Shapes:  h, w pixels of the 0.05 mm grid   P pixels of a clump   S its bright spots
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations, count

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["GRID_MM", "Piece", "take_apart"]

FloatArray = NDArray[np.float32]
Mask = NDArray[np.bool_]
Pixels = NDArray[np.int64]

GRID_MM = 0.05

SPOT_MM = (0.085, 0.12, 0.17)
"""Standard deviations of the Laplacians that answer to spots: those of 0.25-0.5 mm across."""

SADDLE = 0.95
"""Two spots are two calcifications where between them the Laplacian falls below this share of the weaker.
That parts more than it should; what is convex together is one again."""

CONVEX = 0.93
"""Share of its convex hull from which an outline is that of one calcification: of 1,057 outlines in 90 views
of phantoms, 95 in 100 above this were of one, 20 in 100 below."""

TYPICAL = 60.0
"""Percentile, among the areas of single calcifications, of what clumps are made of: large ones touch more."""

HIDDEN = 1.7
"""Calcifications in a part of a clump that is not convex, to its area in typical ones, as some lie behind
others. Of 1.15, 1.4, 1.7 and 2 this gave the best mean correlation by lesion with the counts planted,
over two series of 45 phantom lesions; what is convex is one."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What is seen of one calcification."""

    pixels: Pixels = field(repr=False)  # (P, 2) row, column
    stands_for: float  # calcifications
    is_whole: bool  # its outline is its own; else it overlaps another, and is told of neither size nor shape


def take_apart(grown: Mask, contrast: FloatArray) -> list[Piece]:
    """Give the single calcifications of a mask, clump by clump.

    Args:
        grown: (h, w) calcifications, touching ones together.
        contrast: (h, w) gray above the background.
    """
    num, clumps, stats, _ = cv2.connectedComponentsWithStats(grown.astype(np.uint8), connectivity=4)
    spots = _spots(contrast)
    parted = []
    for clump in range(1, num):
        x, y, width, height, _ = stats[clump]
        window = np.s_[y : y + height, x : x + width]
        parts = _parts(clumps[window] == clump, spots[window])
        parted.append([np.add(part, (y, x)) for part in parts])
    typical = _typical([part for parts in parted for part in parts])
    return [piece for parts in parted for piece in _pieces(parts, typical)]


def _spots(contrast: FloatArray) -> FloatArray:
    """Answer to bright spots, the largest over scales: the Laplacian of a Gaussian times its variance.

    Lindeberg 1998, "Feature detection with automatic scale selection", Int J Comput Vis 30:79-116.
    """
    answers = []
    for sigma in (mm / GRID_MM for mm in SPOT_MM):
        smooth = cv2.GaussianBlur(contrast, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
        answers.append(-cv2.Laplacian(smooth, cv2.CV_32F, ksize=3) * sigma**2)
    return np.asarray(np.max(answers, axis=0), dtype=np.float32)


def _parts(clump: Mask, spots: FloatArray) -> list[Pixels]:
    """A clump's pixels by their nearest spot; parts that are convex together rejoin."""
    pixels = np.argwhere(clump)
    centres = _centres(clump, spots)
    if len(centres) < 2:
        return [pixels]
    distances = ((pixels[:, None] - centres) ** 2).sum(axis=2)  # (P, S)
    nearest = distances.argmin(axis=1)
    return _rejoined([pixels[nearest == k] for k in range(len(centres)) if (nearest == k).any()])


def _centres(clump: Mask, spots: FloatArray) -> Pixels:
    """(S, 2) row, column of the spots that a saddle parts from every stronger one."""
    peaks = (spots == cv2.dilate(spots, np.ones((3, 3), np.uint8))) & clump & (spots > 0)
    places, strengths = np.argwhere(peaks), spots[peaks]
    kept: list[int] = []
    for k in np.argsort(-strengths, kind="stable").tolist():
        if all(_saddle(spots, places[k], places[j]) < SADDLE * strengths[k] for j in kept):
            kept.append(k)
    return np.asarray(places[kept])


def _saddle(spots: FloatArray, one: Pixels, other: Pixels) -> float:
    """The weakest answer on the straight way between two places."""
    steps = np.linspace(0, 1, max(int(np.abs(one - other).max()), 1) + 1)[:, None]
    path = np.rint(one + (other - one) * steps).astype(int)
    return float(spots[path[:, 0], path[:, 1]].min())


def _rejoined(parts: list[Pixels]) -> list[Pixels]:
    """Join, again and again, the two parts that are most convex together, while they are as convex as one."""
    solidity = {
        (a, b): _solidity(np.concatenate([parts[a], parts[b]])) for a, b in combinations(range(len(parts)), 2)
    }
    alive, names = dict(enumerate(parts)), count(len(parts))
    while solidity:
        pair = max(solidity, key=lambda each: solidity[each])
        if solidity[pair] <= CONVEX:
            break
        joined = np.concatenate([alive.pop(k) for k in pair])
        solidity = {both: value for both, value in solidity.items() if not set(both) & set(pair)}
        name = next(names)
        solidity |= {(k, name): _solidity(np.concatenate([alive[k], joined])) for k in alive}
        alive[name] = joined
    return list(alive.values())


def _solidity(pixels: Pixels) -> float:
    """Area to that of the convex hull, both as pixels."""
    points = np.ascontiguousarray((pixels - pixels.min(axis=0))[:, ::-1], dtype=np.int32)
    canvas = np.zeros(tuple(points.max(axis=0)[::-1] + 1), dtype=np.uint8)
    cv2.fillConvexPoly(canvas, cv2.convexHull(points), 1)
    return len(pixels) / float(canvas.sum())


def _typical(parts: Sequence[Pixels]) -> float:
    """Pixels of a typical calcification: of the convex parts, or of all where none is convex."""
    if not parts:
        return float("inf")
    convex = [len(part) for part in parts if _solidity(part) > CONVEX]
    return float(np.percentile(convex or [len(part) for part in parts], TYPICAL))


def _pieces(parts: Sequence[Pixels], typical: float) -> list[Piece]:
    pieces = []
    for part in parts:
        is_whole = _solidity(part) > CONVEX
        hidden = 1.0 if is_whole or len(parts) == 1 else HIDDEN * len(part) / typical
        pieces.append(Piece(part, max(1.0, hidden), is_whole))
    return pieces
