"""What the commands say at their end: what was seen, what became of it, where the results are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from mammosweep.archive.catalog import Catalog
from mammosweep.bundle import BundleManifest
from mammosweep.clock import SCREEN, WAIT_COMMIT, WAIT_VIEWS
from mammosweep.records import ExamStatus, ImageStatus
from mammosweep.run.counts import Counts, Reasons, count_reasons
from mammosweep.run.local import SweepSummary
from mammosweep.run.status import Status
from mammosweep.run.stop import SweepStopped

__all__ = [
    "catalog_table",
    "count_table",
    "limit_text",
    "manifest_table",
    "seconds_text",
    "status_record",
    "status_table",
    "stopped_table",
    "summary_table",
]

STAGES = (
    *("index", SCREEN, "read", "decode", "normalise", "detect", "lesion", "exam", "commit"),
    *(WAIT_VIEWS, WAIT_COMMIT, "report"),
)

WHAT_LIMITS = {
    "detect": "the detector",
    WAIT_VIEWS: "reading, decoding and normalising",
    WAIT_COMMIT: "writing results",
}


def summary_table(summary: SweepSummary) -> Table:
    """Counts with their reasons, seconds by stage, and the page to open."""
    table = count_table(summary.counts)
    _add(table, "seconds", seconds_text(summary.seconds))
    if (limit := limit_text(summary.run_seconds)) is not None:
        _add(table, "limited by", limit)
    _add(table, "results", f"open {summary.out / 'index.html'}")
    return table


def count_table(counts: Counts) -> Table:
    """The two sums, each with the reasons below it."""
    table = _table()
    _add(table, "files seen", _sum(counts.files_seen, counts.files))
    _add_reasons(table, counts.file_reasons)
    _add(table, "exams seen", _sum(counts.exams_seen, counts.exams))
    _add_reasons(table, counts.exam_reasons)
    return table


def stopped_table(stopped: SweepStopped) -> Table:
    """How far a run came that was stopped, and what limited it."""
    table = _table()
    if stopped.exams is not None:
        _add(table, "exams done", f"{stopped.done} of {stopped.exams}")
        _add(table, "seconds", seconds_text(stopped.seconds))
    if (limit := limit_text(stopped.seconds)) is not None:
        _add(table, "limited by", limit)
    return table


def status_table(status: Status) -> Table:
    """How far a sweep is."""
    table = _table()
    _add(table, "state", str(status.state))
    _add(table, "exams done", f"{status.done} of {status.exams}, {status.not_scored} not scored")
    if status.reasons:
        _add_reasons(table, {ExamStatus.NOT_SCORED: status.reasons})
    if status.selection:
        _add(table, "selected", status.selection)
    _add(table, "files seen", str(status.files))
    _add(table, "speed", _speed(status))
    _add(table, "chunks", f"{status.chunks} committed by the latest run")
    _add(table, "seconds", seconds_text(status.seconds))
    if (limit := limit_text(status.seconds)) is not None:
        _add(table, "limited by", limit)
    _add(table, "begun at", status.started_at or "-")
    _add(table, "last commit at", status.committed_at or "-")
    return table


def status_record(status: Status) -> dict[str, Any]:
    """The same for machines."""
    return asdict(status) | {"seconds_left": status.seconds_left, "limited_by": limit_text(status.seconds)}


def _speed(status: Status) -> str:
    if status.exams_per_s is None:
        return "unknown until the latest run has committed a chunk"
    left = status.seconds_left
    time_left = f", {timedelta(seconds=round(left))} left" if left else ""
    return f"{status.exams_per_s:.3g} exams/s by the latest run{time_left}"


def catalog_table(catalog: Catalog, path: Path) -> Table:
    """What an index found: files by status and reason, exams that can be scored and that cannot."""
    table = _table()
    files: Counter[tuple[str, str | None]] = Counter()
    exams: Counter[str] = Counter({"to be scored": 0, "not scored": 0})
    for group in catalog.exam_groups():
        images = [*group.strays, *(image for exam in group.exams for image in exam.images)]
        files.update((image.status, image.reason) for image in images)
        exams.update("to be scored" if exam.reason is None else "not scored" for exam in group.exams)
    by_status = {str(s): sum(n for (status, _), n in files.items() if status is s) for s in ImageStatus}
    _add(table, "files seen", _sum(files.total(), by_status))
    _add_reasons(table, count_reasons(files.elements()))
    _add(table, "exams seen", _sum(exams.total(), exams))
    _add(table, "catalog", str(path))
    return table


def manifest_table(manifest: BundleManifest) -> Table:
    """What a bundle says of itself."""
    table = _table()
    for name, value in asdict(manifest).items():
        if name not in ("detector", "character", "files"):
            _add(table, name, _words(value))
    for part, spec in (("detector", manifest.detector), ("character", manifest.character)):
        for name, value in asdict(spec).items():
            _add(table, f"{part}.{name}", _words(value))
    for name, digest in manifest.files.items():
        _add(table, name, f"SHA-256 {digest}")
    return table


def seconds_text(seconds: Mapping[str, float]) -> str:
    """Seconds by stage on one line, in the order in which an exam passes the stages."""
    order = {stage: place for place, stage in enumerate(STAGES)}
    ordered = sorted(seconds.items(), key=lambda item: (order.get(item[0], len(STAGES)), item[0]))
    return ", ".join(f"{stage} {value:.1f}" for stage, value in ordered) or "-"


def limit_text(seconds: Mapping[str, float]) -> str | None:
    """What a run's speed hung on, and how long the detector stood idle; None: nothing was screened.

    Parts alone lack the run's own stages (`SCREEN`, `WAIT_COMMIT`); it is said of what there is.
    """
    taken = {stage: seconds.get(stage, 0.0) for stage in WHAT_LIMITS}
    if not any(taken.values()):
        return None
    longest = max(taken, key=lambda stage: taken[stage])
    total = f"of {seconds[SCREEN]:.1f} s " if seconds.get(SCREEN) else ""
    written = f" and {taken[WAIT_COMMIT]:.1f} s for results to be written" if WAIT_COMMIT in seconds else ""
    return (
        f"{WHAT_LIMITS[longest]}: {total}the detector worked {taken['detect']:.1f} s, waited "
        f"{taken[WAIT_VIEWS]:.1f} s for views{written}"
    )


def _words(value: object) -> str:
    if isinstance(value, dict):
        return "x".join(str(v) for v in value.values())
    return ", ".join(_words(v) for v in value) if isinstance(value, tuple | list) else str(value)


def _table() -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _add(table: Table, name: str, text: str) -> None:
    # As Text: a path or a word in square brackets is no markup.
    table.add_row(Text(name), Text(text, overflow="fold"))


def _sum(seen: int, by_status: Mapping[str, int]) -> str:
    terms = " + ".join(f"{number} {status.replace('_', ' ')}" for status, number in by_status.items())
    return f"{seen} = {terms}"


def _add_reasons(table: Table, reasons: Reasons) -> None:
    for status, numbers in reasons.items():
        words = ", ".join(f"{number} {reason}" for reason, number in numbers.items())
        _add(table, f"  {status.replace('_', ' ')}", words)
