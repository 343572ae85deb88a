"""How far a sweep is, from its files alone: while another process sweeps, or after it died."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from mammosweep.errors import LedgerError
from mammosweep.records import ExamStatus
from mammosweep.report.runjson import RUN_FILE
from mammosweep.run.begun import BEGUN_FILE, Begun, read_begun
from mammosweep.run.ledger import each_part, is_locked
from mammosweep.run.part import Part

__all__ = ["RUN_FILE", "State", "Status", "finished_run", "status"]


class State(StrEnum):
    """What a sweep's folder is at."""

    INDEXING = "indexing"  # headers are being read for the first time
    RUNNING = "running"
    STOPPED = "stopped"  # run the same command again to continue
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How far a sweep is."""

    state: State
    exams: int = 0
    done: int = 0
    not_scored: int = 0  # of those done
    reasons: Mapping[str, int] = field(default_factory=dict)  # why those were not scored
    files: int = 0
    selection: str = ""  # what is swept, in words; empty: everything
    chunks: int = 0  # committed by the latest run
    exams_per_s: float | None = None  # of the latest run, until its last commit; None before its first
    seconds: Mapping[str, float] = field(default_factory=dict)  # by stage, of the latest run's chunks
    started_at: str = ""  # ISO 8601, UTC
    committed_at: str = ""  # likewise: the latest run's last chunk

    @property
    def seconds_left(self) -> float | None:
        """At the latest run's speed, if it goes on; None where that is not known."""
        return None if not self.exams_per_s else (self.exams - self.done) / self.exams_per_s


def status(out: Path) -> Status:
    """Say how far the sweep into ``out`` is.

    Raises:
        LedgerError: the folder is not a sweep's, or its files were damaged.
    """
    begun = read_begun(out)
    if begun is None:
        return _not_begun(out)
    latest = _Latest()
    for part in each_part(out):
        if part.run_id == begun.run_id:
            latest.add(part)
    return Status(
        state=_state(out, begun),
        exams=begun.exams,
        done=begun.done + latest.exams,
        not_scored=begun.not_scored + latest.not_scored,
        reasons=dict(sorted((latest.reasons + Counter(begun.reasons)).items())),
        files=begun.files,
        selection=begun.selection,
        chunks=latest.chunks,
        exams_per_s=latest.speed(begun.started_at),
        seconds=dict(latest.seconds),
        started_at=begun.started_at,
        committed_at=latest.committed_at,
    )


class _Latest:
    """What the latest run's parts add up to; none of them is kept."""

    def __init__(self) -> None:
        self.chunks = self.exams = self.not_scored = 0
        self.reasons: Counter[str] = Counter()
        self.seconds: dict[str, float] = defaultdict(float)
        self.committed_at = ""

    def add(self, part: Part) -> None:
        self.chunks += 1
        self.exams += len(part.exams)
        self.not_scored += sum(exam.status is ExamStatus.NOT_SCORED for exam in part.exams)
        self.reasons.update(exam.reason for exam in part.exams if exam.reason is not None)
        for stage, seconds in part.seconds.items():
            self.seconds[stage] += seconds
        self.committed_at = max(self.committed_at, part.committed_at)

    def speed(self, started_at: str) -> float | None:
        """Exams a second; None where the times of day do not tell: the clock may have been set."""
        if not self.committed_at:
            return None
        taken = datetime.fromisoformat(self.committed_at) - datetime.fromisoformat(started_at)
        return self.exams / taken.total_seconds() if taken > timedelta(0) else None


def finished_run(out: Path, begun: Begun | None) -> dict[str, Any] | None:
    """What run.json says, where the run that ``begun`` describes came to its end; else None."""
    try:
        run: dict[str, Any] = json.loads((out / RUN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    is_finished = begun is not None and run.get("complete") is True and run.get("run_id") == begun.run_id
    return run if is_finished else None


def _not_begun(out: Path) -> Status:
    if not is_locked(out):
        raise LedgerError(f"{out} holds no {BEGUN_FILE}; give the --out folder of a sweep that has begun")
    return Status(state=State.INDEXING)


def _state(out: Path, begun: Begun) -> State:
    if finished_run(out, begun):
        return State.COMPLETE
    return State.RUNNING if is_locked(out) else State.STOPPED
