"""Opening and growing by a disc of any size, by distances: the time does not depend on the size."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["grown", "opened"]

Bits = NDArray[np.uint8]  # 0 or 1


def opened(bits: NDArray[np.uint8] | NDArray[np.bool_], thickness: float, spacing: float) -> Bits:
    """What is at least that thick, with dark all around: a bright strip along an edge counts as thin too."""
    radius = thickness / 2 / spacing
    pad = int(radius) + 2
    padded = cv2.copyMakeBorder(bits.astype(np.uint8), pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=0)
    eroded = (cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_5) > radius).astype(np.uint8)
    return _within(eroded, radius)[pad:-pad, pad:-pad]


def grown(bits: Bits, distance: float, spacing: float) -> Bits:
    """It and everything within the distance."""
    return _within(bits, distance / spacing)


def _within(bits: Bits, radius: float) -> Bits:
    if not bits.any():  # distances to nothing are not defined
        return np.zeros_like(bits)
    return (cv2.distanceTransform(1 - bits, cv2.DIST_L2, cv2.DIST_MASK_5) <= radius).astype(np.uint8)
