"""A figure with its interval, or the reason why there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["MIN_CASES", "Z_95", "Estimate", "absent", "wilson"]

Z_95 = 1.959963984540054
"""Quantile 0.975 of the standard normal distribution: all intervals are of 95 %."""

MIN_CASES = 10
"""A group with fewer positives (or, for a curve, negatives) is shown without a figure: its interval would
span most of the scale, and a few cases of one hospital could be told from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One figure. `value`, `low` and `high` are None together where `why` says why."""

    value: float | None
    low: float | None = None  # ends of the 95 % interval; None where there is none
    high: float | None = None
    num: int  # how many cases the figure is of
    num_positive: int | None = None  # how many of them are positive, where that has a meaning
    why: str = ""

    def __str__(self) -> str:
        if self.value is None:
            return f"none ({self.why})"
        if self.low is None or self.high is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def absent(why: str, num: int, num_positive: int | None = None) -> Estimate:
    """No figure, for a reason."""
    return Estimate(value=None, num=num, num_positive=num_positive, why=why)


def wilson(successes: int, trials: int) -> Estimate:
    """A proportion with Wilson's score interval, without continuity correction.

    Wilson, Journal of the American Statistical Association 22, 1927; method 3 of Newcombe, Statistics in
    Medicine 17, 1998.

    Raises:
        ValueError: there are more successes than trials, or fewer than none.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials}; expected 0 to {trials}")
    if trials == 0:
        return absent("no case", 0)
    share, z2 = successes / trials, Z_95**2
    middle = share + z2 / (2 * trials)
    half = Z_95 * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    scale = 1 + z2 / trials
    return Estimate(
        value=share,
        low=max(0.0, (middle - half) / scale),
        high=min(1.0, (middle + half) / scale),
        num=trials,
        num_positive=successes,
    )
