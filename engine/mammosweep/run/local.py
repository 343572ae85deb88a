"""A sweep in this process: look, cut, screen, commit, finish."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import numpy as np

from mammosweep.archive.catalog import Catalog, read_catalog, write_catalog
from mammosweep.archive.source import Source, open_source
from mammosweep.clock import StageClock
from mammosweep.config import SweepConfig
from mammosweep.errors import LedgerError
from mammosweep.records import ExamOutcome, ExamRef, ExamStatus
from mammosweep.run.begun import Begun, read_begun, write_begun
from mammosweep.run.chunks import Chunk, cut
from mammosweep.run.counts import Counts
from mammosweep.run.digests import DigestIndex
from mammosweep.run.events import ChunkCommitted, ChunkTaken, RunFinished, RunStarted
from mammosweep.run.executor import Executor, LocalExecutor, Work
from mammosweep.run.finish import OUTCOME_FILES, gather, write_front
from mammosweep.run.holdings import (
    CATALOG_FILE,
    Holdings,
    check_apart,
    earlier_catalog,
    holdings_of,
    look,
)
from mammosweep.run.ledger import Ledger, each_part
from mammosweep.run.part import Part, PartExam, total_seconds
from mammosweep.run.progress import Progress, Tally, silent
from mammosweep.run.provenance import run_record
from mammosweep.run.screener import About, Screener, load_screener
from mammosweep.run.select import EVERYTHING, Selection
from mammosweep.run.status import finished_run
from mammosweep.run.stop import Gate, SweepStopped
from mammosweep.run.terms import Terms

__all__ = ["LocalSweep", "SweepSummary", "prepare", "sweep", "sweep_to"]

DEFAULTS = SweepConfig()
NO_TERMS = Terms()

NEW_CATALOG = ".catalog.parquet.new"
"""What the source holds now, until it is clear that the folder is this source's."""

LoadScreener = Callable[[SweepConfig, Path | None], Screener]
MakeExecutor = Callable[[SweepConfig, Path | None], Executor]


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSummary:
    """What a sweep into a folder came to."""

    out: Path
    counts: Counts  # they add up, or there is no summary
    seconds: Mapping[str, float]  # by stage; stages run beside each other, so they add up to more
    nothing_new: bool  # the sweep was complete already, and no file was touched
    run_seconds: Mapping[str, float]  # as ``seconds``, of this run's exams alone; empty where it had none


def sweep(
    source: Path | str,
    *,
    manifest: Path | str | None = None,
    bundle: Path | str | None = None,
    config: SweepConfig = DEFAULTS,
) -> Iterator[ExamOutcome]:
    """Screen every exam of a source and yield the outcomes as they come, in the order of the exam ids.

    Nothing is written. Settings, bundle and source are checked, and headers read, before this returns.

    Args:
        source: a folder (recursive), one file, a catalog, or a URL such as ``s3://bucket/prefix``.
        manifest: CSV or Parquet that overrides headers.
        bundle: the model's folder; the one that is shipped where none is given.
        config: the settings.

    Raises:
        ConfigError: the settings or the bundle cannot be used.
        SourceError: the source or the manifest cannot be read.
        DeviceError: the machine lacks the device asked for.
    """
    open_source(source, config=config.archive)
    screener = load_screener(config, _path(bundle))
    catalog = look(source, _path(manifest), config.archive)
    return _outcomes(screener, _holdings(catalog, screener).exams(), catalog.source)


def _outcomes(screener: Screener, exams: Iterable[ExamRef], source: Source) -> Iterator[ExamOutcome]:
    try:
        yield from screener.screen(exams, source)
    finally:
        screener.close()


def _holdings(catalog: Catalog, about: About, selection: Selection = EVERYTHING) -> Holdings:
    return holdings_of(
        catalog,
        selection=selection,
        allow_for_processing=about.allow_for_processing,
        allow_lossy_jpeg=about.allow_lossy_jpeg,
    )


def sweep_to(
    out: Path | str,
    source: Path | str,
    *,
    manifest: Path | str | None = None,
    bundle: Path | str | None = None,
    config: SweepConfig = DEFAULTS,
    progress: Progress = silent,
) -> SweepSummary:
    """Screen every exam of a source into a folder: tables, worklist, pages and run.json.

    A sweep that was stopped is continued; one that is complete is left as it is.

    Args:
        out: the folder, made if it is missing.
        source: as in `sweep`.
        manifest: as in `sweep`.
        bundle: as in `sweep`.
        config: the settings.
        progress: is called with a `Tally` whenever an exam is done.

    Raises:
        ConfigError: the settings or the bundle cannot be used.
        SourceError: the source or the manifest cannot be read.
        DeviceError: the machine lacks the device asked for.
        LedgerError: another sweep writes to the folder, it cannot be written, or the counts do not add up.
    """
    made = prepare(Path(out), source, _path(manifest), _path(bundle), config, progress)
    with made as ready:
        return ready.run()


