"""The second half of an exam's way, from findings to its outcome: it needs no pixels, GPU or PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mammosweep.archive.exams import view_flags
from mammosweep.bundle import Bundle
from mammosweep.bundle.load import BREAST, CALCIFICATION, DECISION, MATCHER, RESCORE
from mammosweep.errors import BundleError, Flag, Reason
from mammosweep.exam import Aggregation, CategoryThresholds, ExamModels, assess
from mammosweep.exam.booster import load_booster
from mammosweep.exam.breast import BREAST_FEATURES
from mammosweep.exam.calibrate import Calibration
from mammosweep.exam.features import LESION_FEATURES
from mammosweep.exam.model import ProbabilityModel
from mammosweep.exam.pairs import PAIR_FEATURES
from mammosweep.exam.rescore import FINDING_FEATURES, Rescoring
from mammosweep.lesion.calcification.classify import feature_rows
from mammosweep.lesion.calcification.definitions import FEATURE_NAMES
from mammosweep.records import ExamOutcome, ExamStatus, Finding, ImageRecord, ImageStatus, ScreenedExam, View

__all__ = ["decide", "load_models"]


def load_models(bundle: Bundle) -> ExamModels:
    """The bundle's models that judge findings.

    Raises:
        BundleError: a model is damaged or does not fit.
    """
    manifest, alone = bundle.manifest, bundle.is_detector_only
    try:
        aggregation = Aggregation(manifest.aggregation)
    except ValueError:
        raise BundleError(
            f"bundle {bundle.folder}: aggregation is {manifest.aggregation!r}; expected one of "
            f"{', '.join(Aggregation)}"
        ) from None
    has_breast, has_rescore = BREAST in manifest.files, RESCORE in manifest.files
    return ExamModels(
        matcher=None if alone else load_booster(bundle.file(MATCHER), PAIR_FEATURES),
        decision=None if alone else load_booster(bundle.file(DECISION), LESION_FEATURES),
        breast=load_booster(bundle.file(BREAST), BREAST_FEATURES) if has_breast else None,
        rescoring=_rescoring(bundle) if has_rescore else None,
        calcification=_calcification(bundle),
        match_threshold=manifest.match_threshold,
        thresholds=CategoryThresholds(manifest.category_thresholds),
        aggregation=aggregation,
        calibration=Calibration(*manifest.decision_calibration),
    )


def _rescoring(bundle: Bundle) -> Rescoring:
    model = load_booster(bundle.file(RESCORE), FINDING_FEATURES)
    return Rescoring(model=model, weight=bundle.manifest.rescore_weight)


def _calcification(bundle: Bundle) -> ProbabilityModel | None:
    """Of the models that a fit compares, the trees on all features: what was published as the best."""
    if CALCIFICATION not in bundle.manifest.files:
        return None
    return load_booster(bundle.file(CALCIFICATION), FEATURE_NAMES)


def _characterised(findings: Sequence[Finding], model: ProbabilityModel | None) -> list[Finding]:
    """Findings of calcifications with the malignancy that their measurements alone give."""
    measured = [finding for finding in findings if finding.calcification]
    if model is None or not measured:
        return list(findings)
    probabilities = model(feature_rows(finding.calcification for finding in measured)).tolist()
    told = {id(f): f.calcification | {"malignancy": p} for f, p in zip(measured, probabilities, strict=True)}
    return [replace(f, calcification=told[id(f)]) if id(f) in told else f for f in findings]


def decide(screened: ScreenedExam, models: ExamModels) -> ExamOutcome:
    """Match, classify and score an exam's findings; an exam without a usable view gets its reason."""
    if not screened.imaged:
        return _not_scored(screened)
    imaged = [(view.laterality, view.position) for view in screened.imaged]
    findings = _characterised(screened.findings, models.calcification)
    assessment = assess(findings, imaged, models)
    flags = _flags(screened)
    return replace(
        _outcome(screened, ExamStatus.FLAGGED if flags else ExamStatus.SCORED),
        flags=flags,
        score=assessment.score,
        score_left=assessment.score_left,
        score_right=assessment.score_right,
        benign_left=assessment.benign_left,
        benign_right=assessment.benign_right,
        category=assessment.category,
        lesions=assessment.lesions,
        pictures=screened.pictures,
    )


def _flags(screened: ScreenedExam) -> tuple[Flag, ...]:
    """The exam's flags as they stand once the pixels have been read."""
    exam, views, images = screened.exam, screened.imaged, screened.images
    used = [image for image in images if image.status is ImageStatus.USED]
    of_images = [flag for image in used for flag in image.flags if flag is not Flag.FROM_MANIFEST]
    lost = [Flag.IMAGES_NOT_USED] if any(i.status is not ImageStatus.USED for i in images) else []
    return tuple(dict.fromkeys([*exam.flags, *view_flags(views), *lost, *of_images]))


def _not_scored(screened: ScreenedExam) -> ExamOutcome:
    exam, outcome = screened.exam, _outcome(screened, ExamStatus.NOT_SCORED)
    if exam.reason is not None:
        return replace(outcome, flags=exam.flags, reason=exam.reason, message=exam.message)
    flags = tuple(dict.fromkeys([*exam.flags, Flag.IMAGES_NOT_USED]))
    lost = _lost(exam.views, screened.images)
    reason, message = next(iter(lost.items()))
    if len(lost) > 1:
        reason = Reason.NO_USABLE_VIEW
        message = f"no view can be used ({', '.join(sorted(map(str, lost)))}); see each image's message"
    return replace(outcome, flags=flags, reason=reason, message=message)


def _lost(views: tuple[View, ...], images: tuple[ImageRecord, ...]) -> dict[Reason | None, str]:
    paths = {view.path for view in views}
    return {image.reason: image.message for image in images if image.path in paths}


def _outcome(screened: ScreenedExam, status: ExamStatus) -> ExamOutcome:
    exam = screened.exam
    return ExamOutcome(
        exam_id=exam.exam_id,
        exam_digest=exam.digest,
        patient_key=exam.patient_key,
        study_date=exam.study_date,
        status=status,
        images=screened.images,
        provenance=screened.provenance,
    )
