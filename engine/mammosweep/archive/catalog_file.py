"""A catalog as a Parquet file, and its rows as Arrow tables.

One row for each file. ``status``, ``reason`` and ``message`` are final, after exams were assembled;
``header_status``, ``header_reason`` and ``header_message`` are what the file's own header gives, from which
exams are assembled again when the catalog is read. A row group holds whole exams, ordered by path: whoever
reads group by group needs no more memory for an archive of millions.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from mammosweep.errors import REASONS_VERSION, Flag, Reason, SourceError
from mammosweep.records import ImageRecord, ImageStatus, Laterality, Position
from mammosweep.version import __version__

__all__ = [
    "FORMAT_VERSION",
    "SCHEMA",
    "CatalogAbout",
    "FileGroups",
    "Groups",
    "TableGroups",
    "copy_rows",
    "open_rows",
    "records_of",
    "table_of",
    "with_final",
    "write_rows",
]

FORMAT_VERSION = 2
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
        ("bucket", pa.uint16()),
        ("shared_uid", pa.bool_()),  # a file of another row group has its SOP Instance UID too
    ]
)

HEADER = {"header_status": "status", "header_reason": "reason", "header_message": "message"}
FINAL = ("status", "reason", "message")


class Groups(Protocol):
    """A catalog's rows, in groups of whole exams."""

    def __len__(self) -> int:
        """How many groups there are."""

    @property
    def num_rows(self) -> int:
        """How many files there are."""

    def read(self, group: int, columns: Sequence[str] | None = None) -> pa.Table:
        """A group's rows, ordered by path; some columns or all."""


@dataclass(frozen=True, slots=True)
class TableGroups:
    """Groups in memory: of a source that is small."""

    tables: tuple[pa.Table, ...]

    def __len__(self) -> int:
        """See `Groups`."""
        return len(self.tables)

    @property
    def num_rows(self) -> int:
        """See `Groups`."""
        return sum(table.num_rows for table in self.tables)

    def read(self, group: int, columns: Sequence[str] | None = None) -> pa.Table:
        """See `Groups`."""
        table = self.tables[group]
        return table if columns is None else table.select(list(columns))


class FileGroups:
    """Groups of a catalog's file, which must stay as it is."""

    def __init__(self, path: Path, metadata: pq.FileMetaData) -> None:
        self.path, self._metadata = path, metadata

    def __len__(self) -> int:
        """See `Groups`."""
        return int(self._metadata.num_row_groups)

    @property
    def num_rows(self) -> int:
        """See `Groups`."""
        return int(self._metadata.num_rows)

    def read(self, group: int, columns: Sequence[str] | None = None) -> pa.Table:
        """See `Groups`; `SourceError` where the file is damaged."""
        try:
            with self.path.open("rb") as stream:
                file = pq.ParquetFile(stream, metadata=self._metadata)
                return file.read_row_group(group, columns=None if columns is None else list(columns))
        except (OSError, pa.ArrowException):
            raise SourceError(_damaged(self.path)) from None


@dataclass(frozen=True, slots=True)
class CatalogAbout:
    """What a catalog's file says of the whole."""

    root: str
    basis: str


def table_of(records: Sequence[ImageRecord], keys: Sequence[str], buckets: Sequence[int]) -> pa.Table:
    """Records as rows, their final status as yet the header's.

    Args:
        records: as each file's own header gives it.
        keys: of each record's manifest row; empty where it has none.
        buckets: of each record.
    """
    columns: dict[str, list[Any]] = {
        name: [getattr(record, name) for record in records]
        for name in SCHEMA.names
        if name in ImageRecord.__dataclass_fields__
    }
    columns |= {name: columns[of] for name, of in HEADER.items()}
    columns["manifest_row_key"] = [key or None for key in keys]
    columns["bucket"] = list(buckets)
    columns["shared_uid"] = [False] * len(records)
    arrays = [pa.array(columns[field.name], field.type) for field in SCHEMA]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def with_final(table: pa.Table, final: Iterable[ImageRecord]) -> pa.Table:
    """The rows with the final status of each; ``final`` holds a record for every path."""
    by_path = {record.path: record for record in final}
    records = [by_path[path] for path in table["path"].to_pylist()]
    for name in FINAL:
        array = pa.array([getattr(record, name) for record in records], SCHEMA.field(name).type)
        table = table.set_column(table.schema.get_field_index(name), SCHEMA.field(name), array)
    return table


