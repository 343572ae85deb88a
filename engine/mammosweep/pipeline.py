"""START HERE: an exam's way through, one line for each folder.

`screen_all` takes exams as the catalog knows them (archive/) and gives their outcomes, which report/ writes
and run/ commits. Errors about one image are data: they become its row's reason, and the exam goes on without.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from mammosweep.archive.exams import view_flags
from mammosweep.archive.source import Source
from mammosweep.archive.verdict import refused
from mammosweep.bundle import Bundle, open_bundle
from mammosweep.bundle.load import DECISION, MATCHER
from mammosweep.clock import StageClock
from mammosweep.config import SweepConfig
from mammosweep.detect.buckets import make_batch, smallest_bucket
from mammosweep.detect.detector import Detector, TorchDetector
from mammosweep.errors import DeviceError, Flag, ImageError, Reason, unforeseen
from mammosweep.exam import Aggregation, CategoryThresholds, ExamModels, assess
from mammosweep.exam.booster import load_booster
from mammosweep.exam.classify import LESION_FEATURES
from mammosweep.exam.pairs import PAIR_FEATURES
from mammosweep.lesion.describe import LesionStage, load_lesion_networks
from mammosweep.pixels.normalise import NormalisedView, normalise
from mammosweep.pixels.reader import FrameReader, PendingFrame
from mammosweep.records import (
    ExamOutcome,
    ExamRef,
    ExamStatus,
    ImageRecord,
    ImageStatus,
    Provenance,
    View,
    ViewPicture,
)
from mammosweep.version import __version__

__all__ = ["Stages", "load_stages", "screen_all"]

EXAMS_AHEAD = 2
"""How many exams' views are read and decoded while one is in the networks."""

PICTURE_GRAY = (-0.2, 1.3)
"""Normalised gray shown as black and white on the exam's page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """Everything an exam passes through, loaded once."""

    config: SweepConfig
    bundle: Bundle
    frames: FrameReader
    detect: Detector
    describe: LesionStage
    models: ExamModels
    provenance: Provenance
    clock: StageClock = field(default_factory=StageClock)

    def close(self) -> None:
        """End the threads and processes that read frames."""
        self.frames.close()


def load_stages(config: SweepConfig, bundle_path: Path | None = None) -> Stages:
    """Load the bundle's networks and models.

    Raises:
        BundleError: the bundle is damaged or does not fit.
        DeviceError: the machine lacks the device asked for.
    """
    if config.detect.threads:
        torch.set_num_threads(config.detect.threads)
    bundle = open_bundle(bundle_path)
    detector = TorchDetector(bundle, config.detect)
    return Stages(
        config=config,
        bundle=bundle,
        frames=FrameReader(config.pixels, bundle.manifest.grid_mm, detector.device.type),
        detect=detector,
        describe=load_lesion_networks(bundle),
        models=_exam_models(bundle),
        provenance=Provenance(
            engine_version=__version__,
            bundle=bundle.title,
            bundle_digest=bundle.digest,
            settings_digest=config.digest,
            device=detector.device.type,
            precision=detector.precision,
        ),
    )


def _exam_models(bundle: Bundle) -> ExamModels:
    manifest = bundle.manifest
    return ExamModels(
        matcher=load_booster(bundle.file(MATCHER), PAIR_FEATURES),
        decision=load_booster(bundle.file(DECISION), LESION_FEATURES),
        match_threshold=manifest.match_threshold,
        thresholds=CategoryThresholds(manifest.category_thresholds),
        aggregation=Aggregation(manifest.aggregation),
    )


def screen_all(exams: Iterable[ExamRef], source: Source, stages: Stages) -> Iterator[ExamOutcome]:
    """Take exams from files to outcomes, in their order; the next ones' files are read meanwhile."""
    ahead: deque[tuple[ExamRef, dict[View, PendingFrame]]] = deque()
    try:
        for exam in exams:
            ahead.append((exam, _request(exam, source, stages)))
            if len(ahead) > EXAMS_AHEAD:
                yield _screen(*ahead.popleft(), stages)
        while ahead:
            yield _screen(*ahead.popleft(), stages)
    finally:
        for _, pending in ahead:
            for frame in pending.values():
                frame.abandon()


def _request(exam: ExamRef, source: Source, stages: Stages) -> dict[View, PendingFrame]:
    if exam.reason is not None:
        return {}
    return {view: stages.frames.request(source, view) for view in exam.views}


