"""The bundle's folder: weights, models, validation views, card and manifest."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mammosweep.bundle.load import (
    BREAST,
    CARD,
    DECISION,
    DETECTOR,
    LESION,
    MATCHER,
    RESCORE,
    VIEWS,
    open_bundle,
)
from mammosweep.bundle.manifest import BundleManifest, DetectorSpec
from mammosweep.bundle.seal import new_bundle, seal
from mammosweep.bundle.views import write_views
from mammosweep.detect.buckets import make_batches
from mammosweep.exam.assess import ExamModels
from mammosweep.exam.booster import Booster
from mammosweep.exam.score import Aggregation
from mammosweep.fit.calcification import FittedCalcification
from mammosweep.fit.card import model_card
from mammosweep.fit.exam import FittedExam
from mammosweep.fit.outcome import Figures
from mammosweep.fit.parts import Parts
from mammosweep.fit.samples import ExamSample
from mammosweep.fit.settings import FitSettings
from mammosweep.lesion.calcification.classify import save_characterisers
from mammosweep.pixels.normalise import GRAY_RANGE

__all__ = ["write_bundle", "write_validation_views"]

NUM_KEPT = 2
"""Validation exams that go with the bundle: each adds half a megabyte to what is installed."""


def write_bundle(
    settings: FitSettings,
    parts: Parts,
    work: Path,
    fitted: FittedExam,
    calcification: FittedCalcification | None,
    figures: Figures,
    exams: Sequence[ExamSample],
    out: Path,
) -> None:
    """Write all files of a bundle and open it; a fit that is killed meanwhile leaves none.

    Args:
        settings: of the fit.
        parts: who it was fitted on.
        work: holds the networks' weights.
        fitted: what judges findings.
        calcification: what judges calcifications by their measurements, where they were measured.
        figures: on the validation patients.
        exams: of them; the smallest go along as validation views, where there are any.
        out: the bundle's folder.
    """
    with new_bundle(out) as folder:
        for name in (DETECTOR, LESION):
            shutil.copyfile(work / name, folder / name)
        fitted.matcher.model.save(folder / MATCHER)
        fitted.decision.model.save(folder / DECISION)
        if fitted.rescoring is not None and isinstance(fitted.rescoring.model, Booster):
            fitted.rescoring.model.save(folder / RESCORE)
        if settings.exam.aggregation is Aggregation.LEARNED and fitted.breast is not None:
            fitted.breast.save(folder / BREAST)
        if calcification is not None:
            save_characterisers(calcification.models, folder)
        if exams:
            write_validation_views(exams, settings.network, folder / VIEWS)
        (folder / CARD).write_text(
            model_card(settings, parts, fitted, calcification, figures), encoding="utf-8"
        )
        seal(folder, _manifest(settings, fitted.models(settings.exam.aggregation)))
    open_bundle(out)


def write_validation_views(exams: Sequence[ExamSample], spec: DetectorSpec, path: Path) -> None:
    """Keep the exams on the smallest canvases with the bundle, as its networks see them."""
    on_four = replace(spec, fusion=True)  # however the detector takes them
    batches = [make_batches({v.view: v.normalised for v in exam.views}, on_four)[0] for exam in exams]
    smallest = sorted(batches, key=lambda batch: batch.pixels.numel())[:NUM_KEPT]
    write_views(path, [(batch.pixels[0], batch.present[0]) for batch in smallest], GRAY_RANGE)


def _manifest(settings: FitSettings, models: ExamModels) -> BundleManifest:
    bundle = settings.bundle
    return BundleManifest(
        name=bundle.name,
        version=bundle.version,
        fitted_on=bundle.fitted_on,
        note=bundle.note,
        lesion_types=bundle.lesion_types,
        grid_mm=bundle.grid_mm,
        allow_for_processing=bundle.allow_for_processing,
        allow_lossy_jpeg=bundle.allow_lossy_jpeg,
        detector=settings.network,
        character=settings.character,
        measure_calcifications=bundle.measure_calcifications,
        decision_calibration=(models.calibration.slope, models.calibration.intercept),
        rescore_weight=settings.exam.rescore_weight,
        match_threshold=models.match_threshold,
        aggregation=str(models.aggregation),
        category_thresholds=models.thresholds.lower_bounds,
        files={},
    )
