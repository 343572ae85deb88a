"""A part: one committed chunk as a folder, with its tables, its exams' pages and `part.json`."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mammosweep.errors import LedgerError
from mammosweep.records import ExamOutcome, ExamRef, ExamStatus, ImageStatus
from mammosweep.report.atomic import write_text
from mammosweep.run.chunks import Identity

__all__ = ["PART_FILE", "Part", "PartExam", "read_part", "total_seconds", "write_part_file"]

PART_FILE = "part.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class PartExam:
    """One exam of a part."""

    exam_id: str
    exam_digest: str
    status: ExamStatus
    files: int
    reason: str | None = None  # why it was not scored
    views_read: int = 0  # whose pixels were asked for
    views_used: int = 0  # that came as far as the detector

    @classmethod
    def of(cls, exam: ExamRef, outcome: ExamOutcome) -> PartExam:
        """What a part keeps of an outcome beside its rows."""
        return cls(
            exam_id=outcome.exam_id,
            exam_digest=outcome.exam_digest,
            status=outcome.status,
            files=len(outcome.images),
            reason=None if outcome.reason is None else str(outcome.reason),
            views_read=len(exam.views) if exam.reason is None else 0,
            views_used=sum(image.status is ImageStatus.USED for image in outcome.images),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What part.json says."""

    folder: Path
    run_id: str  # of the run that committed it
    identity: Identity
    exams: tuple[PartExam, ...]
    seconds: Mapping[str, float]  # wall seconds by stage
    committed_at: str = ""  # ISO 8601, UTC; the machine's time of day, by which nothing is decided

    @property
    def chunk_id(self) -> str:
        """The folder's name: the chunk's id, and whether it is to be done again."""
        return self.folder.name


def write_part_file(folder: Path, part: Part) -> None:
    """Write ``folder/part.json``; ``folder`` may still have its temporary name.

    Raises:
        OSError: the folder cannot be written or the disk is full.
    """
    exams = [_exam_record(exam) for exam in part.exams]
    counts = {str(s): sum(exam.status is s for exam in part.exams) for s in ExamStatus}
    record = {
        "schema_version": SCHEMA_VERSION,
        "chunk_id": part.chunk_id,
        "run_id": part.run_id,
        "bundle_digest": part.identity.bundle_digest,
        "settings_digest": part.identity.settings_digest,
        "exams": exams,
        "counts": counts | {"files": sum(exam.files for exam in part.exams)},
        "seconds": dict(part.seconds),
        "committed_at": part.committed_at,
    }
    write_text(folder / PART_FILE, json.dumps(record, indent=2, sort_keys=True) + "\n")


def read_part(folder: Path) -> Part:
    """Read ``folder/part.json``.

    Raises:
        LedgerError: missing, unreadable or of another schema version.
    """
    try:
        return _part(folder, json.loads((folder / PART_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LedgerError(
            f"part {folder.name}: {PART_FILE} cannot be used ({type(error).__name__}: {error}); parts appear "
            "whole or not at all, so it was changed afterwards: remove that folder and run the sweep again"
        ) from None


def total_seconds(parts: Iterable[Part]) -> dict[str, float]:
    """Wall seconds by stage over several parts."""
    total: dict[str, float] = defaultdict(float)
    for part in parts:
        for stage, seconds in part.seconds.items():
            total[stage] += seconds
    return dict(total)


def _exam_record(exam: PartExam) -> dict[str, Any]:
    record = asdict(exam)
    record["digest"] = record.pop("exam_digest")
    return record


def _exam(record: Mapping[str, Any]) -> PartExam:
    return PartExam(
        exam_id=record["exam_id"],
        exam_digest=record["digest"],
        status=ExamStatus(record["status"]),
        files=int(record["files"]),
        # Parts of earlier versions lack these.
        reason=record.get("reason"),
        views_read=int(record.get("views_read", 0)),
        views_used=int(record.get("views_used", 0)),
    )


def _part(folder: Path, record: dict[str, Any]) -> Part:
    if record["schema_version"] != SCHEMA_VERSION:
        raise ValueError(f"schema version is {record['schema_version']}, expected {SCHEMA_VERSION}")
    if record["chunk_id"] != folder.name:
        raise ValueError(f"chunk_id is {record['chunk_id']}, expected the folder's name")
    return Part(
        folder=folder,
        run_id=record["run_id"],
        identity=Identity(record["bundle_digest"], record["settings_digest"]),
        exams=tuple(map(_exam, record["exams"])),
        seconds={stage: float(value) for stage, value in record["seconds"].items()},
        committed_at=record.get("committed_at", ""),
    )
