"""What a sweep saw and what became of it: sums that must add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from mammosweep.errors import LedgerError
from mammosweep.records import ExamStatus, ImageStatus

__all__ = ["Counts", "Reasons", "Reckoning", "count_reasons"]

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


class Reckoning:
    """Counts the rows of a sweep's tables, group by group, and holds them against what was seen."""

    def __init__(self) -> None:
        self._files: Counter[tuple[str, str | None]] = Counter()
        self._exams: Counter[tuple[str, str | None]] = Counter()

    def add(
        self, images: pa.Table, exams: pa.Table, *, paths: Iterable[str], exam_ids: Iterable[str]
    ) -> None:
        """Count some rows.

        Args:
            images: rows of the images table.
            exams: rows of the exams table.
            paths: every file that was seen, of those that these rows are about.
            exam_ids: every exam, likewise.

        Raises:
            LedgerError: a file or an exam has no row, or more than one, or a row has no file or exam.
        """
        _check_rows("file", list(paths), images["path"].to_pylist())
        _check_rows("exam", list(exam_ids), exams["exam_id"].to_pylist())
        self._files += Counter(zip(images["status"].to_pylist(), images["reason"].to_pylist(), strict=True))
        self._exams += Counter(zip(exams["status"].to_pylist(), exams["reason"].to_pylist(), strict=True))

    def counts(self) -> Counts:
        """The sums so far."""
        return Counts(
            files_seen=self._files.total(),
            files=_by_status(self._files, ImageStatus),
            exams_seen=self._exams.total(),
            exams=_by_status(self._exams, ExamStatus),
            file_reasons=_by_reason(self._files),
            exam_reasons=_by_reason(self._exams),
        )


def count_reasons(pairs: Iterable[tuple[str, str | None]]) -> dict[str, dict[str, int]]:
    """How often each (status, reason) occurs, as status -> reason -> number; no reason is not counted."""
    return _by_reason(Counter((str(status), reason and str(reason)) for status, reason in pairs))


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


def _by_status(
    found: Counter[tuple[str, str | None]], statuses: type[ImageStatus] | type[ExamStatus]
) -> dict[str, int]:
    return {str(s): sum(number for (status, _), number in found.items() if status == s) for s in statuses}


def _by_reason(found: Counter[tuple[str, str | None]]) -> dict[str, dict[str, int]]:
    reasons: dict[str, dict[str, int]] = {}
    for (status, reason), number in sorted(pair for pair in found.items() if pair[0][1] is not None):
        reasons.setdefault(str(status), {})[str(reason)] = number
    return reasons
