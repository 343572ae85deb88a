"""A night: sweep what is new, note what arrived, publish the morning's worklist.

What is on it: exams that arrived or got a new revision since the last night that was published, or within
``days`` days where that reaches further back. Left out, and counted on the page, are exams that the unit says
were read, a patient's earlier exams where a later round is there (they are the history), and exams whose
files left the source. When an exam arrived is what the nights themselves recorded, never a file's time; what
lay in the archive before the first night counts as arrived the day after its Study Date.

Whatever goes wrong, the worklist that was published last stays.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from mammosweep.archive.source import folder_of, open_source
from mammosweep.config import ArchiveConfig, SweepConfig
from mammosweep.errors import ConfigError, LedgerError, SourceError
from mammosweep.records import ExamStatus
from mammosweep.report.html import PAGES
from mammosweep.report.night import FileReason, NightExam, NightList, write_night
from mammosweep.run.arrivals import ARRIVALS_FILE, Arrivals, Night, Window, open_arrivals
from mammosweep.run.begun import read_begun
from mammosweep.run.counts import Counts
from mammosweep.run.ledger import is_locked
from mammosweep.run.local import NO_TERMS, LoadScreener, LocalSweep, SweepSummary, prepare
from mammosweep.run.marks import check_marks, read_marks
from mammosweep.run.night_tables import exam_rows, seen_exams
from mammosweep.run.progress import Progress, silent
from mammosweep.run.publish import CURRENT, NIGHTS, check_writable, publish
from mammosweep.run.status import finished_run
from mammosweep.run.terms import Terms

__all__ = ["NightSettings", "NightSummary", "Nightly", "prepare_night"]

DEFAULTS = SweepConfig()
HISTORY_EXAMS = 10  # of a patient: a screening life of twenty years


@dataclass(frozen=True, slots=True, kw_only=True)
class NightSettings:
    """Where a night's things are, and what its worklist holds."""

    state: Path  # the sweep, and when exams arrived
    out: Path  # what the unit reads
    days: int = 1  # exams that arrived so many days ago are listed still
    read: Path | None = None  # CSV of exams that were read
    keep: int = 14  # nights that stay in ``out``

    def __post_init__(self) -> None:
        for name in ("days", "keep"):
            if getattr(self, name) < 1:
                raise ConfigError(f"--{name} is {getattr(self, name)}; it must be 1 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class NightSummary:
    """What a night came to."""

    page: Path  # to open
    night: date
    listed: int
    unassessed: int  # of those
    revised: int  # of those
    fates: dict[str, int]  # of all that is new: listed, read, prior, gone
    left: int  # exams that were there the night before and are not any more
    counts: Counts  # of the whole source


@contextmanager
def prepare_night(
    source: Path | str,
    settings: NightSettings,
    *,
    manifest: Path | None = None,
    bundle: Path | None = None,
    config: SweepConfig = DEFAULTS,
    progress: Progress = silent,
    now: datetime | None = None,
    load: LoadScreener | None = None,
    terms: Terms = NO_TERMS,
) -> Iterator[Nightly]:
    """Check everything that can be wrong before work begins, and hold the state's lock meanwhile.

    Args:
        source: as in `sweep_to`.
        settings: where and what.
        manifest: as in `sweep_to`.
        bundle: as in `sweep_to`.
        config: the sweep's settings.
        progress: as in `sweep_to`.
        now: the moment that the night begins, aware; its date is the night's. Else the clock's.
        load: makes the screener; the pipeline's own where none is given.
        terms: when to stop, and who watches; a night is about the whole source.

    Raises:
        ConfigError: the settings, the bundle, the list of exams read or a folder cannot be used.
        SourceError: the source cannot be read, or is empty and was not.
        DeviceError: the machine lacks the device asked for.
        LedgerError: another night is being made in the same state.
        SweepStopped: a stop was asked for while headers were read.
    """
    at = now or datetime.now().astimezone()
    _check_apart(source, settings)
    if settings.read is not None:
        check_marks(settings.read)
    _check_not_emptied(source, settings.state, config.archive)
    check_writable(settings.out)
    if is_locked(settings.state):
        raise LedgerError(
            f"another night is being made in {settings.state}; wait for it (mammosweep status shows how far "
            "it is): the last worklist stays published"
        )
    with prepare(settings.state, source, manifest, bundle, config, progress, load, terms) as sweep:
        yield Nightly(sweep, settings, at)


class Nightly:
    """A night that is ready; its state is locked."""

    def __init__(self, sweep: LocalSweep, settings: NightSettings, at: datetime) -> None:
        self._sweep = sweep
        self._settings = settings
        self._at = at
        self._swept: SweepSummary | None = None

    def sweep(self) -> None:
        """Screen what is new.

        Raises:
            LedgerError: the state cannot be written, or the counts do not add up.
            SweepStopped: it was asked for; nothing must be published.
        """
        self._swept = self._sweep.run()

    def check_source(self) -> None:
        """Do not take storage that is not there for an archive without exams.

        Raises:
            SourceError: the source holds no exam any more.
        """
        with open_arrivals(self._settings.state) as arrivals:
            known = arrivals.num_present()
        if known and not self._counts.exams_seen:
            raise SourceError(_emptied("the source holds no exam", known))

    def publish(self) -> NightSummary:
        """Note what arrived, and put this night's worklist in the last one's place.

        Raises:
            LedgerError: the records or the output folder cannot be used; the last worklist stays.
            ConfigError: the list of exams read was changed meanwhile and cannot be used.
        """
        state = self._settings.state
        with open_arrivals(state) as arrivals:
            if self._settings.read is not None:
                arrivals.mark_read(read_marks(self._settings.read))
            run = _run_of(state)
            left = arrivals.record(
                seen_exams(state), run_id=run["run_id"], night=self._at.date(), at=self._at
            )
            window, previous = arrivals.window(
                self._at.date(), self._settings.days, reads=self._settings.read is not None
            )
            night = self._list(arrivals, window, previous, left, run)
            rows = exam_rows(state, [item.exam.exam_id for item in night.exams])
            folder = publish(
                self._settings.out,
                night.name,
                lambda folder: write_night(folder, night, rows, state / PAGES),
                self._settings.keep,
            )
            reasons = json.dumps(self._counts.file_reasons, sort_keys=True)
            arrivals.published(Night(folder.name, night.night, reasons), night.made_at)
        return self._summary(night)

    @property
    def _counts(self) -> Counts:
        if self._swept is None:
            raise RuntimeError("a night is swept before it is published")
        return self._swept.counts

    def _list(
        self, arrivals: Arrivals, window: Window, previous: Night | None, left: int, run: dict[str, Any]
    ) -> NightList:
        listed = list(arrivals.listed(window))
        return NightList(
            name=_name(self._settings.out, self._at),
            night=self._at.date(),
            made_at=self._at,
            after=window.after,
            previous=None if previous is None else previous.night,
            exams=tuple(NightExam(exam, tuple(arrivals.history(exam, HISTORY_EXAMS))) for exam in listed),
            fates=arrivals.fates(window),
            num_exams=self._counts.exams_seen,
            num_left=left,
            files=_files(self._counts, previous),
            bundle=str(run["bundle"]),
            bundle_note=str(run["bundle_note"]),
        )

    def _summary(self, night: NightList) -> NightSummary:
        exams = [item.exam for item in night.exams]
        return NightSummary(
            page=self._settings.out / CURRENT / "worklist.html",
            night=night.night,
            listed=len(exams),
            unassessed=sum(exam.status == ExamStatus.NOT_SCORED or exam.score is None for exam in exams),
            revised=sum(exam.revision > 1 for exam in exams),
            fates=dict(night.fates),
            left=night.num_left,
            counts=self._counts,
        )


def _check_apart(source: Path | str, settings: NightSettings) -> None:
    """A sweep must not read what it writes, and what is published must not hold every exam's state."""
    folder = folder_of(source)
    places = {"--state": settings.state.resolve(), "--out": settings.out.resolve()}
    if folder is not None and folder.is_dir():
        places["SOURCE"] = folder.resolve()
    names = list(places)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            inner, outer = places[one], places[other]
            if inner.is_relative_to(outer) or outer.is_relative_to(inner):
                raise ConfigError(f"{one} {inner} and {other} {outer} lie in each other; give folders apart")


def _check_not_emptied(source: Path | str, state: Path, config: ArchiveConfig) -> None:
    """A mount point whose storage is missing is an empty folder: refuse it before the sweep believes it."""
    opened = open_source(source, config=config)
    if not (state / ARRIVALS_FILE).is_file():
        return
    with open_arrivals(state) as arrivals:
        known = arrivals.num_present()
    if known and next(iter(opened.entries()), None) is None:
        raise SourceError(_emptied(f"source {source} holds no file", known))


def _emptied(what: str, known: int) -> str:
    return (
        f"{what}, and {known} exams the night before; see whether its storage is mounted. The last worklist "
        "stays published. If the archive is meant to be empty, give another --state"
    )


def _run_of(state: Path) -> dict[str, Any]:
    run = finished_run(state, read_begun(state))
    if run is None:
        raise LedgerError(f"{state} holds no finished sweep; run the same command again")
    return run


def _files(counts: Counts, previous: Night | None) -> tuple[FileReason, ...]:
    before = json.loads(previous.file_reasons) if previous else {}
    return tuple(
        FileReason(
            status,
            reason,
            number,
            max(0, number - before.get(status, {}).get(reason, 0)) if previous else None,
        )
        for status, reasons in counts.file_reasons.items()
        for reason, number in reasons.items()
    )


def _name(out: Path, at: datetime) -> str:
    """The night's folder: its date and time, so that names sort as nights do; no name is given twice."""
    name = f"{at:%Y-%m-%dT%H%M%S}"
    taken = sum(path.name.startswith(name) for path in (out / NIGHTS).iterdir())
    return f"{name}-{taken + 1}" if taken else name
