"""The morning's worklist: worklist.csv, .json and .html, and the pages of the exams that they name.

One folder holds it all, so that it can be published at once, copied away and kept.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from mammosweep.errors import LedgerError
from mammosweep.records import ExamStatus
from mammosweep.report.atomic import flush, write_text
from mammosweep.report.cells import cell, cell_value
from mammosweep.report.html import PAGES, page_link, slug, write_page
from mammosweep.report.known import KnownExam
from mammosweep.report.words import NOTICE, bundle_caution, reason_words, status_words
from mammosweep.report.worklist import COLUMNS, ReadingOrder

__all__ = ["NIGHT_COLUMNS", "FileReason", "NightExam", "NightList", "write_night"]

NIGHT_COLUMNS = (*COLUMNS, "revision", "arrived_at", "revised_at", "history")
"""The columns of a night's worklist.csv."""

SCHEMA_VERSION = 1
SHOWN_HISTORY = 3  # earlier exams that the page shows; the files hold all

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class NightExam:
    """An exam that is to be read, and the patient's earlier ones, the newest first."""

    exam: KnownExam
    history: tuple[KnownExam, ...]


@dataclass(frozen=True, slots=True)
class FileReason:
    """Why files of the source were not used, and how many."""

    status: str
    reason: str
    files: int
    new: int | None  # more than the night before; None: no night was before


@dataclass(frozen=True, slots=True, kw_only=True)
class NightList:
    """A night: what is to be read in the morning, and what was left out."""

    name: str
    night: date
    made_at: datetime  # aware
    after: date  # listed is what arrived or was revised on a night after this date
    previous: date | None  # the last night before that was published
    exams: tuple[NightExam, ...]
    fates: Mapping[str, int]  # of all that arrived or was revised: listed, prior, read, gone
    num_exams: int  # in the source
    num_left: int  # exams that left the source tonight
    files: tuple[FileReason, ...]
    bundle: str  # name and version of the one that screened tonight
    bundle_note: str  # what must be said of the bundle


def write_night(folder: Path, night: NightList, exams: pa.Table, pages: Path) -> None:
    """Write a night into an empty folder.

    Args:
        folder: it gets worklist.csv, worklist.json, worklist.html, index.html (the same page, for servers and
            for the way back from an exam's page) and pages/.
        night: what is listed.
        exams: rows of the exams table, those of the listed exams at least.
        pages: the sweep's folder of exam pages; those that the night names are linked from there.

    Raises:
        LedgerError: a listed exam has no row.
        OSError: the folder cannot be written.
    """
    listed = {item.exam.exam_id: item for item in night.exams}
    exams = exams.filter(
        pa.array([exam_id in listed for exam_id in exams["exam_id"].to_pylist()], pa.bool_())
    )
    if sorted(exams["exam_id"].to_pylist()) != sorted(listed):
        raise LedgerError(
            f"the worklist names {len(listed)} exams and the exams table holds {exams.num_rows} of them; "
            "this is a fault of the engine: nothing was published"
        )
    for item in night.exams:
        for known in (item.exam, *item.history):
            _take_page(pages, folder / PAGES, known.exam_id)
    order = ReadingOrder(folder, exams)
    rows = [_row(folder, row, listed[row["exam_id"]]) for row in order.rows(0, len(order))]
    write_text(folder / "worklist.json", _json(night, rows))
    write_text(folder / "worklist.csv", _csv(rows))
    _write_html(folder, night, rows)


def _take_page(source: Path, target: Path, exam_id: str) -> None:
    name = f"{slug(exam_id)}.html"
    if not (source / name).is_file() or (target / name).exists():
        return
    target.mkdir(exist_ok=True)
    try:
        os.link(source / name, target / name)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source / name, target / name)
        flush(target / name)


def _row(folder: Path, row: Row, item: NightExam) -> Row:
    known = item.exam
    return row | {
        "revision": known.revision,
        "arrived_at": _time(known.arrived_at),
        "revised_at": _time(known.revised_at) if known.revision > 1 else None,
        "history": [_prior(folder, prior) for prior in item.history],
    }


def _prior(folder: Path, prior: KnownExam) -> Row:
    return {
        "exam_id": prior.exam_id,
        "study_date": prior.study_date,
        "status": prior.status,
        "score": prior.score,
        "category": prior.category,
        "bundle": prior.bundle,
        "in_source": prior.present,
        "link": page_link(folder, prior.exam_id),
    }


def _json(night: NightList, rows: list[Row]) -> str:
    record = {
        "schema_version": SCHEMA_VERSION,
        "notice": NOTICE,
        "name": night.name,
        "night": night.night,
        "made_at": _time(night.made_at),
        "after": night.after,
        "previous_night": night.previous,
        "bundle": night.bundle,
        "bundle_note": night.bundle_note,
        "counts": {**night.fates, "in_source": night.num_exams, "left_source": night.num_left},
        "files_not_used": [
            {"status": f.status, "reason": f.reason, "files": f.files, "new": f.new} for f in night.files
        ],
        "exams": rows,
    }
    return json.dumps(record, indent=2, allow_nan=False, default=date.isoformat) + "\n"


def _csv(rows: list[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(NIGHT_COLUMNS)
    writer.writerows([cell(_value(row, column)) for column in NIGHT_COLUMNS] for row in rows)
    return text.getvalue()


def _value(row: Row, column: str) -> object:
    if column != "history":
        return cell_value(row, column)
    return "; ".join(_said(prior) for prior in row["history"])


def _said(prior: Row) -> str:
    figure = status_words(prior["status"]) if prior["score"] is None else f"{prior['score']:.6f}"
    return f"{prior['study_date'] or 'no date'} {figure}"


def _write_html(folder: Path, night: NightList, rows: list[Row]) -> None:
    unassessed = [row for row in rows if row["status"] == ExamStatus.NOT_SCORED or row["score"] is None]
    write_page(
        folder / "worklist.html",
        "night.html.j2",
        night=night,
        unassessed=unassessed,
        by_score=rows[len(unassessed) :],
        num_revised=sum(row["revision"] > 1 for row in rows),
        shown_history=SHOWN_HISTORY,
        files=[(status_words(f.status), reason_words(f.reason), f.files, f.new) for f in night.files],
        caution=bundle_caution(night.bundle, night.bundle_note),
    )
    shutil.copyfile(folder / "worklist.html", folder / "index.html")
    flush(folder / "index.html")


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")
