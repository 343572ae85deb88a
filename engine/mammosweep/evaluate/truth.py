"""The truth table: which lesions an image shows, and which images are known to show none.

Two layouts are read, CSV or Parquet, told apart by their columns:

* ``path``, ``x1 y1 x2 y2``, ``type``, ``lesion_id``, as `mammosweep phantom` writes it. Its exams are known
  whole: an image without a row is without a lesion. A ``truth_exams.parquet`` beside it names the exams.
* ``file``, ``x y w h`` and CBIS-DDSM's words (``mass shape``, ``pathology``, ``abnormality id``,
  ``assessment``, ``breast_density``): of an image without a row nothing is known.

In both, a row without a box names an image without a lesion. Boxes are in the image's own stored pixels,
counted from the outer edge of the top-left one. Further columns that are used where they are there:
``sop_instance_uid`` (finds the image where its path does not), ``patient``, ``density`` or
``breast_density``, ``age``, ``vendor`` or ``manufacturer``, ``size_mm``, ``assessment``.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mammosweep.errors import ConfigError
from mammosweep.records import LESION_TYPES, LesionType

__all__ = ["Row", "TrueMark", "Truth", "read_rows", "read_truth", "words_of"]

Row = Mapping[str, Any]
Box = tuple[float, float, float, float]

PLAIN_COLUMNS = ("path", "x1", "y1", "x2", "y2", "type", "lesion_id")
FILM_COLUMNS = ("file", "x", "y", "w", "h")
BESIDE = "truth_exams.parquet"

MALIGNANT: dict[str, bool | None] = {
    "MALIGNANT": True,
    "BENIGN": False,
    "BENIGN_WITHOUT_CALLBACK": False,
    "TRUE": True,
    "FALSE": False,
    "1": True,
    "0": False,
    "": None,
}
MASS_SHAPES = ("ROUND", "OVAL", "LOBULATED", "IRREGULAR")
TYPES_BY_SHAPE = {
    "ARCHITECTURAL_DISTORTION": LesionType.DISTORTION,
    "ASYMMETRIC_BREAST_TISSUE": LesionType.ASYMMETRY,
    "FOCAL_ASYMMETRIC_DENSITY": LesionType.ASYMMETRY,
}
"""CBIS-DDSM's mass table holds these too: a lesion whose shape is one of them and no mass's is not a mass."""

ALIASES = {
    "density": ("density", "breast_density"),
    "vendor": ("vendor", "manufacturer"),
    "age": ("age", "patient_age"),
}
"""What is known of an exam, by the columns that say it; the first that is filled counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueMark:
    """One lesion in one view; None where the table does not say."""

    lesion_id: str  # the same in both views of a breast
    linked: bool  # False: whether the other view shows it too is not known
    box_px: Box
    type: LesionType
    malignant: bool | None = None
    quadrant: str | None = None
    depth: float | None = None
    size_mm: float | None = None
    assessment: str | None = None  # BI-RADS category that a reader gave it


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueImage:
    """An image that the table names."""

    path: str
    sop_instance_uid: str | None = None
    patient: str | None = None
    words: dict[str, str] = field(default_factory=dict)  # "density", "vendor", "age"
    marks: tuple[TrueMark, ...] = ()  # none: it is known to be without a lesion


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What a truth table says."""

    images: tuple[TrueImage, ...]
    unlisted_clean: bool  # whether images that the table does not name are without a lesion
    exams: dict[str, dict[str, str]]  # exams that are known whole, with words as above; empty: no such list


def read_truth(path: Path, unlisted_clean: bool | None = None) -> Truth:
    """Read a truth table.

    Args:
        path: CSV in UTF-8 or Parquet.
        unlisted_clean: whether an image without a row is without a lesion; None: as the layout means it.

    Raises:
        ConfigError: it cannot be read, lacks columns, or a row of it is wrong.
    """
    rows = read_rows(path)
    columns = set(rows[0]) if rows else set()
    if columns.issuperset(FILM_COLUMNS):
        images = _images(path, rows, "file", _film_mark)
        return Truth(images=images, unlisted_clean=bool(unlisted_clean), exams={})
    if columns.issuperset(PLAIN_COLUMNS):
        images = _images(path, rows, "path", _plain_mark)
        clean = unlisted_clean is not False
        return Truth(images=images, unlisted_clean=clean, exams=_exams_beside(path))
    raise ConfigError(
        f"truth table {path.name} has the columns {', '.join(sorted(columns)) or '(none)'}; expected at "
        f"least {', '.join(PLAIN_COLUMNS)}, or at least {', '.join(FILM_COLUMNS)}"
    )


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a CSV or Parquet table.

    Raises:
        ConfigError: it cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if path.suffix == ".parquet":
            with path.open("rb") as file:
                rows: list[dict[str, Any]] = pq.ParquetFile(file).read().to_pylist()
                return rows
        with path.open(newline="", encoding="utf-8-sig") as file:
            return list(csv.DictReader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
        raise ConfigError(
            f"table {path.name} cannot be read ({type(error).__name__}); give CSV in UTF-8, or Parquet"
        ) from None


def words_of(row: Row) -> dict[str, str]:
    """What a row says of density, vendor and age."""
    said = {
        name: next((text for alias in aliases if (text := _text(row, alias))), "")
        for name, aliases in ALIASES.items()
    }
    return {name: _plain_number(text) for name, text in said.items() if text}


def _exams_beside(path: Path) -> dict[str, dict[str, str]]:
    beside = path.with_name(BESIDE)
    if not beside.is_file():
        return {}
    return {str(row["exam_id"]): words_of(row) for row in read_rows(beside)}


def _images(
    path: Path, rows: list[dict[str, Any]], name: str, mark_of: Callable[[Row, int], TrueMark | None]
) -> tuple[TrueImage, ...]:
    marks: dict[str, list[TrueMark]] = {}
    first: dict[str, Row] = {}
    for number, row in enumerate(rows, start=1):
        image = _text(row, name)
        try:
            if not image:
                raise ValueError(f"column {name} is empty; expected an image's path")
            mark = mark_of(row, number)
        except ValueError as error:
            raise ConfigError(f"truth table {path.name}, row {number}: {error}") from None
        first.setdefault(image, row)
        marks.setdefault(image, []).extend([mark] if mark else [])
    return tuple(
        TrueImage(
            path=image,
            sop_instance_uid=_text(first[image], "sop_instance_uid") or None,
            patient=_text(first[image], "patient") or None,
            words=words_of(first[image]),
            marks=tuple(found),
        )
        for image, found in marks.items()
    )


def _plain_mark(row: Row, number: int) -> TrueMark | None:
    edges = [_number(row, column) for column in ("x1", "y1", "x2", "y2")]
    if all(edge is None for edge in edges):
        return None
    kind = _text(row, "type")
    if kind not in LESION_TYPES:
        raise ValueError(f"column type is {kind!r}; expected one of {', '.join(LESION_TYPES)}")
    return TrueMark(
        lesion_id=_text(row, "lesion_id") or f"row {number}",
        linked=bool(_text(row, "lesion_id")),
        box_px=_box(edges),
        type=LesionType(kind),
        malignant=_malignant(row, "malignant"),
        quadrant=_text(row, "quadrant") or None,
        depth=_number(row, "depth"),
        size_mm=_number(row, "size_mm"),
        assessment=_plain_number(_text(row, "assessment")) or None,
    )


def _film_mark(row: Row, number: int) -> TrueMark | None:
    x, y, width, height = (_number(row, column) for column in "xywh")
    if x is None and y is None and width is None and height is None:
        return None
    shapes = _text(row, "mass shape").split("-")
    others = [TYPES_BY_SHAPE[shape] for shape in shapes if shape in TYPES_BY_SHAPE]
    is_mass = not others or any(shape in MASS_SHAPES for shape in shapes)
    abnormality = _text(row, "abnormality id")
    return TrueMark(
        lesion_id=_plain_number(abnormality) or f"row {number}",
        linked=bool(abnormality),
        box_px=_box(
            [x, y, None if x is None else x + (width or 0), None if y is None else y + (height or 0)]
        ),
        type=LesionType.MASS if is_mass else others[0],
        malignant=_malignant(row, "pathology"),
        size_mm=_number(row, "size_mm"),
        assessment=_plain_number(_text(row, "assessment")) or None,
    )


def _text(row: Row, column: str) -> str:
    value = row.get(column)
    return "" if value is None else str(value).strip()


def _plain_number(text: str) -> str:
    """What spreadsheets write as 4.0 is 4."""
    return text.removesuffix(".0")


def _number(row: Row, column: str) -> float | None:
    text = _text(row, column)
    if not text or text.lower() == "nan":
        return None
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"column {column} is {text!r}; expected a number") from None
    if not math.isfinite(value):
        raise ValueError(f"column {column} is {text}; expected a finite number")
    return value


def _malignant(row: Row, column: str) -> bool | None:
    text = _text(row, column).upper()
    if text not in MALIGNANT:
        raise ValueError(f"column {column} is {text!r}; expected one of {', '.join(MALIGNANT)}, or nothing")
    return MALIGNANT[text]


def _box(edges: list[float | None]) -> Box:
    known = [edge for edge in edges if edge is not None]
    if len(known) != 4 or not (known[0] < known[2] and known[1] < known[3]):
        raise ValueError(f"the box is {edges}; expected four numbers, x and y rising, or none at all")
    return known[0], known[1], known[2], known[3]
