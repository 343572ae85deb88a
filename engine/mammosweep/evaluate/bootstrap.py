"""Intervals by drawing patients anew: what one patient's images have in common stays together.

Efron, Annals of Statistics 7, 1979, with percentile intervals; whole groups are drawn, as Field and Welsh,
Journal of the Royal Statistical Society B 69, 2007, advise for clustered cases.
"""

# Shapes:  N cases   G groups   B samples
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammosweep.evaluate.estimate import Estimate, absent

__all__ = ["INTERVAL", "draw_groups", "group_index", "interval", "mean_by_group"]

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]

INTERVAL = (2.5, 97.5)
"""Ends of an interval of 95 %, as percentiles of the samples."""


def group_index(groups: Sequence[str]) -> IndexArray:
    """Number the groups by name: (N,)."""
    numbers = {name: index for index, name in enumerate(sorted(set(groups)))}
    return np.array([numbers[name] for name in groups], dtype=np.intp)


def draw_groups(num_groups: int, num_samples: int, seed: int) -> IndexArray:
    """How often each group is drawn: (1 + B, G), the first row being the data as they are."""
    drawn = np.random.default_rng(seed).multinomial(
        num_groups, np.full(num_groups, 1.0 / num_groups), size=num_samples
    )
    return np.vstack([np.ones(num_groups, dtype=np.intp), drawn])


def interval(values: ArrayLike) -> tuple[float, float]:
    """Ends of the 95 % interval of (B,) figures; NaN are samples that gave none. NaN if all are."""
    found = np.asarray(values, dtype=np.float64)
    known = found[~np.isnan(found)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, INTERVAL)
    return float(low), float(high)


def mean_by_group(values: ArrayLike, groups: Sequence[str], num_samples: int, seed: int) -> Estimate:
    """The mean of (N,) values, with an interval by group; no figure where there is no value.

    Raises:
        ValueError: the lengths differ.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.shape != (len(groups),):
        raise ValueError(f"values {numbers.shape} of {len(groups)} cases; expected one for each")
    if not len(numbers):
        return absent("no case", 0)
    index = group_index(groups)
    sums = np.bincount(index, weights=numbers)
    drawn = draw_groups(len(sums), num_samples, seed)
    weights = (drawn @ np.bincount(index)).astype(np.float64)
    means = (drawn @ sums) / np.where(weights > 0, weights, np.nan)
    low, high = interval(means[1:]) if num_samples else (None, None)
    return Estimate(value=float(means[0]), low=low, high=high, num=len(numbers))
