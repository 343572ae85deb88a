"""All figures of one sweep: the steps in their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mammosweep.errors import ConfigError
from mammosweep.evaluate.agreement import (
    CategoryAgreement,
    Pairing,
    Place,
    categories,
    pairing,
    place,
)
from mammosweep.evaluate.calibration import Calibration, calibration
from mammosweep.evaluate.cases import all_cases
from mammosweep.evaluate.froc import (
    RATES,
    FrocCurve,
    FrocPoint,
    ImageDetections,
    ImageTruth,
    froc,
    froc_of_marks,
)
from mammosweep.evaluate.hybrid import Hybrid, Readers, hybrid
from mammosweep.evaluate.lesions import Breast, breast_marks, breasts
from mammosweep.evaluate.roc import Cases, Roc, roc
from mammosweep.evaluate.study import ReadImage, Study, Tables, join
from mammosweep.evaluate.subgroups import SubgroupSet, subgroups
from mammosweep.evaluate.truth import Truth
from mammosweep.records import Position

__all__ = ["WORKING_RATE", "Counts", "Evaluation", "NamedFroc", "Settings", "evaluate"]

WORKING_RATE = 1.0
"""False positives per image at which subgroups are compared."""

CURVE_RATES: tuple[float, ...] = tuple(float(rate) for rate in np.geomspace(0.0625, 8.0, 29))
"""Where a free-response curve is drawn: a quarter of an octave apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How it is evaluated."""

    iou: float | None = None  # None: a finding hits with its centre; else the least overlap
    num_bootstraps: int = 1000
    seed: int = 0
    weight: float = 0.5  # of a reader in the hybrid

    def __post_init__(self) -> None:
        if self.iou is not None and not 0.0 < self.iou <= 1.0:
            raise ConfigError(f"the overlap of a hit is {self.iou:g}; it must lie above 0 and up to 1")
        if self.num_bootstraps < 1:
            raise ConfigError(
                f"the number of bootstrap samples is {self.num_bootstraps}; it must be 1 or more"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedFroc:
    """A free-response curve: its table and its drawing."""

    name: str  # "all views", "CC", "MLO", "per breast", or a lesion type
    num_images: int
    num_lesions: int
    points: tuple[FrocPoint, ...]  # at RATES
    curve: tuple[FrocPoint, ...]  # at CURVE_RATES


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What was evaluated, and what was not."""

    patients: int
    exams: int
    breasts: int
    images: int
    images_with_lesion: int
    lesions: int
    lesions_found: int  # by any finding, whatever its score
    lesions_malignant: int
    findings: int
    images_not_read: Mapping[str, int]  # of the truth, by reason
    images_unlisted: int  # used by the sweep, unknown to the truth
    exams_without_score: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Every figure. `document.py` writes it as JSON, `page.py` as a page."""

    bundle: str
    settings: Settings
    counts: Counts
    froc: tuple[NamedFroc, ...]
    roc: tuple[Roc, ...]  # lesions, breasts, exams
    calibration: tuple[Calibration, ...]  # likewise
    pairing: Pairing
    place: Place
    categories: CategoryAgreement | None
    subgroups: tuple[SubgroupSet, ...]
    hybrid: Hybrid | None
    not_read: tuple[tuple[str, str], ...]  # path and reason

    def curve(self, name: str) -> NamedFroc:
        """The free-response curve of that name.

        Raises:
            KeyError: there is none.
        """
        return {one.name: one for one in self.froc}[name]


def evaluate(
    tables: Tables,
    truth: Truth,
    settings: Settings | None = None,
    *,
    readers: Readers | None = None,
    about: Mapping[str, Mapping[str, str]] | None = None,
) -> Evaluation:
    """Compare a finished sweep with its truth.

    Args:
        tables: rows of the sweep's ``images``, ``findings``, ``lesions`` and ``exams``, by those names.
        truth: see `read_truth`.
        settings: how.
        readers: radiologists' probabilities, see `read_readers`.
        about: what else is known of exams, see `read_about`.

    Raises:
        ConfigError: the truth is not that of the sweep.
    """
    how = settings or Settings()
    study = join(tables, truth, how.iou, about)
    found = breasts(study)
    curves = _curves(study, found, how)
    cases = all_cases(study, found)
    working = next(p for p in curves[0].points if p.false_positives_per_image == WORKING_RATE)
    return Evaluation(
        bundle=next((str(row["bundle"]) for row in study.exams.values()), ""),
        settings=how,
        counts=_counts(study, found),
        froc=curves,
        roc=tuple(roc(one, how.num_bootstraps, how.seed) for one in cases),
        calibration=tuple(calibration(one, how.num_bootstraps, how.seed) for one in cases),
        pairing=pairing(found),
        place=place(found, how.num_bootstraps, how.seed),
        categories=categories(found),
        subgroups=subgroups(study, found, working.score_above, how.num_bootstraps, how.seed),
        hybrid=_hybrid(readers, study, cases, how.weight),
        not_read=study.not_read_paths,
    )


def _curves(study: Study, found: Sequence[Breast], how: Settings) -> tuple[NamedFroc, ...]:
    rates = (*RATES, *CURVE_RATES)

    def of(images: Sequence[ReadImage]) -> dict[str, FrocCurve]:
        both = [_detections(image) for image in images], [_truth(image) for image in images]
        curves = froc(*both, iou=how.iou, rates=rates, num_bootstraps=how.num_bootstraps, seed=how.seed)
        return {"": curves.overall, **{str(kind): curve for kind, curve in curves.by_type.items()}}

    everything = of(study.images)
    named = [("all views", everything.pop(""))]
    for position in Position:
        images = [image for image in study.images if image.position == position]
        named += [(str(position), of(images)[""])] if images else []
    marks = breast_marks(found)
    named.append(
        ("per breast", froc_of_marks(marks, rates=rates, num_bootstraps=how.num_bootstraps, seed=how.seed))
    )
    return tuple(_named(name, curve) for name, curve in [*named, *everything.items()])


def _named(name: str, curve: FrocCurve) -> NamedFroc:
    return NamedFroc(
        name=name,
        num_images=curve.num_images,
        num_lesions=curve.num_lesions,
        points=curve.points[: len(RATES)],
        curve=curve.points[len(RATES) :],
    )


def _detections(image: ReadImage) -> ImageDetections:
    return ImageDetections(
        boxes_px=[one.box_px for one in image.found],
        scores=[one.score for one in image.found],
        types=[one.type for one in image.found],
    )


def _truth(image: ReadImage) -> ImageTruth:
    return ImageTruth(
        group=image.group,
        boxes_px=[mark.box_px for mark in image.truths],
        types=[mark.type for mark in image.truths],
    )


def _hybrid(
    readers: Readers | None, study: Study, cases: tuple[Cases, Cases, Cases], weight: float
) -> Hybrid | None:
    if readers is None:
        return None
    _, of_breasts, of_exams = cases
    return hybrid(readers, study, of_breasts if readers.by_breast else of_exams, weight)


def _counts(study: Study, found: Sequence[Breast]) -> Counts:
    lesions = [lesion for breast in found for lesion in breast.lesions]
    return Counts(
        patients=len(set(study.groups.values())),
        exams=len(study.exams),
        breasts=len(found),
        images=len(study.images),
        images_with_lesion=sum(bool(image.truths) for image in study.images),
        lesions=len(lesions),
        lesions_found=sum(lesion.engine is not None for lesion in lesions),
        lesions_malignant=sum(bool(lesion.first.malignant) for lesion in lesions),
        findings=sum(len(image.found) for image in study.images),
        images_not_read=dict(study.not_read),
        images_unlisted=study.num_unlisted,
        exams_without_score=sum(row["score"] is None for row in study.exams.values()),
    )
