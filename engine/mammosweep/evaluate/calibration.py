"""Whether a probability means what it says."""

# Shapes:  N cases
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mammosweep.evaluate.bootstrap import mean_by_group
from mammosweep.evaluate.estimate import Estimate, absent, wilson
from mammosweep.evaluate.roc import Cases

__all__ = ["Bin", "Calibration", "brier", "calibration", "reliability"]

NUM_BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """The cases whose probability lies in one tenth of the scale."""

    from_: float
    to: float
    mean_probability: float
    share_positive: Estimate  # with Wilson's interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Of one kind of case. Tables of selected cases (as CBIS-DDSM's) hold more cancers than a screening
    population: what is calibrated on one is not on the other.
    """

    name: str
    brier: Estimate  # 0 is best; interval by patient
    brier_of_prevalence: float | None  # of always saying the share of positives
    expected_error: float | None  # mean distance of probability and share over the bins, weighted by cases
    bins: tuple[Bin, ...]  # those with a case


def calibration(cases: Cases, num_bootstraps: int = 1000, seed: int = 0) -> Calibration:
    """Brier score and reliability table of cases."""
    if not cases.labels:
        nothing = absent("no case", 0, 0)
        return Calibration(
            name=cases.name, brier=nothing, brier_of_prevalence=None, expected_error=None, bins=()
        )
    labels = np.asarray(cases.labels, dtype=float)
    squares = (np.asarray(cases.scores) - labels) ** 2
    bins = reliability(cases.scores, cases.labels)
    return Calibration(
        name=cases.name,
        brier=mean_by_group(squares, cases.groups, num_bootstraps, seed),
        brier_of_prevalence=float(labels.mean() * (1 - labels.mean())),
        expected_error=_expected_error(bins, len(labels)),
        bins=bins,
    )


def brier(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Mean squared distance of (N,) probabilities to what came true (Brier, Monthly Weather Review 78, 1950).

    For two outcomes Brier's own score, which sums over both, is twice this one. NaN where there is no case.
    """
    said, came = np.asarray(probabilities, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    return float(((said - came) ** 2).mean()) if said.size else float("nan")


def reliability(probabilities: ArrayLike, labels: ArrayLike, num_bins: int = NUM_BINS) -> tuple[Bin, ...]:
    """Probability against share of positives in bins of one width; 1 belongs to the last. Empty ones go.

    Raises:
        ValueError: a probability lies outside 0..1.
    """
    said, positive = np.asarray(probabilities, dtype=np.float64), np.asarray(labels, dtype=bool)
    if said.size and not (said.min() >= 0.0 and said.max() <= 1.0):
        raise ValueError(f"probabilities lie in {said.min():g}..{said.max():g}; expected 0..1")
    number = np.minimum((said * num_bins).astype(int), num_bins - 1)
    return tuple(
        Bin(
            from_=i / num_bins,
            to=(i + 1) / num_bins,
            mean_probability=float(said[number == i].mean()),
            share_positive=wilson(int(positive[number == i].sum()), int((number == i).sum())),
        )
        for i in range(num_bins)
        if (number == i).any()
    )


def _expected_error(bins: tuple[Bin, ...], num: int) -> float:
    return (
        sum(abs(b.mean_probability - (b.share_positive.value or 0.0)) * b.share_positive.num for b in bins)
        / num
    )
