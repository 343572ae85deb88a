"""What follows from a histogram: the triangle threshold and percentiles.

Both take counts on any device and work on the CPU: half a megabyte crosses once, instead of a
synchronisation for every intermediate number.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["percentile", "triangle_threshold"]


def triangle_threshold(counts: Tensor) -> int:
    """Threshold between a histogram's dominant peak and its longer tail.

    The triangle method (Zack, Rogers and Latt, J Histochem Cytochem 25(7), 1977): draw a line from the
    peak to the far end of the longer tail; the threshold lies where the histogram falls furthest below it.
    All details (ends moved out by one empty bin, first of equal peaks, first of equal distances, one bin
    towards the tail's end) are those of OpenCV's ``THRESH_TRIANGLE``, so that on 256 bins the result is
    OpenCV's, and not scikit-image's, which differs by a bin.

    Args:
        counts: (N,) integers, the number of pixels of each value.

    Returns:
        The threshold t: pixels *above* t are foreground, those at or below t background. When the
        longer tail lies below the peak it may be -1 (all pixels are above).

    Raises:
        ValueError: the histogram is empty.
    """
    counts = counts.to("cpu", torch.int64)
    left, right = _ends(counts)
    peak = int(counts.argmax())
    if peak - left >= right - peak:
        return _furthest_below_line(counts, left, peak) - 1
    last = len(counts) - 1
    return last + 1 - _furthest_below_line(counts.flip(0), last - right, last - peak)


def _ends(counts: Tensor) -> tuple[int, int]:
    """First and last occupied bin, each moved out by one where there is room."""
    occupied = counts.nonzero().flatten()
    if len(occupied) == 0:
        raise ValueError("the histogram is empty: every count is 0; expected at least one pixel")
    return max(int(occupied[0]) - 1, 0), min(int(occupied[-1]) + 1, len(counts) - 1)


def _furthest_below_line(counts: Tensor, end: int, peak: int) -> int:
    """The bin in (end, peak] furthest below the line from (end, 0) to the peak; ``end`` if there is none.

    Distances are OpenCV's: scaled by the line's length, and shifted so that 0, not the line's own level,
    must be exceeded.
    """
    bins = torch.arange(end + 1, peak + 1)
    distances = counts[peak] * bins + (end - peak) * counts[end + 1 : peak + 1]
    if len(bins) == 0 or int(distances.max()) <= 0:
        return end
    return int(bins[distances.argmax()])


def percentile(counts: Tensor, q: float) -> float:
    """The q-th percentile of the values that a histogram counts.

    Identical to ``numpy.percentile(values, q, method="linear")`` of the expanded values: Hyndman and Fan
    (1996) definition 7, with numpy's order of operations.

    Args:
        counts: (N,) integers, the number of pixels of each value 0..N-1.
        q: percent, 0 to 100.

    Returns:
        The percentile, between two neighbouring values of the image where it falls between them.

    Raises:
        ValueError: the histogram is empty or q lies outside 0..100.
    """
    if not 0.0 <= q <= 100.0:
        raise ValueError(f"q is {q}; expected a percentage from 0 to 100")
    up_to = counts.to("cpu", torch.int64).cumsum(0)
    num_values = int(up_to[-1]) if len(up_to) else 0
    if num_values == 0:
        raise ValueError("the histogram is empty: every count is 0; expected at least one pixel")
    position = (num_values - 1) * (q / 100)
    rank = math.floor(position)
    lower, upper = _value_at(up_to, rank), _value_at(up_to, min(rank + 1, num_values - 1))
    return _interpolate(lower, upper, position - rank)


def _value_at(up_to: Tensor, rank: int) -> int:
    """The value of the pixel with this rank (from 0) when all are sorted."""
    return int(torch.searchsorted(up_to, rank, right=True))


def _interpolate(lower: int, upper: int, fraction: float) -> float:
    """From whichever end is nearer, as numpy does, so that results agree to the last bit."""
    if fraction >= 0.5:
        return upper - (upper - lower) * (1 - fraction)
    return lower + (upper - lower) * fraction
