"""The white rims of scanned films: unexposed film, or the scanner's light beside it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["without_borders"]

WHITE = 230
"""Of 255. The unexposed rim of a scanned film is whiter than any tissue on it."""

MAX_BORDER_MM = 10.0
"""Whiter for longer from an edge inwards is tissue that its window saturates, not a film's rim."""

MIN_BORDER_SHARE = 0.1
"""Of an edge's length that has to be white before anything of it is taken for a rim."""

RIM_FALL = 15
"""Of 255: a rim keeps the gray that it has at the edge, and tissue beside it is seldom as white."""

RIM_WINDOW_MM = 12.0
"""A rim's depth changes slowly along the edge; what is white for less than half of this is something else."""

RIM_STEP = 10
"""Of 255, from the outermost line to the next: tissue changes by 2 to 6 in 0.8 mm, a rim thinner than that by
13 to 47 on the demo's films."""


def without_borders(gray: NDArray[np.uint8], spacing_mm: float) -> NDArray[np.uint8]:
    """The view with its rims made dark: they are seldom parallel to the image's edges."""
    inner = gray.copy()
    for edge in range(4):
        from_edge = np.rot90(gray, edge)  # the edge in question is the first row
        depth = np.maximum(_border_depth(from_edge, spacing_mm), _has_thin_rim(from_edge))
        within = int(depth.max())
        np.rot90(inner, edge)[:within][np.arange(within)[:, None] < depth] = 0  # a view: writes into inner
    return inner


def _has_thin_rim(from_edge: NDArray[np.uint8]) -> bool:
    """Whether the outermost line alone is brighter than what lies beside it."""
    first, second = from_edge[0].astype(np.int16), from_edge[1].astype(np.int16)
    lit = second > second.max() // 8
    return bool(lit.any() and np.median((first - second)[lit]) >= RIM_STEP)


def _border_depth(from_edge: NDArray[np.uint8], spacing_mm: float) -> NDArray[np.int64]:
    """How many pixels from the edge inwards are rim, for each place along the edge."""
    limit = int(MAX_BORDER_MM / spacing_mm)
    band = from_edge[: limit + 1]
    white = band >= np.maximum(band[0].astype(np.int16) - RIM_FALL, WHITE)
    runs = np.where(white.all(axis=0), band.shape[0], np.argmin(white, axis=0))
    is_deep = runs > limit  # tissue that its window saturates, or the rim of the next edge
    num_rim = np.count_nonzero((runs > 0) & ~is_deep)
    if num_rim < max(MIN_BORDER_SHARE * runs.size, np.count_nonzero(is_deep)):
        return np.zeros(runs.size, dtype=np.int64)
    places = np.flatnonzero(~is_deep)
    depth = np.interp(np.arange(runs.size), places, runs[places])
    smooth = _running_median(depth, round(RIM_WINDOW_MM / spacing_mm))
    return np.where(smooth > 0, np.ceil(smooth) + 1, 0).astype(np.int64)  # the last is half rim, half film


def _running_median(values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    half = min(size, values.size) // 2
    padded = np.pad(values, half, mode="edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=1))
