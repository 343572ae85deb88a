"""What an exam costs the driver of a cluster: its processor seconds while Ray's actors do the work.

Exams are synthetic and actors find something in no time, so chunks come as fast as they go: assembling exams,
handing out chunks, taking in parts. Reading headers, planning and the tables at the end are in `scale`.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from benchmarks.bundles import PHANTOM_BUNDLE
from benchmarks.harness import Row, figure_row
from benchmarks.scale_archive import SyntheticSource
from mammosweep.archive.catalog import index_to
from mammosweep.config import (
    ArchiveConfig,
    DetectConfig,
    Device,
    RayConfig,
    ReportConfig,
    RunConfig,
    SweepConfig,
)
from mammosweep.run.events import ChunkCommitted, Event, RunStarted
from mammosweep.run.local import prepare
from mammosweep.run.ray import RayExecutor
from mammosweep.run.terms import Terms

__all__ = ["rows"]

EXAMS = 20_000
CHUNK_EXAMS = 64
ACTORS = 2
EXAMS_A_GPU_S = 2.0
"""What a GPU screens in a second, as the design has it."""


def rows() -> list[Row]:
    """Milliseconds an exam, and how many GPUs one driver keeps busy at that."""
    os.environ.setdefault("RAY_worker_niceness", "0")
    marks: list[tuple[float, int]] = []  # processor seconds of this process, exams committed

    def note(event: Event) -> None:
        if isinstance(event, RunStarted):
            marks.append((time.process_time(), 0))
        elif isinstance(event, ChunkCommitted):
            marks.append((time.process_time(), marks[-1][1] + len(event.part.exams)))

    with tempfile.TemporaryDirectory() as folder:
        catalog = Path(folder) / "catalog.parquet"
        index_to(catalog, SyntheticSource(Path(folder) / "archive", EXAMS), config=ArchiveConfig(workers=1))
        with prepare(
            Path(folder) / "out",
            catalog,
            config=_config(),
            terms=Terms(tell=note),
            make_executor=lambda config, _bundle: RayExecutor(
                config,
                PHANTOM_BUNDLE,
                finder="benchmarks.instant_detector:load_instant_finder",
                decider="benchmarks.instant_detector:load_instant_decider",
            ),
        ) as ready:
            ready.run()
    (begin, _), (end, exams) = marks[0], marks[-1]
    milliseconds = 1000 * (end - begin) / exams
    return [
        figure_row("dispatch/driver-cpu-an-exam", "ms", [milliseconds]),
        figure_row("dispatch/gpus", "GPUs of 2 exams/s", [1000 / milliseconds / EXAMS_A_GPU_S]),
    ]


def _config() -> SweepConfig:
    return SweepConfig(
        archive=ArchiveConfig(workers=1),
        detect=DetectConfig(device=Device.CPU),
        report=ReportConfig(pages=False),
        run=RunConfig(chunk_exams=CHUNK_EXAMS),
        ray=RayConfig(address="local", workers=ACTORS, min_workers=ACTORS, threads=1),
    )
