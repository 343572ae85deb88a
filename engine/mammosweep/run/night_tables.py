"""A sweep's exams as a night reads them: in batches, or the few that it lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mammosweep.errors import LedgerError
from mammosweep.report.schemas import SCHEMA_VERSION
from mammosweep.run.arrivals import SeenExam

__all__ = ["exam_rows", "seen_exams"]

BATCH_ROWS = 10_000
EXAMS_FILE = "exams.parquet"
SEEN_COLUMNS = [
    *("exam_id", "exam_digest", "patient_key", "study_date"),
    *("status", "score", "category", "bundle"),
]


def seen_exams(state: Path) -> Iterator[SeenExam]:
    """Every exam of a finished sweep, a batch of rows in memory at a time.

    Raises:
        LedgerError: the table cannot be read.
    """
    with _opened(state) as file:
        for batch in file.iter_batches(BATCH_ROWS, columns=SEEN_COLUMNS):
            for row in zip(*(batch[name].to_pylist() for name in SEEN_COLUMNS), strict=True):
                yield SeenExam(*row)


def exam_rows(state: Path, exam_ids: Sequence[str]) -> pa.Table:
    """The rows of some exams, every column.

    Raises:
        LedgerError: the table cannot be read.
    """
    wanted = pa.array(exam_ids, pa.string())
    with _opened(state) as file:
        kept = [
            batch.filter(pc.is_in(batch["exam_id"], value_set=wanted))
            for batch in (file.iter_batches(BATCH_ROWS) if exam_ids else ())
        ]
        return pa.Table.from_batches(kept, schema=file.schema_arrow)


@contextmanager
def _opened(state: Path) -> Iterator[Any]:
    path = state / EXAMS_FILE
    try:
        with path.open("rb") as stream, pq.ParquetFile(stream) as file:
            found = (file.schema_arrow.metadata or {}).get(b"mammosweep.schema_version", b"none").decode()
            if found != str(SCHEMA_VERSION):
                raise LedgerError(
                    f"{path} has schema version {found}; expected {SCHEMA_VERSION}; give another --state"
                )
            yield file
    except (OSError, pa.ArrowException) as error:
        raise LedgerError(
            f"{path} cannot be read ({type(error).__name__}); remove it and run the same command again"
        ) from None
