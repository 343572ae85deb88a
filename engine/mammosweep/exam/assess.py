"""START HERE: what is done with an exam's findings, on one screen."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from mammosweep.errors import BundleError
from mammosweep.exam.calibrate import Calibration
from mammosweep.exam.classify import classify
from mammosweep.exam.match import match
from mammosweep.exam.model import ProbabilityModel
from mammosweep.exam.rescore import Rescoring
from mammosweep.exam.score import (
    Aggregation,
    CategoryThresholds,
    benign_score,
    breast_score,
    exam_category,
    exam_score,
)
from mammosweep.records import Finding, Laterality, Lesion, Position

__all__ = ["Assessment", "ExamModels", "assess"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamModels:
    """What a bundle says about matching, malignancy and scores; a detector alone brings no models."""

    matcher: ProbabilityModel | None  # rows of PAIR_FEATURES to the probability of being one lesion
    decision: ProbabilityModel | None  # rows of LESION_FEATURES to the probability of malignancy
    match_threshold: float  # less probable pairs stay single findings
    thresholds: CategoryThresholds
    aggregation: Aggregation = Aggregation.MAX
    calibration: Calibration = field(default_factory=Calibration)  # from the decision's to malignancies
    rescoring: Rescoring | None = None  # moves findings' scores; None: they stay the detector's
    calcification: ProbabilityModel | None = None  # measurements of calcifications to malignancy
    breast: ProbabilityModel | None = None  # rows of BREAST_FEATURES to the probability of a malignant lesion

    def __post_init__(self) -> None:
        if (self.matcher is None) is not (self.decision is None):
            raise BundleError("of matcher and decision only one is there; expected both, or neither")
        if self.aggregation is Aggregation.LEARNED and self.breast is None:
            raise BundleError(
                "aggregation is 'learned', but no model of breasts is there; expected one in the bundle, or "
                "another aggregation: correct the bundle"
            )
        if not 0.0 <= self.match_threshold <= 1.0:
            raise BundleError(
                f"match threshold is {self.match_threshold}; expected a probability from 0 to 1, "
                "correct the bundle"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """An exam's lesions and scores."""

    lesions: tuple[Lesion, ...]  # left breast first, each breast by falling malignancy
    score_left: float | None  # 0..1; None: no view of that breast was read
    score_right: float | None
    benign_left: float | None  # 0..1, that the breast holds a benign lesion; None likewise
    benign_right: float | None
    score: float  # 0..1; 0 where nothing was found
    category: str  # "1" where nothing was found, else "2" to "5"


def assess(
    findings: Iterable[Finding], imaged: Collection[tuple[Laterality, Position]], models: ExamModels
) -> Assessment:
    """Give one exam its lesions and its scores, whatever order its findings come in.

    Args:
        findings: of all the exam's views.
        imaged: laterality and position of every view that was read, with findings or without.
        models: the bundle's.

    Raises:
        ValueError: no view was read, or a finding lies in a view that was not.
    """
    ordered = sorted(findings, key=_total_order)
    _require_imaged(ordered, imaged)
    matches = match(ordered, models.matcher, models.match_threshold)
    if models.rescoring is not None:
        matches = models.rescoring(matches, models.matcher)
    lesions = classify(matches, models.decision, models.thresholds, models.calibration)
    left, benign_left = _scores_of(Laterality.LEFT, lesions, imaged, models)
    right, benign_right = _scores_of(Laterality.RIGHT, lesions, imaged, models)
    score = exam_score(left, right)
    return Assessment(
        lesions=lesions,
        score_left=left,
        score_right=right,
        benign_left=benign_left,
        benign_right=benign_right,
        score=score,
        category=exam_category(score, lesions, models.thresholds),
    )


def _total_order(finding: Finding) -> tuple[object, ...]:
    """Everything that can influence a result, so that findings that compare equal may change places."""
    known = (
        *(finding.quadrant, finding.depth, finding.nipple_mm, finding.malignancy),
        *(sorted(finding.character.items()), sorted(finding.character_scores.items())),
        sorted(finding.calcification.items()),
    )
    return (
        finding.laterality,
        finding.position,
        finding.sop_instance_uid,
        -finding.score,
        finding.box_px,
        finding.type,
        finding.size_mm,
        finding.flip_votes,
        repr(known),  # text, because None and numbers do not compare
        finding.embedding.tobytes(),
    )


def _require_imaged(findings: Iterable[Finding], imaged: Collection[tuple[Laterality, Position]]) -> None:
    for finding in findings:
        if (finding.laterality, finding.position) not in imaged:
            raise ValueError(
                f"a finding lies in {finding.laterality} {finding.position}, which is not among the views "
                "that were read; its breast would go unscored"
            )


def _scores_of(
    side: Laterality,
    lesions: Iterable[Lesion],
    imaged: Collection[tuple[Laterality, Position]],
    models: ExamModels,
) -> tuple[float | None, float | None]:
    """How suspicious a breast is, and how probably it holds a benign lesion."""
    own = [lesion for lesion in lesions if lesion.laterality is side]
    positions = {position for laterality, position in imaged if laterality is side}
    suspicion = breast_score(own, positions, models.aggregation, models.breast)
    return suspicion, benign_score(own, positions)
