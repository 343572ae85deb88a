"""What Ray's actors keep of their number: exams/s of two screening actors over twice those of one.

Everything is real but the detector, which waits for a known time as one waits for a GPU: what is measured is
the engine around it; two actors do not compete for the cores. Actors are loaded beforehand; a turn has one
sweep by each number, every actor with the same number of exams. The driver's CPU seconds are those of the
process that hands out chunks, with Ray's own threads in it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.bundles import PHANTOM_BUNDLE
from benchmarks.harness import Row, figure_row
from benchmarks.waiting_detector import SECONDS
from mammosweep.config import ArchiveConfig, DetectConfig, Device, RayConfig, RunConfig, SweepConfig
from mammosweep.phantom import PhantomConfig, Syntax, write_phantoms
from mammosweep.run.chunks import Chunk
from mammosweep.run.executor import Work
from mammosweep.run.local import prepare
from mammosweep.run.part import Part
from mammosweep.run.ray import DECIDER, RayExecutor
from mammosweep.run.ray_cluster import Cluster
from mammosweep.run.screener import About

__all__ = ["rows"]

SEED = 407
ACTORS = (1, 2)
EXAMS_AN_ACTOR = 20
TURNS = 2


def rows() -> list[Row]:
    """Efficiency of two actors, how busy their detectors are, and what an exam costs the driver."""
    # Ray gives way to whatever else runs on the machine, 15 steps: others' work would be measured.
    os.environ.setdefault("RAY_worker_niceness", "0")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        work = Path(folder)
        archives = {actors: _archive(work / f"archive{actors}", actors * EXAMS_AN_ACTOR) for actors in ACTORS}
        stack.enter_context(Cluster(_config(sum(ACTORS))))
        crews = {actors: stack.enter_context(_Crew(actors)) for actors in ACTORS}
        for crew in crews.values():  # all actors are loaded once each has screened something
            crew.sweep(_archive(work / "warm", 2 * crew.actors), work / "out")
        for _ in range(TURNS):
            for actors, crew in crews.items():
                crew.sweep(archives[actors], work / "out", counts=True)
    return [
        figure_row("ray/efficiency/2-actors", "ratio", _ratios(crews[1].rates, crews[2].rates)),
        *(
            figure_row(f"ray/detector-busy/{n}-actors", "ratio", [r * SECONDS / n for r in crews[n].rates])
            for n in ACTORS
        ),
        figure_row("ray/driver-cpu-an-exam", "s", crews[2].driver_seconds),
    ]


def _ratios(one: list[float], two: list[float]) -> list[float]:
    return [b / (2 * a) for a, b in zip(one, two, strict=True)]


@dataclass(eq=False)
class _Crew:
    """Actors that stay over several sweeps; an executor like any other."""

    actors: int
    rates: list[float] = field(default_factory=list)  # exams/s
    driver_seconds: list[float] = field(default_factory=list)  # CPU, for an exam

    def __post_init__(self) -> None:
        self._ray = RayExecutor(
            _config(self.actors),
            PHANTOM_BUNDLE,
            finder="benchmarks.waiting_detector:load_waiting_finder",
            decider=DECIDER,
        )

    def __enter__(self) -> _Crew:
        return self

    def __exit__(self, *_: object) -> None:
        self._ray.close()

    @property
    def about(self) -> About:
        return self._ray.about

    def run(self, chunks: Iterable[Chunk], work: Work) -> Iterator[Part]:
        cpu, start, exams = time.process_time(), time.perf_counter(), 0
        for part in self._ray.run(chunks, work):
            exams += len(part.exams)
            yield part
        self._last = (
            exams / (time.perf_counter() - start),
            (time.process_time() - cpu) / exams,
        )

    def close(self) -> None:
        """Not after one sweep."""

    def sweep(self, archive: Path, out: Path, *, counts: bool = False) -> None:
        shutil.rmtree(out, ignore_errors=True)
        with prepare(
            out, archive, config=_config(self.actors), make_executor=lambda _config, _bundle: self
        ) as ready:
            ready.run()
        if counts:
            self.rates.append(self._last[0])
            self.driver_seconds.append(self._last[1])


def _config(actors: int) -> SweepConfig:
    return SweepConfig(
        archive=ArchiveConfig(workers=1),
        detect=DetectConfig(device=Device.CPU),
        run=RunConfig(chunk_exams=2),
        ray=RayConfig(address="local", workers=actors, min_workers=actors, threads=1),
    )


def _archive(folder: Path, exams: int) -> Path:
    if not folder.exists():
        config = PhantomConfig(spacing_mm=0.4)
        write_phantoms(folder, exams=exams, seed=SEED, syntaxes=[Syntax.EXPLICIT], config=config)
    return folder
