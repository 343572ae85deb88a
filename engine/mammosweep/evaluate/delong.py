"""Area under the ROC with DeLong's interval, and DeLong's test for two curves of the same cases.

DeLong, DeLong and Clarke-Pearson, Biometrics 44, 1988; computed from midranks as Sun and Xu, IEEE Signal
Processing Letters 21, 2014. The cases are taken as independent: two lesions of one patient are not quite.
"""

# Shapes:  S scores of the same cases   N cases   P positives   M negatives
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammosweep.evaluate.estimate import Z_95, Estimate, absent

__all__ = ["Comparison", "compare", "delong", "delong_covariance"]

FloatArray = NDArray[np.float64]

MIN_OF_EACH = 2
"""A variance needs two positives and two negatives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two curves of the same cases."""

    difference: float  # of the areas, first less second
    low: float  # ends of its 95 % interval
    high: float
    z: float  # difference over its standard error; 0 where both rank every pair alike
    p: float  # two-sided


def delong(scores: ArrayLike, labels: ArrayLike) -> Estimate:
    """Area under one curve with its 95 % interval, cut off at 0 and 1.

    Args:
        scores: (N,), larger is more suspicious.
        labels: (N,), true for positives.

    Returns:
        No figure, with the reason, where there are fewer than two positives or two negatives.

    Raises:
        ValueError: the lengths differ, or a score is not finite.
    """
    positive = np.asarray(labels, dtype=bool)
    num, num_positive = len(positive), int(positive.sum())
    if min(num_positive, num - num_positive) < MIN_OF_EACH:
        return absent(f"{num_positive} positive and {num - num_positive} negative cases", num, num_positive)
    areas, covariance = delong_covariance(np.asarray(scores)[None], positive)
    half = Z_95 * math.sqrt(covariance[0, 0])
    area = float(areas[0])
    return Estimate(
        value=area,
        low=max(0.0, area - half),
        high=min(1.0, area + half),
        num=num,
        num_positive=num_positive,
    )


def compare(first: ArrayLike, second: ArrayLike, labels: ArrayLike) -> Comparison | None:
    """DeLong's test of two scores of the same cases; None where there are too few of a class.

    Raises:
        ValueError: the lengths differ, or a score is not finite.
    """
    positive = np.asarray(labels, dtype=bool)
    if min(int(positive.sum()), int((~positive).sum())) < MIN_OF_EACH:
        return None
    areas, covariance = delong_covariance(np.stack([np.asarray(first), np.asarray(second)]), positive)
    difference = float(areas[0] - areas[1])
    # Rounding can leave a variance of curves that rank alike a hair below nothing.
    error = math.sqrt(max(0.0, float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])))
    z = difference / error if error > 1e-12 else 0.0
    return Comparison(
        difference=difference,
        low=difference - Z_95 * error,
        high=difference + Z_95 * error,
        z=z,
        p=math.erfc(abs(z) / math.sqrt(2)),
    )


def delong_covariance(scores: ArrayLike, labels: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Areas (S,) of the (S, N) scores of the same cases, and their covariance (S, S).

    Raises:
        ValueError: the lengths differ, a score is not finite, or a class has fewer than two cases.
    """
    values, positive = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=bool)
    if values.ndim != 2 or positive.shape != values.shape[1:]:
        raise ValueError(f"scores {values.shape} and labels {positive.shape}; expected (S, N) and (N,)")
    if not np.isfinite(values).all():
        raise ValueError("a score is not finite; leave cases without a score out, and say how many")
    num_positive, num_negative = int(positive.sum()), int((~positive).sum())
    if min(num_positive, num_negative) < MIN_OF_EACH:
        raise ValueError(f"{num_positive} positives and {num_negative} negatives; expected two of each")
    over_negatives, over_positives = [], []
    for row in values:
        ranks = _midranks(row)
        over_negatives.append((ranks[positive] - _midranks(row[positive])) / num_negative)
        over_positives.append(1.0 - (ranks[~positive] - _midranks(row[~positive])) / num_positive)
    v10, v01 = np.stack(over_negatives), np.stack(over_positives)
    covariance = _covariance(v10) / num_positive + _covariance(v01) / num_negative
    return v10.mean(axis=1), covariance


def _covariance(components: FloatArray) -> FloatArray:
    centred = components - components.mean(axis=1, keepdims=True)
    found: FloatArray = centred @ centred.T / (components.shape[1] - 1)
    return found


def _midranks(values: FloatArray) -> FloatArray:
    """Ranks counted from 1; equal values share the mean of theirs."""
    ordered = np.sort(values)
    below = np.searchsorted(ordered, values, side="left")
    not_above = np.searchsorted(ordered, values, side="right")
    ranks: FloatArray = (below + not_above + 1) / 2.0
    return ranks
