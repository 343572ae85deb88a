"""The ROC of cases with a score: its area, its curve with a band, and the best cut-off."""

# Shapes:  N cases   G groups   B samples   D distinct scores   R false positive rates
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammosweep.evaluate.bootstrap import draw_groups, group_index, interval
from mammosweep.evaluate.delong import delong
from mammosweep.evaluate.estimate import Estimate, wilson

__all__ = ["Cases", "CutOff", "Roc", "RocPoint", "roc", "youden"]

FloatArray = NDArray[np.float64]

RATES: tuple[float, ...] = tuple(round(i / 50, 2) for i in range(51))
"""False positive rates at which the curve is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """Scores of cases of which the truth is known."""

    name: str  # "lesions", "breasts", "exams"
    keys: tuple[str, ...]  # what each case is
    exams: tuple[str, ...]  # the exam of each
    groups: tuple[str, ...]  # the patient of each
    scores: tuple[float, ...]
    labels: tuple[bool, ...]

    def where(self, kept: Sequence[bool]) -> Cases:
        """Some of the cases."""
        rows = [i for i, keep in enumerate(kept) if keep]
        return Cases(
            name=self.name,
            keys=tuple(self.keys[i] for i in rows),
            exams=tuple(self.exams[i] for i in rows),
            groups=tuple(self.groups[i] for i in rows),
            scores=tuple(self.scores[i] for i in rows),
            labels=tuple(self.labels[i] for i in rows),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CutOff:
    """The score from which a case is called positive, and what that gives."""

    score: float  # cases scoring at least this are positive
    low: float | None  # ends of the cut-off's 95 % bootstrap interval, by patient
    high: float | None
    index: float  # Youden's J = sensitivity + specificity - 1
    sensitivity: Estimate
    specificity: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class RocPoint:
    """A point of the curve, with its band."""

    false_positive_rate: float
    sensitivity: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Roc:
    """One curve. Without both classes only the counts and the area's reason are there."""

    name: str
    area: Estimate
    cut_off: CutOff | None
    points: tuple[RocPoint, ...]


def roc(cases: Cases, num_bootstraps: int = 1000, seed: int = 0) -> Roc:
    """Area (DeLong), Youden's cut-off and curve of cases; intervals of the last two by patient."""
    area = delong(cases.scores, cases.labels)
    if area.value is None:
        return Roc(name=cases.name, area=area, cut_off=None, points=())
    ladder = _ladder(cases.scores, cases.labels, cases.groups)
    samples = [ladder.rates(sample) for sample in ladder.draw(num_bootstraps, seed)]
    curves = np.array([_at_rates(false, true) for false, true in samples])
    bands = (
        [interval(column) for column in curves[1:].T] if num_bootstraps else [(np.nan, np.nan)] * len(RATES)
    )
    points = tuple(
        RocPoint(false_positive_rate=rate, sensitivity=float(value), low=low, high=high)
        for rate, value, (low, high) in zip(RATES, curves[0], bands, strict=True)
    )
    cut_offs = [ladder.best(false, true) for false, true in samples]
    best = youden(cases.scores, cases.labels)
    low, high = interval(cut_offs[1:]) if num_bootstraps else (None, None)
    return Roc(
        name=cases.name,
        area=area,
        cut_off=CutOff(
            score=best.score,
            low=low,
            high=high,
            index=best.index,
            sensitivity=best.sensitivity,
            specificity=best.specificity,
        ),
        points=points,
    )


def youden(scores: ArrayLike, labels: ArrayLike) -> CutOff:
    """The cut-off with the largest sensitivity + specificity - 1 (Youden, Cancer 3, 1950).

    Of equally good ones the lowest, which misses least. Sensitivity and specificity have Wilson's intervals;
    as the cut-off was chosen on the same cases they flatter it.

    Raises:
        ValueError: a class has no case.
    """
    values, positive = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=bool)
    if not positive.any() or positive.all():
        raise ValueError(
            f"{int(positive.sum())} of {len(positive)} cases are positive; expected both classes"
        )
    ladder = _ladder(values, positive, [str(i) for i in range(len(values))])
    score = ladder.best(*ladder.rates(np.ones(len(values), dtype=np.intp)))
    called = values >= score
    sensitivity = wilson(int((called & positive).sum()), int(positive.sum()))
    specificity = wilson(int((~called & ~positive).sum()), int((~positive).sum()))
    index = (sensitivity.value or 0.0) + (specificity.value or 0.0) - 1.0
    return CutOff(
        score=score, low=None, high=None, index=index, sensitivity=sensitivity, specificity=specificity
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ladder:
    """Cases by falling score."""

    positive: NDArray[np.bool_]  # (N,)
    group: NDArray[np.intp]  # (N,)
    last_of_tie: NDArray[np.bool_]  # (N,)
    steps: FloatArray  # (D,) the distinct scores

    def draw(self, num: int, seed: int) -> NDArray[np.intp]:
        """Samples of the groups: (1 + B, G)."""
        return draw_groups(int(self.group.max()) + 1, num, seed)

    def rates(self, sample: NDArray[np.intp]) -> tuple[FloatArray, FloatArray]:
        """False and true positive rates at no score and at each distinct one: (1 + D,) each.

        NaN where the sample lacks a class.
        """
        weight = sample[self.group]
        return _shares(weight * ~self.positive, self.last_of_tie), _shares(
            weight * self.positive, self.last_of_tie
        )

    def best(self, false: FloatArray, true: FloatArray) -> float:
        """Youden's cut-off; NaN where a class is lacking."""
        index = (true - false)[1:]
        if np.isnan(index).any():
            return float("nan")
        return float(self.steps[np.flatnonzero(index >= index.max() - 1e-12)[-1]])


def _ladder(scores: ArrayLike, labels: ArrayLike, groups: Sequence[str]) -> _Ladder:
    values, positive = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=bool)
    order = np.argsort(-values, kind="stable")
    falling = values[order]
    last_of_tie = np.append(falling[1:] < falling[:-1], True)
    return _Ladder(
        positive=positive[order],
        group=group_index(groups)[order],
        last_of_tie=last_of_tie,
        steps=falling[last_of_tie],
    )


def _at_rates(false: FloatArray, true: FloatArray) -> FloatArray:
    if np.isnan(false).any() or np.isnan(true).any():
        return np.full(len(RATES), np.nan)
    # Of several sensitivities at one false positive rate np.interp takes the last, which is the largest.
    curve: FloatArray = np.interp(RATES, false, true)
    return curve


def _shares(weights: NDArray[np.intp], last_of_tie: NDArray[np.bool_]) -> FloatArray:
    total = weights.sum()
    counts = np.concatenate([[0], np.cumsum(weights)[last_of_tie]])
    return counts / total if total else np.full(len(counts), np.nan)
