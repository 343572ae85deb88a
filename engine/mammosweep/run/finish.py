"""The end of a sweep: the parts become the outcome files, once their counts add up."""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from mammosweep.archive.catalog import ExamGroup
from mammosweep.report.atomic import replacing
from mammosweep.report.html import PAGES, slug
from mammosweep.report.page import write_index
from mammosweep.report.runjson import write_run
from mammosweep.report.tables import TABLES, Gathered, compact, read_table
from mammosweep.report.worklist import READING_COLUMNS, write_worklist
from mammosweep.run.counts import Counts, Reckoning
from mammosweep.run.digests import DigestIndex
from mammosweep.run.holdings import Holdings
from mammosweep.run.ledger import PARTS, Ledger
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


def gather(ledger: Ledger, holdings: Holdings) -> Counts:
    """Merge the parts' current exams into the four tables and ``out/pages``, in the order of the holdings.

    A part's exam is taken when its digest is the current one and no earlier part (by name) has it already.
    Everything else in the parts stays there: superseded revisions of an exam, and exams that left the source.

    Raises:
        LedgerError: a file or an exam of the source has no row, or more than one; or a part is damaged.
    """
    names: list[str] = []
    reckoning, pages = Reckoning(), _Pages(ledger.out / PAGES)
    done = DigestIndex(_numbered(ledger, names))
    current: list[ExamGroup] = []

    def groups() -> Iterator[Gathered]:
        for group in holdings.groups():
            current[:] = [group]
            chosen = _chosen(group, done, names, ledger.out)
            pages.take(chosen)
            yield Gathered(chosen, group.strays)

    def check(tables: Mapping[str, pa.Table]) -> None:
        (group,) = current
        exam_ids = [exam.exam_id for exam in group.exams]
        reckoning.add(tables["images"], tables["exams"], paths=group.paths, exam_ids=exam_ids)

    compact(groups(), ledger.out, check)
    pages.sweep()
    return reckoning.counts()


def write_front(out: Path, run: Mapping[str, Any]) -> None:
    """Write what a reader opens first, and last run.json, which says that the sweep is complete."""
    exams = read_table(out, "exams", READING_COLUMNS)
    write_worklist(out, exams, str(run["bundle_note"]))
    write_index(out, exams, run)
    write_run(out, run)


def _numbered(ledger: Ledger, names: list[str]) -> Iterator[tuple[str, int]]:
    """Every exam's digest with its part's number; the parts' names go to ``names``."""
    for number, part in enumerate(ledger.parts()):
        names.append(part.chunk_id)
        yield from ((exam.exam_digest, number) for exam in part.exams)


def _chosen(
    group: ExamGroup, done: DigestIndex, names: Sequence[str], out: Path
) -> list[tuple[Path, list[str]]]:
    """Which exams come from which part; an exam that none has is left out, and missed by the reckoning."""
    by_part: dict[int, list[str]] = defaultdict(list)
    numbers = done.find([exam.digest for exam in group.exams]).tolist()
    for exam, number in zip(group.exams, numbers, strict=True):
        if number >= 0:
            by_part[number].append(exam.exam_id)
    return [(out / PARTS / names[number], by_part[number]) for number in sorted(by_part)]


class _Pages:
    """The exams' pages: those of the parts, linked into one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._wanted: set[str] = set()

    def take(self, chosen: Sequence[tuple[Path, Sequence[str]]]) -> None:
        """Link the pages of some exams, where their part has them."""
        for part, exam_ids in chosen:
            if not (part / PAGES).is_dir():
                continue
            for name in (f"{slug(exam_id)}.html" for exam_id in exam_ids):
                if (part / PAGES / name).is_file():
                    self._wanted.add(name)
                    _link(part / PAGES / name, self._folder / name)

    def sweep(self) -> None:
        """Remove pages of exams that are not current any more."""
        for page in self._folder.glob("*.html"):
            if page.name not in self._wanted:
                page.unlink()


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
