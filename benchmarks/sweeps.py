"""Sweeps with everything loaded beforehand, and the exams that they sweep as the detector sees them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.plans import build
from mammosweep.archive.catalog import index
from mammosweep.archive.source import open_source
from mammosweep.bundle import open_bundle
from mammosweep.bundle.manifest import DetectorSpec
from mammosweep.config import SweepConfig
from mammosweep.detect.buckets import ExamBatch, make_batches
from mammosweep.pixels.normalise import NormalisedView, normalise
from mammosweep.pixels.reader import FrameReader
from mammosweep.records import ExamOutcome, View
from mammosweep.run.holdings import holdings_of, look
from mammosweep.run.local import SweepSummary, prepare
from mammosweep.run.screener import Screener, load_screener

__all__ = ["batches_of", "normalised_views", "sweep_into", "sweep_warm", "warm_screener"]


@contextmanager
def warm_screener(config: SweepConfig, bundle: Path) -> Iterator[Screener]:
    """What `mammosweep.sweep` loads first; sweeps that use it leave its threads and processes running.

    Raises:
        SweepError: the plan cannot be built here, or does not agree with fp32 PyTorch.
    """
    build(open_bundle(bundle), config.detect)
    screener = load_screener(config, bundle)
    try:
        yield replace(screener, close=lambda: None)
    finally:
        screener.close()


def sweep_warm(screener: Screener, archive: Path, config: SweepConfig) -> list[ExamOutcome]:
    """`mammosweep.sweep` with its bundle loaded: headers, exams, outcomes."""
    catalog = look(archive, None, config.archive)
    return list(screener.screen(holdings_of(catalog).exams(), catalog.source))


def sweep_into(out: Path, archive: Path, config: SweepConfig, screener: Screener) -> SweepSummary:
    """`mammosweep.sweep_to` with its bundle loaded: headers, outcomes, tables and, where wanted, pages."""
    with prepare(out, archive, config=config, load=lambda _config, _bundle: screener) as ready:
        return ready.run()


def normalised_views(archive: Path, grid_mm: float, config: SweepConfig) -> list[dict[View, NormalisedView]]:
    """Every exam's views as the sweep normalises them, in the order of the exam ids."""
    source = open_source(archive, config=config.archive)
    exams = index(archive, config=config.archive).exams()
    found = []
    with FrameReader(config.pixels, grid_mm) as reader:
        for exam in exams:
            views = {}
            for view in exam.views:
                with reader.request(source, view) as frame:
                    views[view] = normalise(frame, view.spacing_mm, grid_mm)
            found.append(views)
    return found


def batches_of(archive: Path, grid_mm: float, spec: DetectorSpec, config: SweepConfig) -> list[ExamBatch]:
    """Every exam's canvases, ready for the detector."""
    every = normalised_views(archive, grid_mm, config)
    return [batch for views in every for batch in make_batches(views, spec)]