def records_of(table: pa.Table) -> list[ImageRecord]:
    """Rows as records, as each file's own header gives them.

    Raises:
        SourceError: a column is missing, or holds what no record does.
    """
    try:
        columns = {name: table[name].to_pylist() for name in SCHEMA.names}
        for name, of in HEADER.items():
            columns[of] = columns[name]
        columns["status"] = [ImageStatus(value) for value in columns["status"]]
        columns["reason"] = [Reason(value) if value else None for value in columns["reason"]]
        columns["flags"] = [tuple(map(Flag, value)) if value else () for value in columns["flags"]]
        columns["laterality"] = [Laterality(v) if v else None for v in columns["laterality"]]
        columns["view_position"] = [Position(v) if v else None for v in columns["view_position"]]
        columns["spacing_mm"] = [(v[0], v[1]) if v else None for v in columns["spacing_mm"]]
        names = [name for name in SCHEMA.names if name in ImageRecord.__dataclass_fields__]
        rows = zip(*(columns[name] for name in names), strict=True)
        return [ImageRecord(**dict(zip(names, row, strict=True))) for row in rows]
    except (KeyError, ValueError, TypeError, IndexError):
        raise SourceError("the catalog is damaged; make it again with 'mammosweep index'") from None


def write_rows(about: CatalogAbout, groups: Iterator[pa.Table] | Sequence[pa.Table], path: Path) -> None:
    """Write beside ``path``, a row group for each table, flush to the disk and rename.

    Raises:
        SourceError: the file cannot be written.
    """
    schema = SCHEMA.with_metadata(_metadata(about))
    with _replacing(path) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        for table in groups:
            if table.num_rows:
                rows = table.replace_schema_metadata(schema.metadata)
                writer.write_table(rows, row_group_size=table.num_rows)


def copy_rows(groups: FileGroups, path: Path) -> None:
    """Write a catalog's file under another name, likewise.

    Raises:
        SourceError: it cannot be read, or the copy cannot be written.
    """
    with _replacing(path) as temporary:
        shutil.copyfile(groups.path, temporary)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    # The temporary name is fixed, so that what a killed run left there is overwritten, not collected.
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise SourceError(f"catalog {path} cannot be written: {error.strerror}") from None


def _metadata(about: CatalogAbout) -> dict[str, str]:
    values = {
        "format_version": str(FORMAT_VERSION),
        "reasons_version": str(REASONS_VERSION),
        "root": about.root.encode("utf-8", "surrogateescape").hex(),
        "basis": about.basis,
        "mammosweep": __version__,
        "pydicom": version("pydicom"),
        "pyarrow": version("pyarrow"),
    }
    return {PREFIX + name: value for name, value in values.items()}


def open_rows(path: Path) -> tuple[CatalogAbout, FileGroups]:
    """Open what `write_rows` wrote.

    Raises:
        SourceError: it cannot be read, is no catalog, or is of another format version.
    """
    try:
        with path.open("rb") as stream:
            file = pq.ParquetFile(stream)
            metadata, columns = file.metadata, set(file.schema_arrow.names)
    except (OSError, pa.ArrowException) as error:
        said = getattr(error, "strerror", None) or "it is no Parquet file"
        raise SourceError(f"catalog {path} cannot be read: {said}; make it with 'mammosweep index'") from None
    found = {key.decode(): value.decode() for key, value in (metadata.metadata or {}).items()}
    _check_version(found, path)
    try:
        root = bytes.fromhex(found[PREFIX + "root"]).decode("utf-8", "surrogateescape")
        about = CatalogAbout(root, found[PREFIX + "basis"])
        if not set(SCHEMA.names) <= columns:
            raise KeyError("columns")
    except (KeyError, ValueError):
        raise SourceError(_damaged(path)) from None
    return about, FileGroups(path, metadata)


def _damaged(path: Path) -> str:
    return f"catalog {path} is damaged; make it again with 'mammosweep index'"


def _check_version(found: dict[str, str], path: Path) -> None:
    written = found.get(PREFIX + "format_version")
    if written is None:
        raise SourceError(f"{path} is no catalog; make one with 'mammosweep index'")
    expected = (str(FORMAT_VERSION), str(REASONS_VERSION))
    if (written, found.get(PREFIX + "reasons_version")) != expected:
        raise SourceError(
            f"catalog {path} is of format {written}; this version reads {FORMAT_VERSION} with reasons "
            f"{REASONS_VERSION}; make it again with 'mammosweep index'"
        )
