"""What a sweep saw and what became of it: sums that must add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from mammosweep.errors import LedgerError
from mammosweep.records import ExamStatus, ImageStatus

__all__ = ["Counts", "Reasons", "count_reasons", "counts_of"]

Reasons = Mapping[str, Mapping[str, int]]  # status -> reason -> number


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Files seen = used + set aside + rejected; exams seen = scored + flagged + not scored."""

    files_seen: int
    files: Mapping[str, int]  # by status
    exams_seen: int
    exams: Mapping[str, int]  # by status
    file_reasons: Reasons
    exam_reasons: Reasons

    @property
    def not_scored(self) -> int:
        """Exams without a score."""
        return self.exams[ExamStatus.NOT_SCORED]

    def as_json(self) -> dict[str, Any]:
        """The form in which run.json holds them."""
        return {
            "counts": {
                "files": {"seen": self.files_seen, **self.files},
                "exams": {"seen": self.exams_seen, **self.exams},
            },
            "reasons": {"files": self.file_reasons, "exams": self.exam_reasons},
        }

    @classmethod
    def from_json(cls, run: Mapping[str, Any]) -> Counts:
        """Read what `as_json` wrote."""
        files, exams = run["counts"]["files"], run["counts"]["exams"]
        return cls(
            files_seen=files["seen"],
            files={str(status): files[status] for status in ImageStatus},
            exams_seen=exams["seen"],
            exams={str(status): exams[status] for status in ExamStatus},
            file_reasons=run["reasons"]["files"],
            exam_reasons=run["reasons"]["exams"],
        )


def counts_of(images: pa.Table, exams: pa.Table, *, paths: Iterable[str], exam_ids: Iterable[str]) -> Counts:
    """Count the rows of a sweep's tables and hold them against what was seen.

    Args:
        images: the images table.
        exams: the exams table.
        paths: every file that was seen.
        exam_ids: every exam that was seen.

    Raises:
        LedgerError: a file or an exam has no row, or more than one, or a row has no file or exam.
    """
    seen_files, seen_exams = list(paths), list(exam_ids)
    _check_rows("file", seen_files, images["path"].to_pylist())
    _check_rows("exam", seen_exams, exams["exam_id"].to_pylist())
    return Counts(
        files_seen=len(seen_files),
        files=_by_status(images, ImageStatus),
        exams_seen=len(seen_exams),
        exams=_by_status(exams, ExamStatus),
        file_reasons=_by_reason(images),
        exam_reasons=_by_reason(exams),
    )


def count_reasons(pairs: Iterable[tuple[str, str | None]]) -> dict[str, dict[str, int]]:
    """How often each (status, reason) occurs, as status -> reason -> number; no reason is not counted."""
    reasons: dict[str, dict[str, int]] = {}
    for (status, reason), number in sorted(Counter((s, r) for s, r in pairs if r is not None).items()):
        reasons.setdefault(str(status), {})[str(reason)] = number
    return reasons


def _check_rows(what: str, seen: list[str], rows: list[str]) -> None:
    expected, found = Counter(seen), Counter(rows)
    if expected == found and len(expected) == len(seen):
        return
    missing, surplus = (expected - found).total(), (found - expected).total()
    raise LedgerError(
        f"the counts do not add up: {len(seen)} {what}s were seen, the tables hold {len(rows)} rows, "
        f"{missing} {what}s have none and {surplus} rows are surplus; this is a fault of the engine: the "
        "results must not be used"
    )


def _by_status(table: pa.Table, statuses: type[ImageStatus] | type[ExamStatus]) -> dict[str, int]:
    found = Counter(table["status"].to_pylist())
    return {str(status): found[status] for status in statuses}


def _by_reason(table: pa.Table) -> dict[str, dict[str, int]]:
    return count_reasons(zip(table["status"].to_pylist(), table["reason"].to_pylist(), strict=True))
