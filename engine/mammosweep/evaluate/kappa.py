"""Chance-corrected agreement of two raters."""

# Shapes:  C categories
from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammosweep.evaluate.estimate import Z_95, Estimate, absent

__all__ = ["Weights", "agreement_weights", "contingency", "kappa"]

FloatArray = NDArray[np.float64]


class Weights(StrEnum):
    """What a disagreement costs."""

    NONE = "none"  # every one alike (Cohen, Educational and Psychological Measurement 20, 1960)
    LINEAR = "linear"  # as far as the categories lie apart (Cicchetti and Allison, 1971)
    QUADRATIC = "quadratic"  # its square (Fleiss and Cohen, 1973)


def agreement_weights(num_categories: int, weights: Weights) -> FloatArray:
    """(C, C) in 0..1: 1 where the raters agree."""
    apart = np.abs(np.subtract.outer(np.arange(num_categories), np.arange(num_categories))).astype(float)
    if weights is Weights.NONE:
        return np.eye(num_categories)
    power = 1 if weights is Weights.LINEAR else 2
    return 1.0 - (apart / max(1, num_categories - 1)) ** power


def contingency(first: Sequence[str], second: Sequence[str], categories: Sequence[str]) -> FloatArray:
    """(C, C) counts: row what the first said, column what the second.

    Raises:
        ValueError: a rating is none of the categories, or the lengths differ.
    """
    table = np.zeros((len(categories), len(categories)))
    for a, b in zip(first, second, strict=True):
        table[categories.index(a), categories.index(b)] += 1
    return table


def kappa(table: ArrayLike, weights: ArrayLike) -> Estimate:
    """Weighted kappa (Cohen, Psychological Bulletin 70, 1968) with its large-sample 95 % interval.

    The standard error is that of Fleiss, Cohen and Everitt, Psychological Bulletin 72, 1969, formula 9.

    Args:
        table: (C, C) counts.
        weights: (C, C) agreement, 1 on the diagonal: see `agreement_weights`.

    Returns:
        No figure where nothing was rated, or where both raters used one category only.
    """
    counts, weight = np.asarray(table, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    total = counts.sum()
    num = round(float(total))
    if total == 0:
        return absent("nothing was rated by both", 0)
    p = counts / total
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    observed, expected = float((weight * p).sum()), float((weight * np.outer(rows, columns)).sum())
    if math.isclose(expected, 1.0):
        return absent("both used one category only", num)
    value = (observed - expected) / (1.0 - expected)
    beside = (weight @ columns)[:, None] + (weight.T @ rows)[None, :]
    spread = float((p * (weight - beside * (1.0 - value)) ** 2).sum())
    variance = (spread - (value - expected * (1.0 - value)) ** 2) / (total * (1.0 - expected) ** 2)
    half = Z_95 * math.sqrt(max(0.0, variance))
    return Estimate(value=value, low=max(-1.0, value - half), high=min(1.0, value + half), num=num)
