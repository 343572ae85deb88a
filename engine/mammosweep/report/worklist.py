"""The order in which a reader takes the exams: unassessed on top, then the most suspicious first."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mammosweep.records import ExamStatus
from mammosweep.report.atomic import replacing
from mammosweep.report.cells import cell, cell_value
from mammosweep.report.html import page_link, write_page
from mammosweep.report.words import bundle_caution

__all__ = ["COLUMNS", "READING_COLUMNS", "ReadingOrder", "bundle_of", "write_worklist"]

COLUMNS = (
    *("rank", "exam_id", "patient_key", "study_date", "status", "reason"),
    *("score", "score_left", "score_right", "category", "flags"),
)
"""The columns of worklist.csv."""


READING_COLUMNS = (*COLUMNS[1:], "message", "bundle")
"""The columns of the exams table that the worklist and the front page need."""

WORKLIST_EXAMS = 10_000
"""How many exams worklist.html lists: more than anyone reads; worklist.csv has all."""

ROWS_AT_ONCE = 10_000  # of worklist.csv, in memory


def write_worklist(out: Path, exams: pa.Table, bundle_note: str = "") -> None:
    """Write worklist.csv, every exam in reading order, and worklist.html, as many as a browser can show.

    Args:
        out: the sweep's folder; exams link to their page where ``out/pages`` holds it.
        exams: the exams table, at least its `READING_COLUMNS`.
        bundle_note: what must be said of the bundle, e.g. what it was fitted on.
    """
    order = ReadingOrder(out, exams)
    with replacing(out / "worklist.csv") as temporary, temporary.open("wb") as file:
        file.write(_csv([COLUMNS]))
        for start in range(0, len(order), ROWS_AT_ONCE):
            file.write(_csv(_cells(row) for row in order.rows(start, start + ROWS_AT_ONCE, with_links=False)))
    write_page(
        out / "worklist.html",
        "worklist.html.j2",
        rows=order.rows(0, WORKLIST_EXAMS),
        num_exams=len(order),
        caution=bundle_caution(bundle_of(exams), bundle_note),
    )


class ReadingOrder:
    """The exams in the order in which a reader takes them.

    An exam without a score comes first: nobody has looked at it yet, the engine included. Then by falling
    score; equal ones by exam id.
    """

    def __init__(self, out: Path, exams: pa.Table) -> None:
        self._out, self._exams = out, exams
        unassessed = pc.or_(pc.equal(exams["status"], ExamStatus.NOT_SCORED), pc.is_null(exams["score"]))
        keys = pa.table(
            {
                "assessed": pc.cast(pc.invert(unassessed), pa.int8()),
                "score": pc.if_else(unassessed, 0.0, exams["score"]),
                "exam_id": exams["exam_id"],
            }
        )
        falling = [("assessed", "ascending"), ("score", "descending"), ("exam_id", "ascending")]
        self._order = pc.sort_indices(keys, sort_keys=falling)

    def __len__(self) -> int:
        """How many exams there are."""
        return len(self._order)

    def rows(self, start: int, stop: int, *, with_links: bool = True) -> list[dict[str, Any]]:
        """Some exams' rows, each with its `rank` from 1 and, if asked for, the `link` to its page."""
        rows: list[dict[str, Any]] = self._exams.take(self._order[start:stop]).to_pylist()
        for rank, row in enumerate(rows, start=start + 1):
            row["rank"] = rank
            row["link"] = page_link(self._out, row["exam_id"]) if with_links else ""
        return rows


def bundle_of(exams: pa.Table) -> str:
    """Name and version of the bundle, or bundles, that the exams were scored with."""
    return ", ".join(sorted(exams["bundle"].drop_null().unique().to_pylist()))


def _csv(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", "backslashreplace")


def _cells(row: dict[str, Any]) -> list[str]:
    return [cell(cell_value(row, column)) for column in COLUMNS]
