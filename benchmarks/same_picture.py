"""Nobody may win by doing something else: both sides of a comparison are shown to give the same picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.by_hand import HandNormalised
from mammosweep.pixels.normalise import NormalisedView

__all__ = ["on_grid_of", "require_same_picture", "require_same_values"]

# The two sides threshold at different resolutions and weigh pixels by an area, a wavelet or a Gaussian. On
# the frames of `frames.py` crops overlapped by 0.997 at least, pictures correlated by 0.9987 and gray
# differed by 0.010 in the median at most; displaced by one network pixel, by 0.9966 at most and 0.017.
MIN_OVERLAP = 0.98
MIN_CORRELATION = 0.997
MAX_MEDIAN_DIFFERENCE = 0.015

MAX_OVERSHOOT = 64
"""What a lossy codec of high quality adds to white at most: what medip leaves of it after masking."""

Gray = NDArray[np.float32]


def require_same_picture(name: str, ours: NormalisedView, hand: HandNormalised) -> None:
    """Compare crops, and gray where both have it.

    Raises:
        AssertionError: they do not show the same; what is measured would mean nothing.
    """
    overlap = intersection_over_union(ours.grid.crop_px, hand.crop_px)
    moved = on_grid_of(hand, ours)
    both = ~np.isnan(moved) & (ours.gray > 0)  # the breast: its darkest 5 % and air are below
    correlation = float(np.corrcoef(ours.gray[both], moved[both])[0, 1])
    difference = float(np.median(np.abs(ours.gray[both] - moved[both])))
    assert ours.grid.mirrored == hand.mirrored, f"{name}: chest walls lie on different sides"
    assert overlap >= MIN_OVERLAP, f"{name}: crops overlap by {overlap:.3f}"
    assert correlation >= MIN_CORRELATION, f"{name}: pictures correlate by {correlation:.4f}"
    assert difference <= MAX_MEDIAN_DIFFERENCE, f"{name}: gray differs by {difference:.4f} in the median"


def require_same_values(
    name: str, ours: NDArray[np.uint16], theirs: NDArray[np.float32], tolerance: int
) -> None:
    """Compare stored values.

    Where loss made a white pixel overshoot Bits Stored, we clamp it and medip masks it to black: there they
    differ, and only there may they.

    Raises:
        AssertionError: they differ by more than the codec leaves open.
    """
    difference = np.abs(ours.astype(np.float32) - theirs)
    difference[(ours == ours.max()) & (theirs < tolerance + MAX_OVERSHOOT)] = 0
    largest = float(difference.max())
    assert largest <= tolerance, f"{name}: stored values differ by up to {largest:g}; expected {tolerance}"


def on_grid_of(hand: HandNormalised, ours: NormalisedView) -> Gray:
    """The hand-made picture at the centres of our network pixels; NaN where it does not reach."""
    rows, columns = ours.gray.shape
    x, y = np.meshgrid(np.arange(columns) + 0.5, np.arange(rows) + 0.5)
    points = np.stack([x, y, x, y], axis=-1).reshape(-1, 4)
    stored = ours.grid.to_native(points)[:, :2].reshape(rows, columns, 2)
    x1, y1, x2, y2 = hand.crop_px
    hand_rows, hand_columns = hand.gray.shape
    at_x = (stored[..., 0] - x1) * hand_columns / (x2 - x1)
    at_x = (hand_columns - at_x if hand.mirrored else at_x) - 0.5
    at_y = (stored[..., 1] - y1) * hand_rows / (y2 - y1) - 0.5
    return cv2.remap(
        hand.gray.astype(np.float32),
        at_x.astype(np.float32),
        at_y.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=float("nan"),
    )


def intersection_over_union(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Of two xyxy boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    common = max(width, 0) * max(height, 0)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return common / (areas - common)
