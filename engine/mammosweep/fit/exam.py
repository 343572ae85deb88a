"""Fit the models of `mammosweep.exam` to findings whose truth is known: matching, decision, breasts.

Whatever a later step learns from is what an earlier one says of exams it was not fitted on: exams are parted
into folds by patient, and each fold is judged by a model of the others.
"""

# Shapes:  N rows   E exams   F features
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mammosweep.errors import ConfigError
from mammosweep.evaluate.auc import auc
from mammosweep.exam.assess import ExamModels
from mammosweep.exam.booster import Booster
from mammosweep.exam.breast import BREAST_FEATURES, RISING
from mammosweep.exam.calibrate import Calibration
from mammosweep.exam.classify import classify
from mammosweep.exam.features import LESION_FEATURES
from mammosweep.exam.match import Match, match
from mammosweep.exam.pairs import PAIR_FEATURES
from mammosweep.exam.rescore import Rescoring
from mammosweep.exam.score import Aggregation, CategoryThresholds, breast_score
from mammosweep.fit.exam_calibration import fit_calibration, fit_category_thresholds
from mammosweep.fit.exam_folds import CrossFit, cross_fit, patient_folds
from mammosweep.fit.exam_rescoring import fit_rescoring
from mammosweep.fit.exam_rows import (
    LabelledExam,
    LabelledFinding,
    breast_rows,
    breasts,
    decision_rows,
    pair_rows,
    same_lesion,
)
from mammosweep.records import Finding, Laterality, Lesion

__all__ = [
    "FittedDecision",
    "FittedExam",
    "FittedMatcher",
    "LabelledExam",
    "LabelledFinding",
    "best_threshold",
    "compare_aggregations",
    "fit_breast",
    "fit_decision",
    "fit_exam",
    "fit_matcher",
]

# Where there is too little to choose a threshold with: more probable than not.
DEFAULT_MATCH_THRESHOLD = 0.5

# A lesion does not become less suspicious because the network that looked at it finds it more malignant.
MALIGNANCIES = ("malignancy_max", "malignancy_min")


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedMatcher:
    """What pairs findings, and how it paired the exams that it was fitted on."""

    fitted: CrossFit
    threshold: float
    matches: tuple[tuple[Match, ...], ...]  # of each exam, by a model that has not seen it

    @property
    def model(self) -> Booster:
        """The one that was fitted on all exams."""
        return self.fitted.model


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedDecision:
    """What judges lesions, and how it judged those that it was fitted on."""

    model: Booster
    calibration: Calibration
    thresholds: CategoryThresholds
    lesions: tuple[tuple[Lesion, ...], ...]  # of each exam, by a model that has not seen it, calibrated
    auc: float  # malignant against all other lesions, out of fold; NaN where it is not defined


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedExam:
    """All models of `mammosweep.exam`."""

    matcher: FittedMatcher
    rescoring: Rescoring | None  # None: scores stay the detector's
    decision: FittedDecision
    breast: Booster | None  # None: too few breasts to learn from
    breast_auc: dict[Aggregation, float]  # malignant against other breasts, out of fold, by aggregation

    def models(self, aggregation: Aggregation) -> ExamModels:
        """As a sweep takes them.

        Raises:
            BundleError: the aggregation is to be learned, and there were too few breasts to learn it from.
        """
        return ExamModels(
            matcher=self.matcher.model,
            decision=self.decision.model,
            match_threshold=self.matcher.threshold,
            thresholds=self.decision.thresholds,
            aggregation=aggregation,
            calibration=self.decision.calibration,
            rescoring=self.rescoring,
            breast=self.breast,
        )


def fit_exam(exams: Sequence[LabelledExam], *, rescore_weight: float = 0.0, seed: int = 0) -> FittedExam:
    """Fit matching, what moves scores, the decision on what was matched, and breasts on what was decided.

    The same exams in the same order and the same seed give the same models, to the byte.

    Raises:
        ConfigError: there are no two kinds of pairs, or of lesions, to tell apart.
    """
    folds = patient_folds(exams, seed=seed)
    matcher = fit_matcher(exams, folds, seed=seed)
    matches, rescoring = matcher.matches, None
    if rescore_weight:
        moved = fit_rescoring(exams, matches, matcher.fitted, folds, weight=rescore_weight, seed=seed)
        exams, matches, rescoring = moved.exams, moved.matches, moved.rescoring
    decision = fit_decision(exams, matches, folds, seed=seed)
    breast = fit_breast(exams, decision.lesions, folds, seed=seed)
    return FittedExam(
        matcher=matcher,
        rescoring=rescoring,
        decision=decision,
        breast=breast.model if breast else None,
        breast_auc=compare_aggregations(exams, decision.lesions, breast),
    )


def fit_matcher(exams: Sequence[LabelledExam], folds: NDArray[np.int64], *, seed: int = 0) -> FittedMatcher:
    """Fit the model that matches CC with MLO findings, and choose its threshold out of fold.

    Raises:
        ConfigError: no pair of findings belongs to one lesion, or none to two.
    """
    rows = pair_rows(exams)
    _require_both("pairs of findings of one lesion, and of two", rows.labels)
    fitted = cross_fit(rows, PAIR_FEATURES, folds, seed=seed)
    threshold = _match_threshold(exams, fitted)
    matches = [match(_findings(exam), fitted.unseen(i), threshold) for i, exam in enumerate(exams)]
    return FittedMatcher(fitted=fitted, threshold=threshold, matches=tuple(map(tuple, matches)))


