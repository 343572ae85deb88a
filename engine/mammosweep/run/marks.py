"""Which exams were read: a CSV that the unit gives, row by row, so that its length does not matter."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from mammosweep.errors import ConfigError

__all__ = ["check_marks", "read_marks"]

EXAM_ID, REVISION = "exam_id", "revision"


def check_marks(path: Path) -> None:
    """Read the whole file once, so that a fault in it is said before any work.

    Raises:
        ConfigError: as `read_marks`.
    """
    for _ in read_marks(path):
        pass


def read_marks(path: Path) -> Iterator[tuple[str, int | None]]:
    """The exams that were read, and in which revision where the file says so.

    Args:
        path: CSV with a column exam_id and perhaps one named revision; others are ignored, so that lines of
            a worklist.csv will do.

    Raises:
        ConfigError: the file cannot be read, lacks the column, or holds a revision that is no number.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if EXAM_ID not in (rows.fieldnames or ()):
                raise ConfigError(
                    f"--read {path} has no column {EXAM_ID}; expected a CSV whose first line names columns"
                )
            for row in rows:
                if exam_id := (row[EXAM_ID] or "").strip():
                    yield exam_id, _revision(row.get(REVISION), path, rows.line_num)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        said = getattr(error, "strerror", None) or "it is no CSV in UTF-8"
        raise ConfigError(f"--read {path} cannot be read: {said}") from None


def _revision(text: str | None, path: Path, line: int) -> int | None:
    if text is None or not text.strip():
        return None
    # Eighteen digits fit SQLite's integers.
    if not text.strip().isdecimal() or len(text.strip()) > 18:
        raise ConfigError(
            f"--read {path}, line {line}: the revision is no whole number; expected 1, 2, ... or nothing"
        )
    return int(text)
