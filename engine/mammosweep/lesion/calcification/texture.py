"""Texture by co-occurrence: how often gray levels meet (Haralick 1973, IEEE Trans SMC 3:610-621)."""

# Shapes:  h, w pixels   L gray levels
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["co_occurrence", "haralick"]

FloatArray = NDArray[np.float32]

LEVELS = 16

STEPS = ((0, 1), (1, 0), (1, 1), (1, -1))
"""To the neighbours at 0, 90, 45 and 135 degrees, row and column; each counts in both directions."""


def co_occurrence(levels: NDArray[np.int64], mask: NDArray[np.bool_], num_levels: int) -> NDArray[np.float64]:
    """(L, L) shares of the pairs of neighbours by their levels, all directions together; zeros without pairs.

    Args:
        levels: (h, w) 0..L-1.
        mask: (h, w) pixels that count; a pair counts when both do.
        num_levels: L.
    """
    pairs = np.zeros((num_levels, num_levels))
    rows, columns = levels.shape
    for down, across in STEPS:
        left, right = max(0, -across), columns - max(0, across)
        here = np.s_[: rows - down, left:right]
        there = np.s_[down:, left + across : right + across]
        both = mask[here] & mask[there]
        np.add.at(pairs, (levels[here][both], levels[there][both]), 1)
    pairs += pairs.T
    return np.asarray(pairs / max(float(pairs.sum()), 1.0))


def haralick(gray: FloatArray, mask: NDArray[np.bool_]) -> dict[str, float]:
    """Six of Haralick's features of the pixels under a mask, 16 levels between their least and largest gray.

    NaN where the mask holds no two neighbours or its gray is all alike.
    """
    low, high = float(gray[mask].min()), float(gray[mask].max())
    if not high > low:
        return dict.fromkeys(_named(np.zeros((1, 1))), np.nan)
    scaled = np.clip((gray - low) / (high - low) * LEVELS, 0, LEVELS - 1)
    shares = co_occurrence(scaled.astype(np.int64), mask, LEVELS)
    named = _named(shares)
    return named if shares.any() else dict.fromkeys(named, np.nan)


def _named(shares: NDArray[np.float64]) -> dict[str, float]:
    i, j = np.indices(shares.shape)
    mean = float((i * shares).sum())
    variance = float(((i - mean) ** 2 * shares).sum())
    covariance = float(((i - mean) * (j - mean) * shares).sum())
    some = shares[shares > 0]
    return {
        "mass_texture_energy": float((shares**2).sum()),
        "mass_texture_contrast": float(((i - j) ** 2 * shares).sum()),
        "mass_texture_correlation": covariance / variance if variance > 0 else np.nan,
        "mass_texture_variance": variance,
        "mass_texture_homogeneity": float((shares / (1 + (i - j) ** 2)).sum()),
        "mass_texture_entropy": float(-(some * np.log2(some)).sum()),
    }
