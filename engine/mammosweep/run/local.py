"""A sweep in this process: look, cut, screen, commit, finish."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from mammosweep.archive.catalog import Catalog, write_catalog
from mammosweep.archive.source import Source, open_source
from mammosweep.clock import StageClock
from mammosweep.config import SweepConfig
from mammosweep.errors import LedgerError
from mammosweep.records import ExamOutcome, ExamRef, ExamStatus
from mammosweep.run.begun import Begun, read_begun, write_begun
from mammosweep.run.chunks import cut
from mammosweep.run.counts import Counts
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
from mammosweep.run.ledger import Ledger, read_parts
from mammosweep.run.part import Part, total_seconds
from mammosweep.run.progress import Progress, Tally, silent
from mammosweep.run.provenance import run_record
from mammosweep.run.screener import About, Screener, load_screener
from mammosweep.run.status import finished_run

__all__ = ["LocalSweep", "SweepSummary", "prepare", "sweep", "sweep_to"]

DEFAULTS = SweepConfig()

LoadScreener = Callable[[SweepConfig, Path | None], Screener]


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSummary:
    """What a sweep into a folder came to."""

    out: Path
    counts: Counts  # they add up, or there is no summary
    seconds: Mapping[str, float]  # by stage; stages run beside each other, so they add up to more
    nothing_new: bool  # the sweep was complete already, and no file was touched


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
    return _outcomes(screener, _holdings(catalog, screener).exams, catalog.source)


def _outcomes(screener: Screener, exams: Iterable[ExamRef], source: Source) -> Iterator[ExamOutcome]:
    try:
        yield from screener.screen(exams, source)
    finally:
        screener.close()


def _holdings(catalog: Catalog, about: About) -> Holdings:
    return holdings_of(
        catalog,
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
) -> Iterator[LocalSweep]:
    """Check everything that can be wrong before work begins, and hold the folder's lock meanwhile.

    ``load`` makes the screener; the pipeline's own where none is given. Raises what `sweep_to` does.
    """
    open_source(source, config=config.archive)
    check_apart(source, out)
    executor = LocalExecutor((load or load_screener)(config, bundle))
    with closing(executor), Ledger(out, executor.about.identity) as ledger:
        clock = StageClock()
        with clock.measure("index"):
            previous = earlier_catalog(out / CATALOG_FILE)
            catalog = look(source, manifest, config.archive, previous, lambda n: progress(Tally(files=n)))
        yield LocalSweep(ledger, catalog, executor, config, progress, clock)


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
    ) -> None:
        self._ledger = ledger
        self._catalog = catalog
        self._holdings = _holdings(catalog, executor.about)
        self._executor = executor
        self._config = config
        self._progress = progress
        self._clock = clock
        self._tally = Tally()
        self._began = perf_counter()

    def run(self) -> SweepSummary:
        """Do what is left: screen chunk by chunk, commit each, and write the outcome files.

        Raises:
            LedgerError: the folder cannot be written, or the counts do not add up.
        """
        with _writing(self._ledger.out):
            self._ledger.take_back()
        if (finished := self._finished()) is not None:
            return finished
        parts = self._ledger.parts()
        with _writing(self._ledger.out):
            begun = self._begin(parts)
        done = {exam.exam_digest for part in parts for exam in part.exams}
        chunks = cut(self._holdings.exams, done, self._config.run.chunk_exams, self._ledger.identity)
        work = Work(
            source=self._catalog.source,
            ledger=self._ledger,
            clock=self._clock,
            pages=self._config.report.pages,
            counted=self._count,
        )
        self._began = perf_counter()
        parts += self._executor.run(chunks, work)
        with _writing(self._ledger.out):
            return self._finish(begun, parts)

    def _finished(self) -> SweepSummary | None:
        """The summary of the run that did all of this before, if there was one."""
        out, begun = self._ledger.out, read_begun(self._ledger.out)
        run = finished_run(out, begun)
        if begun is None or run is None or not all((out / name).is_file() for name in OUTCOME_FILES):
            return None
        if (begun.archive_digest, begun.identity) != (self._holdings.digest, self._ledger.identity):
            return None
        counts = Counts.from_json(run)
        return SweepSummary(out=out, counts=counts, seconds=run["seconds"], nothing_new=True)

    def _begin(self, parts: list[Part]) -> Begun:
        self._check_same_source()
        current = set(self._holdings.digests.values())
        done = [exam.status for part in parts for exam in part.exams if exam.exam_digest in current]
        begun = Begun(
            run_id=self._ledger.run_id,
            root=self._holdings.root,
            archive_digest=self._holdings.digest,
            identity=self._ledger.identity,
            files=len(self._holdings.paths),
            exams=len(current),
            done=len(done),
            not_scored=done.count(ExamStatus.NOT_SCORED),
            started_at=_now(),
        )
        write_catalog(self._catalog, self._ledger.out / CATALOG_FILE)
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
        committed = {exam.exam_digest for part in read_parts(out) for exam in part.exams}
        # A folder that was moved, or is mounted elsewhere, still holds exams that are known.
        if committed and committed.isdisjoint(self._holdings.digests.values()):
            raise LedgerError(
                f"{out} holds the sweep of another source, with which this one has no exam in common; "
                "give another --out"
            )

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

    def _finish(self, begun: Begun, parts: list[Part]) -> SweepSummary:
        with self._clock.measure("report"):
            counts = gather(self._ledger.out, self._holdings, parts)
        seconds = total_seconds(parts) | self._clock.snapshot()
        about = run_record(begun, self._executor.about, self._config)
        write_front(self._ledger.out, about | counts.as_json() | {"seconds": seconds, "finished_at": _now()})
        self._progress(replace(self._tally, finished=True))
        return SweepSummary(out=self._ledger.out, counts=counts, seconds=seconds, nothing_new=False)


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
