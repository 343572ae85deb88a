"""A catalog as a Parquet file.

One row for each file. ``status``, ``reason`` and ``message`` are final, after exams were assembled;
``header_status``, ``header_reason`` and ``header_message`` are what the file's own header gives, from which
exams are assembled again when the catalog is read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mammosweep.errors import REASONS_VERSION, Flag, Reason, SourceError
from mammosweep.records import ImageRecord, ImageStatus, Laterality, Position
from mammosweep.version import __version__

__all__ = ["FORMAT_VERSION", "CatalogRows", "read_rows", "write_rows"]

FORMAT_VERSION = 1
"""Raised whenever a column changes its name, type or meaning."""

PREFIX = "mammosweep.catalog."

SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("message", pa.string()),
        ("flags", pa.list_(pa.string())),
        ("size_bytes", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("sop_instance_uid", pa.string()),
        ("study_instance_uid", pa.string()),
        ("exam_id", pa.string()),
        ("patient_key", pa.string()),
        ("study_date", pa.date32()),
        ("laterality", pa.string()),
        ("view_position", pa.string()),
        ("transfer_syntax", pa.string()),
        ("rows", pa.int64()),
        ("columns", pa.int64()),
        ("spacing_mm", pa.list_(pa.float64())),
        ("for_processing", pa.bool_()),
        ("manufacturer", pa.string()),
        ("model", pa.string()),
        ("header_status", pa.string()),
        ("header_reason", pa.string()),
        ("header_message", pa.string()),
        ("manifest_row_key", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class CatalogRows:
    """What a catalog's file holds."""

    root: str
    basis: str
    records: tuple[ImageRecord, ...]  # as each file's own header gives it
    row_keys: Mapping[str, str]


def write_rows(rows: CatalogRows, final: Mapping[str, ImageRecord], path: Path) -> None:
    """Write beside ``path``, flush to the disk and rename.

    Raises:
        SourceError: the file cannot be written.
    """
    columns = [_row(record, final[record.path], rows.row_keys.get(record.path)) for record in rows.records]
    table = pa.Table.from_pylist(columns, schema=SCHEMA.with_metadata(_metadata(rows)))
    # The temporary name is fixed, so that what a killed run left there is overwritten, not collected.
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            pq.write_table(table, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise SourceError(f"catalog {path} cannot be written: {error.strerror}") from None


def _metadata(rows: CatalogRows) -> dict[str, str]:
    values = {
        "format_version": str(FORMAT_VERSION),
        "reasons_version": str(REASONS_VERSION),
        "root": rows.root.encode("utf-8", "surrogateescape").hex(),
        "basis": rows.basis,
        "mammosweep": __version__,
        "pydicom": version("pydicom"),
        "pyarrow": version("pyarrow"),
    }
    return {PREFIX + name: value for name, value in values.items()}


def _row(record: ImageRecord, final: ImageRecord, row_key: str | None) -> dict[str, Any]:
    row = {name: getattr(record, name) for name in SCHEMA.names if hasattr(record, name)}
    row |= {f"header_{name}": row[name] for name in ("status", "reason", "message")}
    row |= {name: getattr(final, name) for name in ("status", "reason", "message")}
    return row | {"manifest_row_key": row_key}


def read_rows(path: Path) -> CatalogRows:
    """Read what `write_rows` wrote.

    Raises:
        SourceError: it cannot be read, is no catalog, or is of another format version.
    """
    try:
        table = pq.read_table(pa.BufferReader(path.read_bytes()))
    except (OSError, pa.ArrowException) as error:
        said = getattr(error, "strerror", None) or "it is no Parquet file"
        raise SourceError(f"catalog {path} cannot be read: {said}; make it with 'mammosweep index'") from None
    found = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    _check_version(found, path)
    try:
        rows = table.to_pylist()
        records = tuple(_record(row) for row in rows)
        root = bytes.fromhex(found[PREFIX + "root"]).decode("utf-8", "surrogateescape")
        row_keys = {row["path"]: row["manifest_row_key"] for row in rows if row["manifest_row_key"]}
        return CatalogRows(root, found[PREFIX + "basis"], records, row_keys)
    except (KeyError, ValueError, TypeError):
        raise SourceError(f"catalog {path} is damaged; make it again with 'mammosweep index'") from None


def _check_version(found: Mapping[str, str], path: Path) -> None:
    written = found.get(PREFIX + "format_version")
    if written is None:
        raise SourceError(f"{path} is no catalog; make one with 'mammosweep index'")
    expected = (str(FORMAT_VERSION), str(REASONS_VERSION))
    if (written, found.get(PREFIX + "reasons_version")) != expected:
        raise SourceError(
            f"catalog {path} is of format {written}; this version reads {FORMAT_VERSION} with reasons "
            f"{REASONS_VERSION}; make it again with 'mammosweep index'"
        )


def _record(row: dict[str, Any]) -> ImageRecord:
    values = {name: row[name] for name in SCHEMA.names if name in ImageRecord.__dataclass_fields__}
    reason, spacing = row["header_reason"], row["spacing_mm"]
    values |= {
        "status": ImageStatus(row["header_status"]),
        "reason": Reason(reason) if reason else None,
        "message": row["header_message"],
        "flags": tuple(map(Flag, row["flags"])),
        "laterality": Laterality(row["laterality"]) if row["laterality"] else None,
        "view_position": Position(row["view_position"]) if row["view_position"] else None,
        "spacing_mm": (spacing[0], spacing[1]) if spacing else None,
    }
    return ImageRecord(**values)
