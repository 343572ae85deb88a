"""The order in which a reader takes the exams: unassessed on top, then the most suspicious first."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pyarrow as pa

from mammosweep.records import ExamStatus
from mammosweep.report.atomic import write_text
from mammosweep.report.cells import cell, cell_value
from mammosweep.report.html import page_link, write_page
from mammosweep.report.words import bundle_caution

__all__ = ["COLUMNS", "bundle_of", "reading_order", "write_worklist"]

COLUMNS = (
    *("rank", "exam_id", "patient_key", "study_date", "status", "reason"),
    *("score", "score_left", "score_right", "category", "flags"),
)
"""The columns of worklist.csv."""


def write_worklist(out: Path, exams: pa.Table, bundle_note: str = "") -> None:
    """Write worklist.csv and worklist.html, every exam in both, in reading order.

    Args:
        out: the sweep's folder; exams link to their page where ``out/pages`` holds it.
        exams: the exams table.
        bundle_note: what must be said of the bundle, e.g. what it was fitted on.
    """
    rows = reading_order(out, exams)
    write_text(out / "worklist.csv", _csv(rows))
    caution = bundle_caution(bundle_of(exams), bundle_note)
    write_page(out / "worklist.html", "worklist.html.j2", rows=rows, caution=caution)


def reading_order(out: Path, exams: pa.Table) -> list[dict[str, Any]]:
    """The exams' rows, each with its `rank` from 1 and the `link` to its page.

    An exam without a score comes first: nobody has looked at it yet, the engine included. Then by falling
    score; equal ones by exam id.
    """
    rows: list[dict[str, Any]] = sorted(exams.to_pylist(), key=_urgency)
    for rank, row in enumerate(rows, start=1):
        row["rank"] = rank
        row["link"] = page_link(out, row["exam_id"])
    return rows


def bundle_of(exams: pa.Table) -> str:
    """Name and version of the bundle, or bundles, that the exams were scored with."""
    return ", ".join(sorted(set(exams["bundle"].drop_null().to_pylist())))


def _urgency(row: dict[str, Any]) -> tuple[bool, float, str]:
    unassessed = row["status"] == ExamStatus.NOT_SCORED or row["score"] is None
    return not unassessed, 0.0 if unassessed else -row["score"], row["exam_id"]


def _csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([cell(cell_value(row, column)) for column in COLUMNS] for row in rows)
    return text.getvalue()
