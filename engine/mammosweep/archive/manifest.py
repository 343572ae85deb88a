"""The manifest: a table that says of files what their headers do not, or say wrongly."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

from mammosweep.archive.names import escape_name
from mammosweep.errors import ConfigError
from mammosweep.records import Laterality, Position

__all__ = ["COLUMNS", "Manifest", "ManifestRow", "read_manifest"]

COLUMNS = ("path", "patient_id", "exam_id", "laterality", "view", "spacing_mm", "study_date")

LATERALITIES = {
    "L": Laterality.LEFT,
    "LEFT": Laterality.LEFT,
    "R": Laterality.RIGHT,
    "RIGHT": Laterality.RIGHT,
}
POSITIONS = {str(position): position for position in Position}
SPACING_SEPARATOR = re.compile(r"\s*[x\\]\s*", re.IGNORECASE)
SHOWN_CHARACTERS = 40

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestRow:
    """What the manifest says of one file; None where it says nothing."""

    path: str
    patient_id: str | None = None
    exam_id: str | None = None
    laterality: Laterality | None = None
    view: Position | None = None
    spacing_mm: tuple[float, float] | None = None  # (row, column), object plane
    study_date: date | None = None

    @property
    def says_something(self) -> bool:
        """Whether anything is given besides the path."""
        return self != ManifestRow(path=self.path)

    @property
    def text(self) -> str:
        """Everything it says, on one line. It may hold a patient's identifier: never write it down."""
        return json.dumps(
            [
                *(self.path, self.patient_id, self.exam_id, self.laterality, self.view),
                *(self.spacing_mm, str(self.study_date)),
            ]
        )


@dataclass(frozen=True, slots=True)
class Manifest:
    """The rows by path, and the SHA-256 of the file they come from."""

    rows: Mapping[str, ManifestRow]
    digest: str

    def get(self, relative_path: str) -> ManifestRow | None:
        """The row of a file, by its path as records give it."""
        return self.rows.get(relative_path)

    def within(self, root: str) -> Manifest:
        """The same with absolute paths, or URLs, below ``root`` made relative to it.

        Raises:
            ConfigError: an absolute and a relative path name one file.
        """
        rows: dict[str, ManifestRow] = {}
        for row in self.rows.values():
            path = _below(row.path, root)
            if path in rows:
                raise ConfigError(f"manifest: {path} is named twice, once by its absolute path; name it once")
            rows[path] = replace(row, path=path)
        return Manifest(rows, self.digest)


