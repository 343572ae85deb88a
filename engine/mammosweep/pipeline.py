"""START HERE: an exam's way through, one line for each folder.

`screen_all` takes exams as the catalog knows them (archive/) and gives their outcomes, which report/ writes
and run/ commits. `find_all` is its half that needs pixels, `decide` (decide.py) the one that does not. Errors
about one image are data: they become its row's reason, and the exam goes on without.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mammosweep.archive.source import Source
from mammosweep.archive.verdict import refused
from mammosweep.bundle import Bundle, open_bundle
from mammosweep.bundle.load import check_unchanged
from mammosweep.clock import WAIT_VIEWS, StageClock
from mammosweep.config import SweepConfig
from mammosweep.decide import decide, load_models
from mammosweep.detect.batching import Batcher, Ticket
from mammosweep.detect.buckets import ExamBatch, make_batches, smallest_bucket
from mammosweep.detect.detector import Candidates, Detector
from mammosweep.detect.load import load_detector
from mammosweep.detect.plans.stored import reports
from mammosweep.errors import DeviceError, Flag, ImageError, unforeseen
from mammosweep.exam import ExamModels
from mammosweep.lesion.describe import LesionStage, load_lesion_networks
from mammosweep.pixels.normalise import NormalisedView
from mammosweep.pixels.views import PendingView, ViewReader
from mammosweep.records import (
    ExamOutcome,
    ExamRef,
    Finding,
    ImageRecord,
    Provenance,
    ScreenedExam,
    View,
    ViewPicture,
)
from mammosweep.version import __version__

__all__ = ["Stages", "find_all", "load_stages", "screen_all"]

EXAMS_AHEAD = 2
"""How many exams' views are made ready while one is in the networks, beside those that wait for company."""

PICTURE_GRAY = (-0.2, 1.3)
"""Normalised gray shown as black and white on the exam's page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """Everything an exam passes through, loaded once."""

    config: SweepConfig
    bundle: Bundle
    views: ViewReader
    detect: Detector
    describe: LesionStage
    models: ExamModels
    provenance: Provenance
    clock: StageClock
    plan_agreement: dict[str, Any]  # how compiled plans agreed with fp32 PyTorch

    def close(self) -> None:
        """End the threads and processes that read views."""
        self.views.close()


def load_stages(config: SweepConfig, bundle_path: Path | None = None) -> Stages:
    """Load the bundle's networks and models.

    Raises:
        BundleError: the bundle is damaged or does not fit.
        DeviceError: the machine lacks the device asked for.
    """
    if config.detect.threads:
        torch.set_num_threads(config.detect.threads)
    bundle, clock = open_bundle(bundle_path), StageClock()
    detector = load_detector(bundle, config.detect)
    about = detector.about
    stages = Stages(
        config=config,
        bundle=bundle,
        views=ViewReader(
            config.pixels,
            bundle.manifest.grid_mm,
            about.device.type,
            clock,
            detail_mm=bundle.manifest.detail_mm,
        ),
        detect=detector,
        describe=load_lesion_networks(bundle, about.device),
        models=load_models(bundle),
        provenance=Provenance(
            engine_version=__version__,
            bundle=bundle.title,
            bundle_digest=bundle.digest,
            settings_digest=config.digest,
            device=about.device.type,
            precision=about.precision,
            plan=about.kind,
        ),
        clock=clock,
        plan_agreement=reports(bundle, config.detect, about.kind, about.precision),
    )
    check_unchanged(bundle)
    return stages


def screen_all(exams: Iterable[ExamRef], source: Source, stages: Stages) -> Iterator[ExamOutcome]:
    """Take exams from files to outcomes, in their order."""
    for screened in find_all(exams, source, stages):
        with stages.clock.measure("exam"):
            outcome = decide(screened, stages.models)
        yield outcome


def find_all(exams: Iterable[ExamRef], source: Source, stages: Stages) -> Iterator[ScreenedExam]:
    """Take exams from files to findings, in their order: all that needs pixels.

    While some are in the networks, the next ones' files are read, decoded and normalised. Exams of one bucket
    go through the detector together, where that is of use.
    """
    batcher = Batcher(
        lambda batch: _detected(batch, stages),
        stages.config.detect.batch_exams,
        compiled_for=stages.detect.exams_at_once,
        on_gpu=stages.detect.about.device.type == "cuda",
    )
    waiting: deque[_InDetector] = deque()
    with closing(_read_ahead(exams, source, stages, lambda: EXAMS_AHEAD + batcher.most_waiting)) as read:
        for exam in read:
            waiting.append(_handed_in(exam, batcher, stages))
            while waiting and (waiting[0].is_done or len(waiting) > batcher.most_waiting):
                yield _screened(waiting.popleft(), batcher, stages)
    while waiting:
        yield _screened(waiting.popleft(), batcher, stages)


@dataclass(frozen=True, slots=True)
class _ReadExam:
    """An exam whose pixels were read: the views that can be used, and every image's record."""

    exam: ExamRef
    views: dict[View, NormalisedView]
    images: tuple[ImageRecord, ...]


