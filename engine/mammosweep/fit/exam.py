"""Fit the models of `mammosweep.exam` to findings whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mammosweep.errors import ConfigError
from mammosweep.exam.booster import Booster, fit_booster
from mammosweep.exam.classify import LESION_FEATURES, lesion_rows
from mammosweep.exam.match import match
from mammosweep.exam.model import ProbabilityModel
from mammosweep.exam.pairs import PAIR_FEATURES, pair_matrix
from mammosweep.records import Finding, Laterality, Position

__all__ = [
    "LabelledFinding",
    "best_threshold",
    "decision_rows",
    "fit_decision",
    "fit_matcher",
    "pair_rows",
]

# Where there is too little to choose a threshold with: more probable than not.
DEFAULT_MATCH_THRESHOLD = 0.5

# One exam in so many is kept from the fit that the match threshold is chosen on.
HELD_OUT_EVERY = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledFinding:
    """A finding with what is really there."""

    finding: Finding
    truth_lesion_id: str | None  # unique within the exam; None: a false positive
    malignant: bool | None = None  # None: a false positive, or a lesion whose nature is unknown


Exam = Sequence[LabelledFinding]


def fit_matcher(exams: Sequence[Exam], *, seed: int = 0) -> tuple[Booster, float]:
    """Fit the model that matches CC with MLO findings, and choose its threshold.

    The threshold is chosen with a model that has not seen every fourth exam, on these; the model that is
    returned has seen all.

    Raises:
        ConfigError: no pair of findings belongs to one lesion, or none to two.
    """
    rows, labels = pair_rows(exams)
    _require_both("pairs of findings of one lesion, and of two", labels)
    matcher = fit_booster(rows, labels, PAIR_FEATURES, seed=seed)
    return matcher, _held_out_threshold(exams, seed)


def fit_decision(
    exams: Sequence[Exam], matcher: ProbabilityModel, match_threshold: float, *, seed: int = 0
) -> Booster:
    """Fit the model that judges lesions, on lesions matched as they will be in a sweep.

    Raises:
        ConfigError: no lesion is malignant, or none is not.
    """
    rows, labels = decision_rows(exams, matcher, match_threshold)
    _require_both("malignant lesions, and benign ones or false positives", labels)
    return fit_booster(rows, labels, LESION_FEATURES, seed=seed)


def pair_rows(exams: Sequence[Exam]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Compare every CC with every MLO finding of each breast: rows (N, F) and labels (N,), 1: one lesion."""
    rows = [np.zeros((0, len(PAIR_FEATURES)), np.float32)]
    labels: list[bool] = []
    for ccs, mlos in (breast for exam in exams for breast in _breasts(exam)):
        pairs = pair_matrix([cc.finding for cc in ccs], [mlo.finding for mlo in mlos])
        rows.append(pairs.reshape(-1, len(PAIR_FEATURES)))
        labels += [_same_lesion(cc, mlo) for cc in ccs for mlo in mlos]
    return np.concatenate(rows), np.array(labels, np.float32)


def decision_rows(
    exams: Sequence[Exam], matcher: ProbabilityModel, match_threshold: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Describe every matched lesion: rows (N, F) and labels (N,), 1: holds a finding of a malignant lesion.

    Lesions that hold a true finding of unknown nature, and none that is malignant, teach nothing: left out.
    """
    rows = [np.zeros((0, len(LESION_FEATURES)), np.float32)]
    labels: list[float] = []
    for exam in exams:
        truth = {id(labelled.finding): labelled for labelled in exam}
        matches = match([labelled.finding for labelled in exam], matcher, match_threshold)
        known = [_malignant([truth[id(f)] for f in one.findings]) for one in matches]
        rows.append(lesion_rows(matches)[[label is not None for label in known]])
        labels += [float(label) for label in known if label is not None]
    return np.concatenate(rows), np.array(labels, np.float32)


def best_threshold(probabilities: Sequence[float], correct: Sequence[bool], num_true: int) -> float:
    """Choose the threshold with the best F1, halfway to the next smaller probability.

    Args:
        probabilities: of the resolved pairs.
        correct: which of them are one lesion.
        num_true: lesions that have a finding in both views, paired or not.
    """
    order = np.argsort(-np.asarray(probabilities), kind="stable")
    falling = np.asarray(probabilities, dtype=np.float64)[order]
    hits = np.cumsum(np.asarray(correct, dtype=np.float64)[order])
    f1 = 2.0 * hits / (np.arange(1, len(falling) + 1) + num_true)
    halfway = np.array([(high + low) / 2.0 for high, low in pairwise([*falling, 0.0])])
    cuts = np.append(falling[1:] < falling[:-1], True)  # equal probabilities cannot be parted
    return float(halfway[cuts][np.argmax(f1[cuts])])


def _held_out_threshold(exams: Sequence[Exam], seed: int) -> float:
    order = np.random.default_rng(seed).permutation(len(exams)).tolist()
    held_out = [exams[i] for i in order[::HELD_OUT_EVERY]]
    rows, labels = pair_rows([exams[i] for n, i in enumerate(order) if n % HELD_OUT_EVERY])
    num_true = sum(len(_paired_lesions(exam)) for exam in held_out)
    if not num_true or len(set(labels.tolist())) < 2:
        return DEFAULT_MATCH_THRESHOLD
    matcher = fit_booster(rows, labels, PAIR_FEATURES, seed=seed)
    resolved = [pair for exam in held_out for pair in _resolved(exam, matcher)]
    return best_threshold([p for p, _ in resolved], [ok for _, ok in resolved], num_true)


def _resolved(exam: Exam, matcher: ProbabilityModel) -> list[tuple[float, bool]]:
    """Probability and truth of the exam's pairs; those above any threshold are what it would leave."""
    truth = {id(labelled.finding): labelled for labelled in exam}
    matches = match([labelled.finding for labelled in exam], matcher, 0.0)
    return [
        (m.probability, _same_lesion(truth[id(m.cc)], truth[id(m.mlo)]))
        for m in matches
        if m.probability is not None
    ]


def _breasts(exam: Exam) -> list[tuple[list[LabelledFinding], list[LabelledFinding]]]:
    """CC and MLO findings of the left, then of the right breast."""
    slots: dict[tuple[Laterality, Position], list[LabelledFinding]] = {
        (side, position): [] for side in Laterality for position in Position
    }
    for labelled in exam:
        slots[labelled.finding.laterality, labelled.finding.position].append(labelled)
    return [(slots[side, Position.CC], slots[side, Position.MLO]) for side in Laterality]


def _paired_lesions(exam: Exam) -> set[str | None]:
    """The true lesions that have a finding in both views of their breast."""
    crossings = [(cc, mlo) for ccs, mlos in _breasts(exam) for cc in ccs for mlo in mlos]
    return {cc.truth_lesion_id for cc, mlo in crossings if _same_lesion(cc, mlo)}


def _same_lesion(one: LabelledFinding, other: LabelledFinding) -> bool:
    return one.truth_lesion_id is not None and one.truth_lesion_id == other.truth_lesion_id


def _malignant(labelled: Sequence[LabelledFinding]) -> bool | None:
    true = [one for one in labelled if one.truth_lesion_id is not None]
    if any(one.malignant for one in true):
        return True
    return None if any(one.malignant is None for one in true) else False


def _require_both(what: str, labels: NDArray[np.float32]) -> None:
    positive, total = int(labels.sum()), len(labels)
    if not 0 < positive < total:
        raise ConfigError(
            f"fitting needs {what}; found {positive} and {total - positive}, give more annotated exams"
        )
