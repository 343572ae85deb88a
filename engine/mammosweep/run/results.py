"""Reading back what a sweep wrote."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from mammosweep.errors import ConfigError
from mammosweep.report import tables

__all__ = ["read_table"]


def read_table(out: Path | str, name: str) -> pa.Table:
    """One of a sweep's tables: ``images``, ``findings``, ``lesions`` or ``exams``.

    The files are plain Parquet, so ``polars.read_parquet``, pandas and DuckDB read them too; this checks the
    schema's version as well.

    Raises:
        ConfigError: there is no table of that name.
        LedgerError: the file is missing, unreadable or of another schema version.
    """
    if name not in tables.TABLES:
        raise ConfigError(f"there is no table {name!r}; expected one of {', '.join(tables.TABLES)}")
    return tables.read_table(Path(out), name)
