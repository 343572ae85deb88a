"""What arrived when: ``STATE/nights.sqlite``, in which every night records the exams that it found.

A revision is counted whenever an exam's digest is another than the night before, going back to an earlier one
too: what a reader saw is not what is there now. An exam that left the source stays, as its patient's history.
Nothing of the archive's size is held in memory: tables are read in batches and compared in SQL.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from mammosweep.errors import LedgerError
from mammosweep.report.known import KnownExam

__all__ = ["ARRIVALS_FILE", "Arrivals", "Night", "SeenExam", "Window", "open_arrivals"]

ARRIVALS_FILE = "nights.sqlite"
SCHEMA_VERSION = 1

# Screening rounds are a year or more apart; a repeat after a technical fault follows within weeks, and both
# are to be read then.
ROUND_DAYS = 180

SCHEMA = """
CREATE TABLE exams (
  exam_id TEXT PRIMARY KEY, digest TEXT NOT NULL, revision INTEGER NOT NULL,
  arrived_on TEXT NOT NULL, arrived_at TEXT, revised_on TEXT NOT NULL, revised_at TEXT,
  patient_key TEXT, study_date TEXT, status TEXT NOT NULL, score REAL, category TEXT, bundle TEXT,
  present INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX by_patient ON exams (patient_key, study_date);
CREATE INDEX by_revision ON exams (revised_on);
CREATE TABLE nights (
  name TEXT PRIMARY KEY, night TEXT NOT NULL, published_at TEXT NOT NULL, file_reasons TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE reads (exam_id TEXT PRIMARY KEY, revision INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE recorded (run_id TEXT NOT NULL);
"""

SEEN = """
CREATE TEMP TABLE IF NOT EXISTS seen (
  exam_id TEXT PRIMARY KEY, digest TEXT, patient_key TEXT, study_date TEXT,
  status TEXT, score REAL, category TEXT, bundle TEXT
) WITHOUT ROWID
"""
UPSERT = """
INSERT INTO exams
SELECT exam_id, digest, 1, {arrived_on}, {arrived_at}, {arrived_on}, {arrived_at},
  patient_key, study_date, status, score, category, bundle, 1
FROM seen WHERE true
ON CONFLICT (exam_id) DO UPDATE SET
  revision = revision + (digest <> excluded.digest),
  revised_on = iif(digest <> excluded.digest, :night, revised_on),
  revised_at = iif(digest <> excluded.digest, :at, revised_at),
  digest = excluded.digest, patient_key = excluded.patient_key, study_date = excluded.study_date,
  status = excluded.status, score = excluded.score, category = excluded.category, bundle = excluded.bundle,
  present = 1
WHERE (digest, patient_key, study_date, status, score, category, bundle, present) IS NOT
  (excluded.digest, excluded.patient_key, excluded.study_date, excluded.status, excluded.score,
   excluded.category, excluded.bundle, 1)
"""
# Before the first night nobody noted arrivals: an exam counts as arrived the day after it was made.
FIRST_NIGHT = {
    "arrived_on": "min(:night, coalesce(date(study_date, '+1 day'), :night))",
    "arrived_at": "NULL",
}
LATER_NIGHT = {"arrived_on": ":night", "arrived_at": ":at"}

IN_WINDOW = "exams.revised_on > :after"
IS_READ = """(:reads AND EXISTS (
  SELECT 1 FROM reads WHERE reads.exam_id = exams.exam_id AND reads.revision >= exams.revision))"""
IS_PRIOR = f"""EXISTS (
  SELECT 1 FROM exams AS later WHERE later.patient_key = exams.patient_key AND later.present
  AND later.study_date >= date(exams.study_date, '+{ROUND_DAYS} days'))"""
FATE = f"""CASE WHEN NOT present THEN 'gone' WHEN {IS_READ} THEN 'read' WHEN {IS_PRIOR} THEN 'prior'
  ELSE 'listed' END"""


@dataclass(frozen=True, slots=True)
class SeenExam:
    """An exam as tonight's sweep found it."""

    exam_id: str
    digest: str
    patient_key: str | None
    study_date: date | None
    status: str
    score: float | None
    category: str | None
    bundle: str | None


@dataclass(frozen=True, slots=True)
class Night:
    """A night that was published."""

    name: str
    night: date
    file_reasons: str  # JSON: status -> reason -> number of the source's files


@dataclass(frozen=True, slots=True)
class Window:
    """What is new: exams that arrived or were revised on a night after this date."""

    after: date
    reads: bool = False  # whether exams that are marked as read are left out


class Arrivals:
    """The nights' records. Whoever writes holds the lock of the state's folder."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def record(self, exams: Iterable[SeenExam], *, run_id: str, night: date, at: datetime) -> int:
        """Note what tonight's sweep found: all of it, or nothing if that fails.

        Args:
            exams: every exam of the source, any order, each once.
            run_id: of the sweep; the same run is recorded once.
            night: the night's date.
            at: when the night began.

        Returns:
            How many exams left the source since the last sweep that was recorded.
        """
        with self._connection as transaction:
            if self._is_recorded(run_id):
                return 0
            is_first = transaction.execute("SELECT NOT EXISTS (SELECT 1 FROM recorded)").fetchone()[0]
            self._look(exams)
            when = {"night": night.isoformat(), "at": at.isoformat(timespec="seconds")}
            transaction.execute(UPSERT.format(**(FIRST_NIGHT if is_first else LATER_NIGHT)), when)
            left = transaction.execute(
                "UPDATE exams SET present = 0 WHERE present AND exam_id NOT IN (SELECT exam_id FROM seen)"
            )
            transaction.execute("DELETE FROM recorded")
            transaction.execute("INSERT INTO recorded VALUES (?)", (run_id,))
            transaction.execute("DELETE FROM seen")
            return left.rowcount

    def _is_recorded(self, run_id: str) -> bool:
        """Whether that sweep was the last to be recorded."""
        found = self._connection.execute("SELECT 1 FROM recorded WHERE run_id = ?", (run_id,))
        return found.fetchone() is not None

    def mark_read(self, marks: Iterable[tuple[str, int | None]]) -> None:
        """Replace what is marked as read by ``marks``: exam ids with the revision that was read.

        Where no revision is given it is the one that was known when the exam was first marked, so that a
        late image brings the exam back.
        """
        with self._connection as transaction:
            transaction.execute("CREATE TEMP TABLE IF NOT EXISTS marked (exam_id TEXT, revision INTEGER)")
            transaction.executemany("INSERT INTO marked VALUES (?, ?)", marks)
            transaction.execute("DELETE FROM reads WHERE exam_id NOT IN (SELECT exam_id FROM marked)")
            transaction.execute(
                "INSERT INTO reads SELECT marked.exam_id, "
                "coalesce(max(marked.revision), reads.revision, exams.revision, 1) FROM marked "
                "LEFT JOIN reads USING (exam_id) LEFT JOIN exams USING (exam_id) GROUP BY marked.exam_id "
                "ON CONFLICT (exam_id) DO UPDATE SET revision = excluded.revision"
            )
            transaction.execute("DELETE FROM marked")

    def num_present(self) -> int:
        """Exams that the last recorded night found in the source."""
        return int(self._connection.execute("SELECT count(*) FROM exams WHERE present").fetchone()[0])

    def window(self, night: date, days: int, *, reads: bool) -> tuple[Window, Night | None]:
        """What is new on a night, and the night that was published before it.

        That is what arrived within so many days, and what arrived since that night where it lies further
        back. A night of the same date is none before: published again, the list does not lose what is unread.
        """
        found = self._connection.execute(
            "SELECT name, night, file_reasons FROM nights WHERE night < ? ORDER BY night DESC, name DESC "
            "LIMIT 1",
            (night.isoformat(),),
        ).fetchone()
        previous = found and Night(found[0], date.fromisoformat(found[1]), found[2])
        after = night - timedelta(days=days)
        return Window(min(after, previous.night) if previous else after, reads), previous

    def fates(self, window: Window) -> dict[str, int]:
        """How many of the window's exams are listed, read, prior (see `listed`) and gone from the source."""
        rows = self._connection.execute(
            f"SELECT {FATE} AS fate, count(*) FROM exams WHERE {IN_WINDOW} GROUP BY fate", _bound(window)
        )
        return {"listed": 0, "read": 0, "prior": 0, "gone": 0} | dict(rows.fetchall())

    def listed(self, window: Window) -> Iterator[KnownExam]:
        """The exams that are to be read, by exam id.

        Left out are exams that are marked as read; that left the source; and earlier exams of a patient whose
        later one, half a year or more after, is there too: they are its history.
        """
        statement = f"SELECT * FROM exams WHERE {IN_WINDOW} AND {FATE} = 'listed' ORDER BY exam_id"
        return map(_known, self._connection.execute(statement, _bound(window)))

    def history(self, exam: KnownExam, limit: int) -> list[KnownExam]:
        """The patient's other exams up to that one's date, the newest first; those that are gone too."""
        if exam.patient_key is None:
            return []
        rows = self._connection.execute(
            "SELECT * FROM exams WHERE patient_key = ? AND exam_id <> ? "
            "AND (study_date IS NULL OR ? IS NULL OR study_date <= ?) "
            "ORDER BY study_date DESC NULLS LAST, exam_id LIMIT ?",
            (exam.patient_key, exam.exam_id, _text(exam.study_date), _text(exam.study_date), limit),
        )
        return [_known(row) for row in rows]

    def published(self, night: Night, at: datetime) -> None:
        """Note that a night is what readers see now."""
        with self._connection as transaction:
            transaction.execute(
                "INSERT OR REPLACE INTO nights VALUES (?, ?, ?, ?)",
                (night.name, night.night.isoformat(), at.isoformat(timespec="seconds"), night.file_reasons),
            )

    def _look(self, exams: Iterable[SeenExam]) -> None:
        self._connection.execute(SEEN)
        self._connection.executemany(
            "INSERT INTO seen VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    *(exam.exam_id, exam.digest, exam.patient_key, _text(exam.study_date)),
                    *(exam.status, exam.score, exam.category, exam.bundle),
                )
                for exam in exams
            ),
        )


@contextmanager
def open_arrivals(state: Path) -> Iterator[Arrivals]:
    """Open the nights' records of a state, made where they are missing.

    Raises:
        LedgerError: the file cannot be opened, read or written, is damaged or of another schema version; from
            the whole ``with`` block.
    """
    path = state / ARRIVALS_FILE
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(path)
        connection.row_factory = sqlite3.Row
        _check_schema(connection, path)
        yield Arrivals(connection)
    except sqlite3.Error as error:
        raise LedgerError(
            f"{path} cannot be used ({error}); it holds when exams arrived: restore it, or move it away and "
            "the next night counts as the first"
        ) from None
    finally:
        if connection is not None:
            connection.close()


def _check_schema(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0:
        connection.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
    elif version != SCHEMA_VERSION:
        raise LedgerError(
            f"{path} has schema version {version}; expected {SCHEMA_VERSION}; give another --state"
        )


def _bound(window: Window) -> dict[str, Any]:
    return {"after": window.after.isoformat(), "reads": window.reads}


def _known(row: sqlite3.Row) -> KnownExam:
    return KnownExam(
        exam_id=row["exam_id"],
        revision=row["revision"],
        arrived_at=row["arrived_at"] and datetime.fromisoformat(row["arrived_at"]),
        revised_at=row["revised_at"] and datetime.fromisoformat(row["revised_at"]),
        patient_key=row["patient_key"],
        study_date=row["study_date"] and date.fromisoformat(row["study_date"]),
        status=row["status"],
        score=row["score"],
        category=row["category"],
        bundle=row["bundle"],
        present=bool(row["present"]),
    )


def _text(value: date | None) -> str | None:
    return None if value is None else value.isoformat()