@dataclass(frozen=True, slots=True)
class _InDetector:
    """An exam on its way through the detector."""

    read: _ReadExam
    tickets: list[Ticket]

    @property
    def is_done(self) -> bool:
        return all(ticket.candidates is not None for ticket in self.tickets)


def _read_ahead(
    exams: Iterable[ExamRef], source: Source, stages: Stages, exams_ahead: Callable[[], int]
) -> Generator[_ReadExam, None, None]:
    """Exams with their views, in their order; those behind are read while one is away."""
    ahead: deque[tuple[ExamRef, dict[View, PendingView]]] = deque()
    try:
        for exam in exams:
            ahead.append((exam, _request(exam, source, stages)))
            while len(ahead) > exams_ahead():
                yield _read(*ahead.popleft(), stages)
        while ahead:
            yield _read(*ahead.popleft(), stages)
    finally:
        for _, pending in ahead:
            for view in pending.values():
                view.abandon()


def _request(exam: ExamRef, source: Source, stages: Stages) -> dict[View, PendingView]:
    if exam.reason is not None:
        return {}
    return {view: stages.views.request(source, view) for view in exam.views}


def _handed_in(read: _ReadExam, batcher: Batcher, stages: Stages) -> _InDetector:
    batches = make_batches(read.views, stages.bundle.manifest.detector) if read.views else []
    return _InDetector(read, [batcher.add(batch) for batch in batches])


def _detected(batch: ExamBatch, stages: Stages) -> list[Candidates]:
    with stages.clock.measure("detect"):
        return stages.detect(batch)


def _screened(waiting: _InDetector, batcher: Batcher, stages: Stages) -> ScreenedExam:
    views = waiting.read.views
    findings: list[Finding] = []
    for ticket in waiting.tickets:
        batcher.finish(ticket)
    with stages.clock.measure("lesion"):
        for ticket in waiting.tickets:
            findings += stages.describe(ticket.batch, ticket.candidates or [], views)
    return ScreenedExam(
        exam=waiting.read.exam,
        imaged=tuple(views),
        images=waiting.read.images,
        findings=tuple(findings),
        pictures=tuple(
            _picture(view, views[view]) for ticket in waiting.tickets for view in ticket.batch.views
        ),
        provenance=stages.provenance,
    )


def _read(exam: ExamRef, pending: dict[View, PendingView], stages: Stages) -> _ReadExam:
    """Wait for an exam's views."""
    views: dict[View, NormalisedView] = {}
    images = {image.path: image for image in exam.images}
    for view in exam.views if exam.reason is None else ():
        image = images[view.path]
        try:
            views[view], images[view.path] = _read_view(image, pending[view], stages)
        except ImageError as error:
            images[view.path] = refused(image, error.reason, str(error))
        except DeviceError:
            raise
        except Exception as error:  # no file, whatever is in it, may cost another exam its result
            unexpected = unforeseen(error)
            images[view.path] = refused(image, unexpected.reason, str(unexpected))
    return _ReadExam(exam, views, tuple(images.values()))


def _read_view(
    image: ImageRecord, pending: PendingView, stages: Stages
) -> tuple[NormalisedView, ImageRecord]:
    with stages.clock.measure(WAIT_VIEWS):
        read = pending.read()
    # Raises where no canvas holds it.
    smallest_bucket([read.normalised.grid.net_size], stages.bundle.manifest.detector.buckets)
    return read.normalised, replace(
        image, voi=read.voi, levels_left_out=read.levels_left_out, flags=_joined(image, read.flags)
    )


def _joined(image: ImageRecord, flags: tuple[Flag, ...]) -> tuple[Flag, ...]:
    return tuple(dict.fromkeys(image.flags + flags))


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
