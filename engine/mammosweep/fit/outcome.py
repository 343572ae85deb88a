"""What a bundle makes of annotated exams: its findings beside the truth, and the figures that follow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mammosweep.bundle.manifest import DetectorSpec
from mammosweep.detect.buckets import ExamBatch, make_batches
from mammosweep.detect.detector import Candidates
from mammosweep.evaluate.auc import auc
from mammosweep.evaluate.boxes import centres_inside
from mammosweep.evaluate.froc import FrocCurve, ImageDetections, ImageTruth, froc
from mammosweep.exam.assess import ExamModels
from mammosweep.exam.classify import classify
from mammosweep.exam.match import Match, match
from mammosweep.fit.exam_rows import LabelledExam, LabelledFinding
from mammosweep.fit.samples import ExamSample, TrueLesion, ViewSample
from mammosweep.lesion.describe import LesionStage
from mammosweep.records import Finding, Laterality

__all__ = ["ExamFindings", "Figures", "findings_of", "labelled", "lesion_at", "measure"]


@dataclass(frozen=True, slots=True)
class ExamFindings:
    """One annotated exam and what was found in it."""

    sample: ExamSample
    findings: tuple[tuple[Finding, TrueLesion | None], ...]  # with the lesion that each lies on


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a bundle reaches on exams that it was not fitted on; NaN where there is nothing to measure."""

    num_exams: int
    num_views: int
    overall: FrocCurve
    by_type: dict[str, FrocCurve]
    pair_precision: float
    pair_recall: float
    quadrant_accuracy: float
    depth_error: float
    malignancy_auc: float

    @property
    def curves(self) -> dict[str, FrocCurve]:
        """Sensitivity over all lesions, then by type."""
        return {"all types": self.overall, **self.by_type}

    @property
    def rows(self) -> tuple[tuple[str, str], ...]:
        """What is no curve, in words."""
        figures = (
            ("CC/MLO pairs: precision", self.pair_precision),
            ("CC/MLO pairs: recall, of lesions found in both views", self.pair_recall),
            ("quadrant accuracy, of lesions found with their type", self.quadrant_accuracy),
            ("mean depth error", self.depth_error),
            ("malignancy AUC, of lesions found", self.malignancy_auc),
        )
        return tuple((name, "not known" if np.isnan(value) else f"{value:.3f}") for name, value in figures)

    @property
    def summary(self) -> str:
        """A line for the terminal."""
        points = ", ".join(
            f"{p.sensitivity:.3f} at {p.false_positives_per_image:g}" for p in self.overall.points
        )
        return f"sensitivity {points} false positives an image; " + "; ".join(
            f"{k} {v}" for k, v in self.rows
        )


def findings_of(
    sample: ExamSample,
    detect: Callable[[ExamBatch], list[Candidates]],
    describe: LesionStage,
    spec: DetectorSpec,
) -> ExamFindings:
    """Findings of an annotated exam, each with the lesion that its centre lies in."""
    read = {view.view: view.normalised for view in sample.views}
    findings = [f for batch in make_batches(read, spec) for f in describe(batch, detect(batch), read)]
    views = {v.view.sop_instance_uid: v for v in sample.views}
    return ExamFindings(
        sample.light, tuple((f, lesion_at(views[f.sop_instance_uid], f.box_px)) for f in findings)
    )


def lesion_at(view: ViewSample, box_px: Sequence[float]) -> TrueLesion | None:
    """The annotated lesion that a box's centre lies in; the smallest where they overlap."""
    if not view.lesions:
        return None
    inside = centres_inside(np.asarray([box_px]), np.asarray([les.box_px for les in view.lesions]))[0]
    hit = [lesion for lesion, is_inside in zip(view.lesions, inside, strict=True) if is_inside]
    return min(
        hit, key=lambda les: (les.box_px[2] - les.box_px[0]) * (les.box_px[3] - les.box_px[1]), default=None
    )


def labelled(exam: ExamFindings) -> LabelledExam:
    """An exam's findings as the exam models are fitted on them."""
    views = [view.view for view in exam.sample.views]
    by_side = {
        side: [les for view in exam.sample.views if view.view.laterality is side for les in view.lesions]
        for side in Laterality
    }
    return LabelledExam(
        findings=tuple(
            LabelledFinding(
                finding=finding,
                truth_lesion_id=lesion.lesion_id if lesion else None,
                malignant=lesion.malignant if lesion else None,
                linked=lesion is None or lesion.linked,
            )
            for finding, lesion in exam.findings
        ),
        patient=exam.sample.patient,
        imaged=tuple((view.laterality, view.position) for view in views),
        malignant=[side for side, lesions in by_side.items() if any(les.malignant for les in lesions)],
        unknown=[side for side, lesions in by_side.items() if any(les.malignant is None for les in lesions)],
    )