def fit_decision(
    exams: Sequence[LabelledExam],
    matches: Sequence[Sequence[Match]],
    folds: NDArray[np.int64],
    *,
    seed: int = 0,
) -> FittedDecision:
    """Fit the model that judges lesions; calibrate it and choose the categories' thresholds out of fold.

    Args:
        exams: with the truth.
        matches: of each exam, as a sweep would make them: by a matcher that has not seen it.
        folds: of each exam, (E,), see `patient_folds`.
        seed: of the trees.

    Raises:
        ConfigError: no lesion is malignant, or none is not.
    """
    rows = decision_rows(exams, matches)
    _require_both("malignant lesions, and benign ones or false positives", rows.labels)
    fitted = cross_fit(rows, LESION_FEATURES, folds, seed=seed, rising=MALIGNANCIES)
    probabilities, labels = fitted.out_of_fold(rows)
    calibration = fit_calibration(probabilities, labels)
    thresholds = fit_category_thresholds(calibration(probabilities), labels)
    lesions = [classify(own, fitted.unseen(i), thresholds, calibration) for i, own in enumerate(matches)]
    return FittedDecision(
        model=fitted.model,
        calibration=calibration,
        thresholds=thresholds,
        lesions=tuple(lesions),
        auc=auc(probabilities, labels),
    )


def fit_breast(
    exams: Sequence[LabelledExam],
    lesions: Sequence[Sequence[Lesion]],
    folds: NDArray[np.int64],
    *,
    seed: int = 0,
) -> CrossFit | None:
    """Fit the model that scores breasts by their lesions; None where only one kind of breast is known.

    Args:
        exams: with the truth.
        lesions: of each exam, judged by a decision that has not seen it.
        folds: of each exam, (E,), see `patient_folds`.
        seed: of the trees.
    """
    rows = breast_rows(exams, lesions)
    if len(set(rows.labels.tolist())) < 2:
        return None
    return cross_fit(rows, BREAST_FEATURES, folds, seed=seed, max_depth=2, rising=RISING)


def compare_aggregations(
    exams: Sequence[LabelledExam], lesions: Sequence[Sequence[Lesion]], breast: CrossFit | None
) -> dict[Aggregation, float]:
    """AUC of each aggregation over the breasts whose nature is known, those without a lesion included."""
    scores: dict[Aggregation, list[float]] = {aggregation: [] for aggregation in Aggregation}
    labels: list[bool] = []
    for number, (exam, every) in enumerate(zip(exams, lesions, strict=True)):
        for side in Laterality:
            positions = {position for laterality, position in exam.imaged if laterality is side}
            malignant = exam.is_malignant(side)
            if not positions or malignant is None:
                continue
            own = [lesion for lesion in every if lesion.laterality is side]
            model = breast.unseen(number) if breast else None
            labels.append(malignant)
            for aggregation, known in scores.items():
                known.append(breast_score(own, positions, aggregation, model) or 0.0)
    return {
        aggregation: auc(known, labels)
        for aggregation, known in scores.items()
        if breast or aggregation is not Aggregation.LEARNED
    }


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


def _match_threshold(exams: Sequence[LabelledExam], fitted: CrossFit) -> float:
    judged = [(i, exam) for i, exam in enumerate(exams) if fitted.parts[fitted.folds[i]] is not None]
    num_true = sum(len(_paired_lesions(exam)) for _, exam in judged)
    if not num_true:
        return DEFAULT_MATCH_THRESHOLD
    resolved = [pair for i, exam in judged for pair in _resolved(exam, fitted.unseen(i))]
    return best_threshold([p for p, _ in resolved], [ok for _, ok in resolved], num_true)


def _resolved(exam: LabelledExam, matcher: Booster) -> list[tuple[float, bool]]:
    """Probability and truth of the exam's pairs; those above any threshold are what it would leave.

    Pairs of which the truth is not known are left out.
    """
    resolved: list[tuple[float, bool]] = []
    for one in match(_findings(exam), matcher, 0.0):
        if one.probability is not None:
            same = same_lesion(*(exam.truth(finding) for finding in one.findings))
            resolved += [] if same is None else [(one.probability, same)]
    return resolved


def _findings(exam: LabelledExam) -> list[Finding]:
    return [labelled.finding for labelled in exam.findings]


def _paired_lesions(exam: LabelledExam) -> set[str | None]:
    """The true lesions that have a finding in both views of their breast."""
    crossings = [(cc, mlo) for ccs, mlos in breasts(exam) for cc in ccs for mlo in mlos]
    return {cc.truth_lesion_id for cc, mlo in crossings if same_lesion(cc, mlo)}


def _require_both(what: str, labels: NDArray[np.float32]) -> None:
    positive, total = int(labels.sum()), len(labels)
    if not 0 < positive < total:
        raise ConfigError(
            f"fitting needs {what}; found {positive} and {total - positive}, give more annotated exams"
        )