def _screen(exam: ExamRef, pending: dict[View, PendingFrame], stages: Stages) -> ExamOutcome:
    if exam.reason is not None:
        return _not_scored(exam, exam.images, stages)
    views, images = _read(exam, pending, stages)
    if not views:
        return _not_scored(exam, images, stages)
    with stages.clock.measure("detect"):
        batch = make_batch(views, stages.bundle.manifest.detector.buckets)
        candidates = stages.detect(batch)
    with stages.clock.measure("lesion"):
        findings = stages.describe(batch, candidates)
    with stages.clock.measure("exam"):
        imaged = [(view.laterality, view.position) for view in batch.views]
        assessment = assess(findings, imaged, stages.models)
    flags = _flags(exam, tuple(views), images)
    return replace(
        _outcome(exam, images, stages, ExamStatus.FLAGGED if flags else ExamStatus.SCORED),
        flags=flags,
        score=assessment.score,
        score_left=assessment.score_left,
        score_right=assessment.score_right,
        category=assessment.category,
        lesions=assessment.lesions,
        pictures=tuple(_picture(view, views[view]) for view in batch.views),
    )


def _read(
    exam: ExamRef, pending: dict[View, PendingFrame], stages: Stages
) -> tuple[dict[View, NormalisedView], tuple[ImageRecord, ...]]:
    """The views whose pixels can be used, and every image's record with what the pixels said."""
    views: dict[View, NormalisedView] = {}
    images = {image.path: image for image in exam.images}
    for view in exam.views:
        image = images[view.path]
        try:
            views[view], images[view.path] = _read_view(view, image, pending[view], stages)
        except ImageError as error:
            images[view.path] = refused(image, error.reason, str(error))
        except DeviceError:
            raise
        except Exception as error:  # no file, whatever is in it, may cost another exam its result
            unexpected = unforeseen(error)
            images[view.path] = refused(image, unexpected.reason, str(unexpected))
    return views, tuple(images.values())


def _read_view(
    view: View, image: ImageRecord, pending: PendingFrame, stages: Stages
) -> tuple[NormalisedView, ImageRecord]:
    manifest = stages.bundle.manifest
    try:
        with stages.clock.measure("decode"):  # the time that is waited for it
            frame = pending.frame()
        with stages.clock.measure("normalise"):
            normalised = normalise(frame, view.spacing_mm, manifest.grid_mm)
        read = replace(image, voi=frame.voi, levels_left_out=frame.reduce, flags=_joined(image, frame.flags))
    finally:
        pending.release()
    smallest_bucket([normalised.grid.net_size], manifest.detector.buckets)  # raises where no canvas holds it
    return normalised, read


def _joined(image: ImageRecord, flags: tuple[Flag, ...]) -> tuple[Flag, ...]:
    return tuple(dict.fromkeys(image.flags + flags))


def _flags(exam: ExamRef, views: tuple[View, ...], images: tuple[ImageRecord, ...]) -> tuple[Flag, ...]:
    """The exam's flags as they stand once the pixels have been read."""
    used = [image for image in images if image.status is ImageStatus.USED]
    of_images = [flag for image in used for flag in image.flags if flag is not Flag.FROM_MANIFEST]
    lost = [Flag.IMAGES_NOT_USED] if any(i.status is not ImageStatus.USED for i in images) else []
    return tuple(dict.fromkeys([*exam.flags, *view_flags(views), *lost, *of_images]))


def _not_scored(exam: ExamRef, images: tuple[ImageRecord, ...], stages: Stages) -> ExamOutcome:
    outcome = _outcome(exam, images, stages, ExamStatus.NOT_SCORED)
    if exam.reason is not None:
        return replace(outcome, flags=exam.flags, reason=exam.reason, message=exam.message)
    flags = tuple(dict.fromkeys([*exam.flags, Flag.IMAGES_NOT_USED]))
    lost = {image.reason: image.message for image in images if image.path in {v.path for v in exam.views}}
    reason, message = next(iter(lost.items()))
    if len(lost) > 1:
        reason = Reason.NO_USABLE_VIEW
        message = f"no view can be used ({', '.join(sorted(map(str, lost)))}); see each image's message"
    return replace(outcome, flags=flags, reason=reason, message=message)


def _outcome(
    exam: ExamRef, images: tuple[ImageRecord, ...], stages: Stages, status: ExamStatus
) -> ExamOutcome:
    return ExamOutcome(
        exam_id=exam.exam_id,
        exam_digest=exam.digest,
        patient_key=exam.patient_key,
        study_date=exam.study_date,
        status=status,
        images=images,
        provenance=stages.provenance,
    )


def _picture(view: View, normalised: NormalisedView) -> ViewPicture:
    low, high = PICTURE_GRAY
    gray = np.clip((normalised.gray - low) / (high - low), 0.0, 1.0)
    return ViewPicture(
        sop_instance_uid=view.sop_instance_uid,
        laterality=view.laterality,
        position=view.position,
        gray=np.rint(gray * 255).astype(np.uint8),
        grid=normalised.grid,
    )
