"""What a folder holds against what it should: the uninterrupted run's rows, each once, nothing else."""

from __future__ import annotations

import json
import math
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mammosweep.errors import LedgerError
from mammosweep.report.tables import TABLES, read_table
from mammosweep.run.ledger import AGAIN, read_parts
from mammosweep.run.status import State, status

__all__ = ["Compared", "compare", "rows_by_exam"]

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Compared:
    """How far two results are apart."""

    lost: int  # exams and files without a row
    duplicated: int  # rows that an exam or a file has beyond its one, and exams committed twice
    differing: int  # rows that only one of the results holds, of all four tables
    others: tuple[str, ...] = field(default=())  # whatever else is not as it should be, a sentence each


def compare(out: Path, plain: Path, tolerance: float = 0.0) -> Compared:
    """Hold a sweep's folder against an uninterrupted run's; numbers may differ by the tolerance."""
    found, expected = _tables(out), _tables(plain)
    lost = duplicated = 0
    for name, key in (("exams", "exam_id"), ("images", "path")):
        rows = Counter(row[key] for row in found[name])
        wanted = {row[key] for row in expected[name]}
        lost += len(wanted - set(rows))
        duplicated += sum(number - 1 for number in rows.values()) + len(set(rows) - wanted)
    committed = Counter((exam.exam_digest, part.identity) for part in read_parts(out) for exam in part.exams)
    duplicated += sum(number - 1 for number in committed.values())
    differing = sum(_differing(found[name], expected[name], tolerance) for name in TABLES)
    return Compared(lost, duplicated, differing, tuple(_others(out, plain)))


def rows_by_exam(out: Path) -> dict[str, list[str]]:
    """Every row of every table as text, by exam; files without one are by themselves."""
    rows: dict[str, list[str]] = {}
    for name, table in _tables(out).items():
        for row in table:
            rows.setdefault(row["exam_id"] or row["path"], []).append(f"{name} {row}")
    return rows


def _tables(out: Path) -> dict[str, list[Row]]:
    return {name: read_table(out, name).to_pylist() for name in TABLES}


def _differing(found: list[Row], expected: list[Row], tolerance: float) -> int:
    if tolerance and len(found) == len(expected):  # tables are sorted by keys that are no measured numbers
        return sum(not _near(one, other, tolerance) for one, other in zip(found, expected, strict=True))
    left, right = Counter(map(str, found)), Counter(map(str, expected))
    return (left - right).total() + (right - left).total()


def _near(one: Any, other: Any, tolerance: float) -> bool:
    """Equal, but for numbers in it, however deep."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_near(one[k], other[k], tolerance) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(
            _near(*pair, tolerance) for pair in zip(one, other, strict=True)
        )
    return bool(one == other)


def _others(out: Path, plain: Path) -> list[str]:
    states = {
        "the sweep is not complete": _state(out) is not State.COMPLETE,
        "the counts differ": _counts(out) != _counts(plain),
        "worklist.csv differs": _bytes(out, "worklist.csv") != _bytes(plain, "worklist.csv"),
        "the exams' pages are others": _pages(out) != _pages(plain),
        "an exam is still to be done again": any((out / "parts").glob(f"*{AGAIN}")),
    }
    left = sorted(path.name for path in out.rglob("*") if ".tmp" in path.name)
    return [text for text, is_so in states.items() if is_so] + [f"{name} is left behind" for name in left]


def _state(out: Path) -> State | None:
    with suppress(LedgerError):
        return status(out).state
    return None


def _counts(out: Path) -> Any:
    run = json.loads(_bytes(out, "run.json"))
    return run["counts"], run["reasons"]


def _bytes(out: Path, name: str) -> bytes:
    return (out / name).read_bytes()


def _pages(out: Path) -> set[str]:
    return {page.name for page in (out / "pages").glob("*.html")}
