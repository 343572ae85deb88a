"""A published checkpoint becomes a bundle: weights under this engine's names, a card, validation views."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from mammosweep.archive.catalog import index
from mammosweep.archive.source import Source, open_source
from mammosweep.bundle import Bundle, BundleManifest, DetectorSpec, open_bundle
from mammosweep.bundle.importing import LAYOUTS, Converted, ImportSettings, Layout, detector_spec
from mammosweep.bundle.importing.card import DETECTOR_ONLY, import_card
from mammosweep.bundle.importing.checkpoint import read_checkpoint
from mammosweep.bundle.load import CARD, DETECTOR, VIEWS, file_digest
from mammosweep.bundle.seal import new_bundle, seal
from mammosweep.bundle.views import ExamViews, write_views
from mammosweep.config import SweepConfig
from mammosweep.detect.buckets import make_batches, smallest_bucket
from mammosweep.detect.fusion import FourViewFusion
from mammosweep.errors import ConfigError, ImageError, SourceError
from mammosweep.exam.score import BI_RADS_THRESHOLDS, Aggregation
from mammosweep.pixels.normalise import GRAY_RANGE, NormalisedView
from mammosweep.pixels.views import ViewReader
from mammosweep.records import ExamRef, View

__all__ = ["NUM_EXAMS", "ViewsSource", "adopt"]

NUM_EXAMS = 8
"""How many validation exams are kept at most: at 0.15 mm one takes some 8 MB."""

SEED = 20261124  # of the fusion network's first layers; its last ones are zero


@dataclass(frozen=True, slots=True)
class ViewsSource:
    """Where validation views are taken from."""

    source: str
    manifest: Path | None = None


def adopt(
    checkpoint: Path, layout: Layout, settings: ImportSettings, out: Path, views: ViewsSource | None = None
) -> Bundle:
    """Write a checkpoint as a detector-only bundle; nothing is left of one that cannot be.

    Args:
        checkpoint: a safetensors file.
        layout: whose names it has.
        settings: what the file does not tell.
        out: the bundle's folder, which must not exist.
        views: exams to check compiled plans on, and to calibrate 8-bit ones.

    Raises:
        BundleError: the checkpoint cannot be read, or is of another architecture.
        ConfigError: the folder exists, or no exam can be read.
        SourceError: the exams' source cannot be read.
    """
    if out.exists():
        raise ConfigError(f"the bundle {out} exists; give another --out, or remove it")
    converted = LAYOUTS[layout](read_checkpoint(checkpoint), settings)
    spec = detector_spec(converted, settings)
    exams = _exams(views, spec, settings.grid_mm) if views else []
    with new_bundle(out) as folder:
        save_file(_weights(converted, spec), folder / DETECTOR)
        if exams:
            write_views(folder / VIEWS, exams, GRAY_RANGE)
        manifest = _manifest(checkpoint, layout, settings, spec)
        (folder / CARD).write_text(import_card(manifest, layout, len(exams)), encoding="utf-8")
        seal(folder, manifest)
    return open_bundle(out)


def _weights(converted: Converted, spec: DetectorSpec) -> dict[str, Tensor]:
    """The detector's, and the fusion network's at its start, where its last layers add nothing."""
    weights = dict(converted.weights)
    if spec.fusion:
        with torch.random.fork_rng():
            torch.manual_seed(SEED)
            fusion = FourViewFusion(spec.channels).state_dict()
        weights |= {f"fusion.{name}": tensor for name, tensor in fusion.items()}
    return {name: tensor.contiguous() for name, tensor in weights.items()}


def _manifest(
    checkpoint: Path, layout: Layout, settings: ImportSettings, spec: DetectorSpec
) -> BundleManifest:
    digest = file_digest(checkpoint)
    return BundleManifest(
        name=settings.name or checkpoint.stem,
        version=settings.version,
        fitted_on=f"not known; imported under {layout} names from {checkpoint.name}, SHA-256 {digest}",
        note=f"{DETECTOR_ONLY} {settings.note}".strip(),
        lesion_types=settings.types,
        grid_mm=settings.grid_mm,
        allow_for_processing=False,
        detector=spec,
        match_threshold=1.0,  # of no use without a matcher
        aggregation=str(Aggregation.MAX),
        category_thresholds=BI_RADS_THRESHOLDS.lower_bounds,
        files={},
    )


def _exams(views: ViewsSource, spec: DetectorSpec, grid_mm: float) -> list[ExamViews]:
    config = SweepConfig()
    source = open_source(views.source, config=config.archive)
    catalog = index(source, config=config.archive, manifest=views.manifest)
    found: list[ExamViews] = []
    with closing(ViewReader(config.pixels, grid_mm)) as reader:
        for exam in _spread([exam for exam in catalog.exams() if exam.reason is None]):
            if readable := dict(_readable(exam, source, reader, spec)):
                found.append(_on_canvases(readable, spec))
            if len(found) == NUM_EXAMS:
                break
    if not found:
        raise SourceError(f"--views {views.source} holds no exam whose views can be read; give another")
    return found


def _spread(exams: list[ExamRef]) -> list[ExamRef]:
    """All exams, beginning with NUM_EXAMS that lie evenly apart: one site's exams often stand together."""
    first = {i * len(exams) // NUM_EXAMS for i in range(NUM_EXAMS)} if exams else set()
    return [exams[i] for i in sorted(range(len(exams)), key=lambda i: (i not in first, i))]


def _readable(
    exam: ExamRef, source: Source, reader: ViewReader, spec: DetectorSpec
) -> Iterator[tuple[View, NormalisedView]]:
    for view, pending in [(view, reader.request(source, view)) for view in exam.views]:
        try:
            normalised = pending.read().normalised
            smallest_bucket([normalised.grid.net_size], spec.buckets)  # raises where no canvas holds it
        except ImageError:
            continue  # a view that a sweep would not use either
        yield view, normalised


def _on_canvases(views: dict[View, NormalisedView], spec: DetectorSpec) -> ExamViews:
    """One exam's views on four canvases of one size, as validation views are kept."""
    (batch,) = make_batches(views, replace(spec, fusion=True))
    return batch.pixels[0], batch.present[0]