def measure(exams: Iterable[ExamFindings], models: ExamModels) -> Figures:
    """Sensitivity, pairing, place and malignancy on annotated exams, as a sweep would judge them."""
    judged = [_judge(exam, models) for exam in exams]
    moved = [one.exam for one in judged]
    detections, truths = _images(moved)
    curves = froc(detections, truths)
    precision, recall = _pairing(judged)
    true = [(f, t) for exam in moved for f, t in exam.findings if t is not None and t.type is f.type]
    return Figures(
        num_exams=len(moved),
        num_views=len(truths),
        overall=curves.overall,
        by_type={str(kind): curve for kind, curve in curves.by_type.items()},
        pair_precision=precision,
        pair_recall=recall,
        quadrant_accuracy=_mean([f.quadrant == t.quadrant for f, t in true if t.quadrant is not None]),
        depth_error=_mean(
            [abs(f.depth - t.depth) for f, t in true if f.depth is not None and t.depth is not None]
        ),
        malignancy_auc=_malignancy_auc(judged, models),
    )


@dataclass(frozen=True, slots=True)
class _Judged:
    """An exam as a sweep judges it."""

    exam: ExamFindings  # its findings with their final scores
    matches: Sequence[Match]  # of these very findings

    def truth(self, finding: Finding) -> TrueLesion | None:
        return next(true for one, true in self.exam.findings if one is finding)


def _judge(exam: ExamFindings, models: ExamModels) -> _Judged:
    old = match([finding for finding, _ in exam.findings], models.matcher, models.match_threshold)
    new = models.rescoring(old, models.matcher) if models.rescoring else old
    final = {
        id(before): after
        for one, other in zip(old, new, strict=True)
        for before, after in zip(one.findings, other.findings, strict=True)
    }
    findings = tuple((final[id(finding)], true) for finding, true in exam.findings)
    return _Judged(ExamFindings(exam.sample, findings), new)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _images(exams: Sequence[ExamFindings]) -> tuple[list[ImageDetections], list[ImageTruth]]:
    detections, truths = [], []
    for exam in exams:
        for view in exam.sample.views:
            found = [f for f, _ in exam.findings if f.sop_instance_uid == view.view.sop_instance_uid]
            detections.append(
                ImageDetections(
                    boxes_px=np.asarray([f.box_px for f in found]).reshape(-1, 4),
                    scores=[f.score for f in found],
                    types=[f.type for f in found],
                )
            )
            truths.append(
                ImageTruth(
                    group=exam.sample.patient or exam.sample.exam_id,
                    boxes_px=np.asarray([t.box_px for t in view.lesions]).reshape(-1, 4),
                    types=[t.type for t in view.lesions],
                )
            )
    return detections, truths


def _pairing(judged: Sequence[_Judged]) -> tuple[float, float]:
    """Precision over pairs that touch a lesion, and recall over lesions found in both views."""
    right = wrong = found = findable = 0
    for one in judged:
        linked: set[str] = set()
        for pair in one.matches:
            ids = [t.lesion_id if t and t.linked else None for t in map(one.truth, pair.findings)]
            if len(ids) == 2 and any(ids):
                right, wrong = right + (ids[0] == ids[1]), wrong + (ids[0] != ids[1])
                linked |= {ids[0]} if ids[0] == ids[1] and ids[0] else set()
        found += len(linked)
        findable += len(_seen_in(one.exam, "CC") & _seen_in(one.exam, "MLO"))
    return right / max(right + wrong, 1), found / max(findable, 1)


def _seen_in(exam: ExamFindings, position: str) -> set[str]:
    return {t.lesion_id for f, t in exam.findings if t is not None and t.linked and f.position == position}


def _malignancy_auc(judged: Sequence[_Judged], models: ExamModels) -> float:
    """Malignant against benign among the true lesions that were found."""
    scores: list[float] = []
    labels: list[bool] = []
    for exam in judged:
        lesions = classify(exam.matches, models.decision, models.thresholds, models.calibration)
        malignancies = {
            (f.sop_instance_uid, f.box_px): lesion.malignancy for lesion in lesions for f in lesion.findings
        }
        for one in exam.matches:
            known = [t for t in map(exam.truth, one.findings) if t is not None]
            if any(t.malignant for t in known) or (known and all(t.malignant is False for t in known)):
                scores.append(malignancies[one.findings[0].sop_instance_uid, one.findings[0].box_px])
                labels.append(any(t.malignant for t in known))
    return auc(np.asarray(scores), np.asarray(labels)) if scores else float("nan")
