"""The end of a sweep: the parts become the outcome files, once their counts add up."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mammosweep.report.atomic import replacing
from mammosweep.report.html import PAGES, slug
from mammosweep.report.page import write_index
from mammosweep.report.runjson import write_run
from mammosweep.report.tables import TABLES, compact, read_table
from mammosweep.report.worklist import write_worklist
from mammosweep.run.counts import Counts, counts_of
from mammosweep.run.holdings import Holdings
from mammosweep.run.part import Part
from mammosweep.run.status import RUN_FILE

__all__ = ["OUTCOME_FILES", "gather", "write_front"]

OUTCOME_FILES = (
    *(f"{name}.parquet" for name in TABLES),
    "worklist.csv",
    "worklist.html",
    "index.html",
    RUN_FILE,
)
"""What a finished sweep's folder holds, beside the exams' pages, the catalog and the ledger's own files."""


def gather(out: Path, holdings: Holdings, parts: Sequence[Part]) -> Counts:
    """Merge the parts' current exams into the four tables and ``out/pages``.

    Raises:
        LedgerError: a file or an exam of the source has no row, or more than one.
    """
    current = holdings.digests
    relevant = [p for p in parts if any(current.get(e.exam_id) == e.exam_digest for e in p.exams)]
    compact([part.folder for part in relevant], out, current=current, strays=holdings.strays)
    counts = counts_of(
        read_table(out, "images"), read_table(out, "exams"), paths=holdings.paths, exam_ids=current
    )
    _gather_pages(out / PAGES, relevant, current)
    return counts


def write_front(out: Path, run: Mapping[str, Any]) -> None:
    """Write what a reader opens first, and last run.json, which says that the sweep is complete."""
    exams = read_table(out, "exams")
    write_worklist(out, exams, str(run["bundle_note"]))
    write_index(out, exams, run)
    write_run(out, run)


def _gather_pages(folder: Path, parts: Sequence[Part], current: Mapping[str, str]) -> None:
    wanted: dict[str, Path] = {}
    # The first part by name, as in `compact`.
    for part in sorted(parts, key=lambda part: part.chunk_id):
        for exam in part.exams:
            name = f"{slug(exam.exam_id)}.html"
            if current.get(exam.exam_id) == exam.exam_digest and (part.folder / PAGES / name).is_file():
                wanted.setdefault(name, part.folder / PAGES / name)
    for page in folder.glob("*.html"):
        if page.name not in wanted:
            page.unlink()
    for name, source in wanted.items():
        _link(source, folder / name)


def _link(source: Path, target: Path) -> None:
    # Renaming one hard link of a file over another does nothing and leaves both.
    if target.exists() and target.samefile(source):
        return
    with replacing(target) as temporary:
        temporary.unlink(missing_ok=True)
        try:
            os.link(source, temporary)
        except OSError:  # a file system without hard links
            shutil.copyfile(source, temporary)