@contextmanager
def prepare(
    out: Path,
    source: Path | str,
    manifest: Path | None = None,
    bundle: Path | None = None,
    config: SweepConfig = DEFAULTS,
    progress: Progress = silent,
    load: LoadScreener | None = None,
    terms: Terms = NO_TERMS,
    make_executor: MakeExecutor | None = None,
) -> Iterator[LocalSweep]:
    """Check everything that can be wrong before work begins, and hold the folder's lock meanwhile.

    ``load`` makes the screener, the pipeline's own where none is given; ``make_executor`` what carries chunks
    out, by the settings where none is given. ``terms`` say what is swept, when to stop and who watches.
    Raises what `sweep_to` does, and `SweepStopped` where a stop is asked for while headers are read.
    """

    def read(files: int) -> None:
        progress(Tally(files=files))
        terms.stop.check()

    open_source(source, config=config.archive)
    check_apart(source, out)
    executor = make_executor(config, bundle) if make_executor else _executor(config, bundle, load)
    with closing(executor), Ledger(out, executor.about.identity) as ledger:
        clock = StageClock()
        with clock.measure("index"):
            catalog = look(
                source,
                manifest,
                config.archive,
                to=out / NEW_CATALOG,
                previous=earlier_catalog(out / CATALOG_FILE),
                progress=read,
            )
        try:
            yield LocalSweep(ledger, catalog, executor, config, progress, clock, terms)
        finally:
            (out / NEW_CATALOG).unlink(missing_ok=True)


def _executor(config: SweepConfig, bundle: Path | None, load: LoadScreener | None) -> Executor:
    if load is None and config.ray.address:
        from mammosweep.run.ray import RayExecutor  # seconds to import, for which others need not wait

        return RayExecutor(config, bundle)
    return LocalExecutor((load or load_screener)(config, bundle))