def read_manifest(path: Path) -> Manifest:
    """Read a manifest from CSV (UTF-8, with a header row) or Parquet.

    Raises:
        ConfigError: it cannot be read, has unknown columns or none called ``path``, names a file twice, or
            holds a value that is not understood: the sentence names row, column, what was found and expected.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"manifest {path} cannot be read: {error.strerror}") from None
    columns, values = _parquet(data, path) if data[:4] == b"PAR1" else _csv(data, path)
    _check_columns(columns, path)
    rows: dict[str, ManifestRow] = {}
    for number, fields in enumerate(values, start=1):
        row = _RowReader(path, number, fields).row()
        if row.path in rows:
            raise ConfigError(
                f"manifest {path}, row {number}: {row.path} has a row already; name a file once"
            )
        rows[row.path] = row
    return Manifest(rows, hashlib.sha256(data).hexdigest())


def _csv(data: bytes, path: Path) -> tuple[list[str], Iterator[dict[str, str]]]:
    try:
        lines = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        header, *records = [line for line in lines if line]
    except (UnicodeDecodeError, csv.Error, ValueError):
        raise ConfigError(
            f"manifest {path} is not a table; expected CSV in UTF-8 with a header row, or Parquet"
        ) from None
    columns = [name.strip() for name in header]
    return columns, _csv_rows(columns, records, path)


def _csv_rows(columns: list[str], records: list[list[str]], path: Path) -> Iterator[dict[str, str]]:
    for number, record in enumerate(records, start=1):
        if len(record) != len(columns):
            raise ConfigError(
                f"manifest {path}, row {number}: found {len(record)} fields; expected {len(columns)}"
            )
        yield dict(zip(columns, record, strict=True))


def _parquet(data: bytes, path: Path) -> tuple[list[str], Iterator[dict[str, str]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError):
        raise ConfigError(f"manifest {path} is a damaged Parquet file; write it again") from None
    rows = ({key: _as_text(value) for key, value in row.items()} for row in table.to_pylist())
    return table.column_names, rows


def _as_text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, list):
        return "x".join(map(str, value))
    return str(value)


def _check_columns(columns: Iterable[str], path: Path) -> None:
    found = list(columns)
    unknown = [name for name in found if name not in COLUMNS]
    if unknown:
        raise ConfigError(
            f"manifest {path} has an unknown column {unknown[0]!r}; expected any of {', '.join(COLUMNS)}"
        )
    if "path" not in found:
        raise ConfigError(f"manifest {path} has no column 'path'; it names each row's file")
    if len(set(found)) < len(found):
        raise ConfigError(f"manifest {path} has a column twice; name each column once")


@dataclass(frozen=True, slots=True)
class _RowReader:
    """One row on its way from text to values; knows where it stands, for the sentence when it is wrong."""

    manifest: Path
    number: int  # data rows, counted from 1
    fields: Mapping[str, str]

    def row(self) -> ManifestRow:
        laterality = self._text("laterality")
        view = self._text("view")
        return ManifestRow(
            path=self._path(),
            patient_id=self._text("patient_id"),
            exam_id=self._exam_id(),
            laterality=self._one_of(LATERALITIES, "laterality", laterality, "L, R, LEFT or RIGHT"),
            view=self._one_of(POSITIONS, "view", view, "CC or MLO"),
            spacing_mm=self._spacing(),
            study_date=self._date(),
        )

    def _text(self, column: str) -> str | None:
        return self.fields.get(column, "").strip() or None

    def _wrong(self, column: str, expected: str) -> ConfigError:
        found = self.fields[column]
        shown = found if len(found) <= SHOWN_CHARACTERS else found[:SHOWN_CHARACTERS] + "..."
        where = f"manifest {self.manifest}, row {self.number}, column {column}"
        return ConfigError(f"{where}: found {shown!r}; expected {expected}")

    def _path(self) -> str:
        text = self.fields["path"]
        if not text.strip():
            raise self._wrong("path", "a file's path, relative to the source or absolute")
        # A backslash is an escape of names.py: as written in images.parquet.
        path = text if "\\" in text else escape_name(text)
        scheme, mark, rest = path.rpartition("://")
        return scheme + mark + posixpath.normpath(rest)

    def _exam_id(self) -> str | None:
        text = self._text("exam_id")
        if text and not text.isprintable():
            raise self._wrong("exam_id", "printable characters")
        return text

    def _one_of(self, words: Mapping[str, T], column: str, text: str | None, expected: str) -> T | None:
        if text is None:
            return None
        if text.upper() not in words:
            raise self._wrong(column, expected)
        return words[text.upper()]

    def _spacing(self) -> tuple[float, float] | None:
        text = self._text("spacing_mm")
        if text is None:
            return None
        try:
            values = [float(part) for part in SPACING_SEPARATOR.split(text)]
        except ValueError:
            values = []
        if len(values) not in (1, 2) or not all(math.isfinite(v) and v > 0 for v in values):
            raise self._wrong("spacing_mm", "millimetres, such as 0.05, or row x column, such as 0.05x0.06")
        return values[0], values[-1]

    def _date(self) -> date | None:
        text = self._text("study_date")
        if text is None:
            return None
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise self._wrong("study_date", "a date, such as 2024-01-31 or 20240131") from None


def _below(path: str, root: str) -> str:
    if not path.startswith("/") and "://" not in path:
        return path
    return path.removeprefix(escape_name(root).rstrip("/") + "/")
