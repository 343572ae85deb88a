"""How far a sweep is, from its files alone: while another process sweeps, or after it died."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from mammosweep.errors import LedgerError
from mammosweep.records import ExamStatus
from mammosweep.report.runjson import RUN_FILE
from mammosweep.run.begun import BEGUN_FILE, Begun, read_begun
from mammosweep.run.ledger import is_locked, read_parts
from mammosweep.run.part import total_seconds

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
    files: int = 0
    chunks: int = 0  # committed by the latest run
    seconds: Mapping[str, float] = field(default_factory=dict)  # by stage, of the latest run's chunks
    started_at: str = ""  # ISO 8601, UTC


def status(out: Path) -> Status:
    """Say how far the sweep into ``out`` is.

    Raises:
        LedgerError: the folder is not a sweep's, or its files were damaged.
    """
    begun = read_begun(out)
    if begun is None:
        return _not_begun(out)
    parts = [part for part in read_parts(out) if part.run_id == begun.run_id]
    statuses = [exam.status for part in parts for exam in part.exams]
    return Status(
        state=_state(out, begun),
        exams=begun.exams,
        done=begun.done + len(statuses),
        not_scored=begun.not_scored + statuses.count(ExamStatus.NOT_SCORED),
        files=begun.files,
        chunks=len(parts),
        seconds=total_seconds(parts),
        started_at=begun.started_at,
    )


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