class LocalSweep:
    """A sweep that is ready to run; its folder is locked."""

    def __init__(
        self,
        ledger: Ledger,
        catalog: Catalog,
        executor: Executor,
        config: SweepConfig,
        progress: Progress,
        clock: StageClock,
        terms: Terms = NO_TERMS,
    ) -> None:
        self._ledger = ledger
        self._catalog = catalog
        self._terms = terms
        self._holdings = _holdings(catalog, executor.about, terms.selection)
        self._executor = executor
        self._config = config
        self._progress = progress
        self._clock = clock
        self._tally = Tally()
        self._began = perf_counter()

    @property
    def seen(self) -> tuple[int, int]:
        """How many exams and files the sweep is about."""
        return len(self._holdings.current), self._holdings.num_files

    def run(self) -> SweepSummary:
        """Do what is left: screen chunk by chunk, commit each, and write the outcome files.

        Raises:
            LedgerError: the folder cannot be written, or the counts do not add up.
            SweepStopped: it was asked for, and exams are left for the next run.
        """
        with _writing(self._ledger.out):
            self._ledger.take_back()
        if (finished := self._finished()) is not None:
            return self._told(finished)
        with _writing(self._ledger.out):
            begun = self._begin()
        done = DigestIndex((e.exam_digest, 0) for part in self._ledger.parts() for e in part.exams)
        chunks = cut(self._holdings.exams(), done, self._config.run.chunk_exams, self._ledger.identity)
        work = Work(
            source=self._catalog.source,
            ledger=self._ledger,
            clock=self._clock,
            pages=self._config.report.pages,
            counted=self._count,
        )
        self._began = perf_counter()
        self._terms.tell(RunStarted(begun, self._executor.about))
        gate, committed, seconds = Gate(chunks, self._terms.stop), 0, Counter[str]()
        for part in self._executor.run(map(self._taken, gate), work):
            self._terms.tell(ChunkCommitted(part))
            committed += len(part.exams)
            seconds.update(part.seconds)
        run_seconds = dict(seconds) | self._clock.snapshot() if committed else {}
        if gate.shut is not None:
            done_now = begun.done + committed
            raise SweepStopped(gate.shut, exams=begun.exams, done=done_now, seconds=run_seconds)
        with _writing(self._ledger.out):
            return self._told(self._finish(begun, run_seconds))

    def _taken(self, chunk: Chunk) -> Chunk:
        self._terms.tell(ChunkTaken(chunk.id, len(chunk.exams)))
        return chunk

    def _told(self, summary: SweepSummary) -> SweepSummary:
        self._terms.tell(RunFinished(summary.counts, summary.seconds, summary.nothing_new))
        return summary

    def _finished(self) -> SweepSummary | None:
        """The summary of the run that did all of this before, if there was one."""
        out, begun = self._ledger.out, read_begun(self._ledger.out)
        run = finished_run(out, begun)
        if begun is None or run is None or not all((out / name).is_file() for name in OUTCOME_FILES):
            return None
        if (begun.archive_digest, begun.identity) != (self._holdings.digest, self._ledger.identity):
            return None
        counts = Counts.from_json(run)
        return SweepSummary(out=out, counts=counts, seconds=run["seconds"], nothing_new=True, run_seconds={})

    def _begin(self) -> Begun:
        self._check_same_source()
        statuses, reasons = self._done()
        begun = Begun(
            run_id=self._ledger.run_id,
            root=self._holdings.root,
            archive_digest=self._holdings.digest,
            identity=self._ledger.identity,
            files=self._holdings.num_files,
            exams=len(self._holdings.current),
            done=statuses.total(),
            not_scored=statuses[ExamStatus.NOT_SCORED],
            started_at=_now(),
            reasons=dict(reasons),
            where=self._terms.selection.where,
            shard=str(self._terms.selection.shard or ""),
        )
        self._keep_catalog()
        write_begun(self._ledger.out, begun)
        self._tally = Tally(
            files=begun.files, exams=begun.exams, done=begun.done, not_scored=begun.not_scored
        )
        return begun

    def _check_same_source(self) -> None:
        """Refuse to replace one archive's results by another's: a folder holds one sweep."""
        out, earlier = self._ledger.out, read_begun(self._ledger.out)
        if earlier is None or earlier.root == self._holdings.root:
            return
        is_empty, parts = True, each_part(out)
        for part in parts:
            is_empty = False
            # A folder that was moved, or is mounted elsewhere, still holds exams that are known.
            if any(True for _ in self._current(part)):
                return
        if not is_empty:
            raise LedgerError(
                f"{out} holds the sweep of another source, with which this one has no exam in common; "
                "give another --out"
            )

    def _current(self, part: Part) -> Iterator[tuple[int, PartExam]]:
        """A part's exams that the source still holds so, each with its place among them."""
        numbers = self._holdings.current.find([exam.exam_digest for exam in part.exams]).tolist()
        return ((k, exam) for k, exam in zip(numbers, part.exams, strict=True) if k >= 0)

    def _done(self) -> tuple[Counter[ExamStatus], Counter[str]]:
        """The exams that earlier runs committed, each once, by status and by reason."""
        seen = np.zeros(len(self._holdings.current), dtype=bool)
        statuses: Counter[ExamStatus] = Counter()
        reasons: Counter[str] = Counter()
        for part in self._ledger.parts():
            for place, exam in self._current(part):
                if not seen[place]:
                    seen[place] = True
                    statuses[exam.status] += 1
                    reasons.update([exam.reason] if exam.reason else [])
        return statuses, reasons

    def _keep_catalog(self) -> None:
        new, kept = (self._ledger.out / name for name in (NEW_CATALOG, CATALOG_FILE))
        if new.exists():
            new.replace(kept)
            self._catalog = read_catalog(kept, self._catalog.source)
            self._holdings = replace(self._holdings, catalog=self._catalog)
        else:  # the source is a catalog itself
            write_catalog(self._catalog, kept)

    def _count(self, status: ExamStatus, views: int) -> None:
        tally = self._tally
        self._tally = replace(
            tally,
            done=tally.done + 1,
            done_now=tally.done_now + 1,
            views=tally.views + views,
            not_scored=tally.not_scored + (status is ExamStatus.NOT_SCORED),
            seconds=perf_counter() - self._began,
        )
        self._progress(self._tally)

    def _finish(self, begun: Begun, run_seconds: Mapping[str, float]) -> SweepSummary:
        with self._clock.measure("report"):
            counts = gather(self._ledger, self._holdings)
        seconds = total_seconds(self._ledger.parts()) | self._clock.snapshot()
        about = run_record(begun, self._executor.about, self._config)
        write_front(self._ledger.out, about | counts.as_json() | {"seconds": seconds, "finished_at": _now()})
        self._progress(replace(self._tally, finished=True))
        return SweepSummary(
            out=self._ledger.out,
            counts=counts,
            seconds=seconds,
            nothing_new=False,
            run_seconds=run_seconds,
        )


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LedgerError(
            f"output folder {out} cannot be written: {error.strerror or error}; committed chunks are safe: "
            "mend the cause and run the same command again"
        ) from error


def _path(given: Path | str | None) -> Path | None:
    return None if given is None else Path(given)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
