"""The table of boxes that a fit learns from: what it says of each image, and what is wrong with it.

Two layouts are read, CSV or Parquet, told apart by their columns:

* ``path``, ``x1 y1 x2 y2``, ``type``, ``lesion_id`` and what else `mammosweep phantom` writes: the images are
  DICOM that says the rest itself;
* ``file patient side view x y w h`` and CBIS-DDSM's words (``mass shape``, ``mass margins``, ``pathology``,
  ``abnormality id``): the images are rasters, of which the table says patient, side and view.

Boxes are in the image's own stored pixels, counted from the outer edge of the top-left one.
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mammosweep.errors import ConfigError
from mammosweep.records import LESION_TYPES, LesionType
from mammosweep.vocabulary import CHARACTER, DESCRIBES, QUADRANTS

__all__ = ["Annotations", "Problem", "TrueLesion", "read_table"]

Box = tuple[float, float, float, float]
Row = Mapping[str, Any]

BOX_COLUMNS = ("x1", "y1", "x2", "y2")
FILM_COLUMNS = ("file", "patient", "side", "view", "x", "y", "w", "h")

MALIGNANT = {"MALIGNANT": True, "BENIGN": False, "BENIGN_WITHOUT_CALLBACK": False, "": None}

SHAPES = {"ROUND": "round", "OVAL": "oval", "LOBULATED": "lobulated", "IRREGULAR": "irregular"}
MARGINS = {
    "CIRCUMSCRIBED": "circumscribed",
    "OBSCURED": "obscured",
    "MICROLOBULATED": "microlobulated",
    "ILL_DEFINED": "indistinct",  # BI-RADS calls it so since its fourth edition
    "SPICULATED": "spiculated",
}
"""CBIS-DDSM's words, from benign to suspicious: of several the last is taken, as a reader would."""

TYPES_BY_SHAPE = {
    "ARCHITECTURAL_DISTORTION": LesionType.DISTORTION,
    "ASYMMETRIC_BREAST_TISSUE": LesionType.ASYMMETRY,
    "FOCAL_ASYMMETRIC_DENSITY": LesionType.ASYMMETRY,
}
"""A lesion whose shape is one of these and no mass's is not a mass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueLesion:
    """One annotated lesion in one view; None where the table does not say."""

    lesion_id: str  # the same in both views
    box_px: Box
    type: LesionType
    quadrant: str | None = None
    depth: float | None = None
    malignant: bool | None = None
    words: Mapping[str, str]  # attribute -> BI-RADS word
    linked: bool = True  # False: whether the other view shows it too is not known

    @property
    def label(self) -> int:
        """The detector's class, 1 + index in LESION_TYPES."""
        return 1 + LESION_TYPES.index(self.type)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a row or an image."""

    where: str  # "row 17", or "image 00017_LEFT_CC.jpg"
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotations:
    """What a table says."""

    lesions: Mapping[str, tuple[TrueLesion, ...]]  # by the image's path below the folder of images
    rows: Mapping[str, tuple[int, ...]]  # by path: the table's rows, data rows counted from 1
    manifest: tuple[Mapping[str, str], ...]  # its rows, where headers do not say what the table does
    problems: tuple[Problem, ...]


def read_table(path: Path) -> Annotations:
    """Read a table of boxes.

    Raises:
        ConfigError: it cannot be read, or lacks columns. What is wrong with single rows is in `problems`.
    """
    rows = _rows(path)
    columns = set(rows[0]) if rows else set()
    if columns.issuperset(FILM_COLUMNS):
        return _annotations(rows, "file", _film_lesion, _film_images(rows))
    if columns.issuperset((*BOX_COLUMNS, "path", "type", "lesion_id")):
        return _annotations(rows, "path", _plain_lesion, ())
    raise ConfigError(
        f"table {path} has the columns {', '.join(sorted(columns)) or '(none)'}; expected at least "
        f"path, {', '.join(BOX_COLUMNS)}, type, lesion_id, or at least {', '.join(FILM_COLUMNS)}"
    )


def _rows(path: Path) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if path.suffix == ".parquet":
            rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
            return rows
        with path.open(newline="", encoding="utf-8-sig") as file:
            return list(csv.DictReader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
        raise ConfigError(f"table {path} cannot be read: {error}; give CSV in UTF-8, or Parquet") from None


def _annotations(
    rows: list[dict[str, Any]],
    name: str,
    lesion_of: Callable[[Row, int], TrueLesion],
    manifest: tuple[Mapping[str, str], ...],
) -> Annotations:
    lesions: dict[str, list[TrueLesion]] = defaultdict(list)
    numbers: dict[str, list[int]] = defaultdict(list)
    problems: list[Problem] = []
    for number, row in enumerate(rows, start=1):
        image = str(row[name] or "")
        try:
            if not image:
                raise ValueError(f"column {name} is empty; expected an image's path")
            lesions[image].append(lesion_of(row, number))
            numbers[image].append(number)
        except ValueError as error:
            problems.append(Problem(f"row {number}", str(error)))
    return Annotations(
        lesions={image: tuple(found) for image, found in lesions.items()},
        rows={image: tuple(found) for image, found in numbers.items()},
        manifest=manifest,
        problems=tuple(problems),
    )


def _plain_lesion(row: Row, number: int) -> TrueLesion:
    x1, y1, x2, y2 = (_number(row, column) for column in BOX_COLUMNS)
    kind = _one_of(row, "type", {str(kind): kind for kind in LESION_TYPES})
    quadrants = {word: word for words in QUADRANTS.values() for word in words}
    return TrueLesion(
        lesion_id=_text(row, "lesion_id") or f"row {number}",
        box_px=_box(x1, y1, x2, y2),
        type=kind,
        quadrant=_one_of(row, "quadrant", quadrants) if _text(row, "quadrant") else None,
        depth=_number(row, "depth") if _text(row, "depth") else None,
        malignant=_flag(row, "malignant"),
        words={
            attribute: _one_of(row, attribute, {word: word for word in words})
            for attribute, words in CHARACTER.items()
            if DESCRIBES[attribute] is kind and _text(row, attribute)
        },
        linked=bool(_text(row, "lesion_id")),
    )


def _film_lesion(row: Row, number: int) -> TrueLesion:
    x, y, width, height = (_number(row, column) for column in "xywh")
    shapes = _text(row, "mass shape").split("-")
    kinds = [TYPES_BY_SHAPE[word] for word in shapes if word in TYPES_BY_SHAPE]
    is_mass = not kinds or any(word in SHAPES for word in shapes)
    abnormality = _text(row, "abnormality id")
    words = {
        "shape": _most_suspicious(shapes, SHAPES),
        "margin": _most_suspicious(_text(row, "mass margins").split("-"), MARGINS),
    }
    breast = f"{_text(row, 'patient')}_{_one_of(row, 'side', SIDES)}"
    return TrueLesion(
        lesion_id=f"{breast}_{abnormality}" if abnormality else f"{breast}_row{number}",
        box_px=_box(x, y, x + width, y + height),
        type=LesionType.MASS if is_mass else kinds[0],
        malignant=_one_of(row, "pathology", MALIGNANT) if "pathology" in row else None,
        words={attribute: word for attribute, word in words.items() if is_mass and word},
        linked=bool(abnormality),
    )


SIDES = {"LEFT": "L", "RIGHT": "R", "L": "L", "R": "R"}
VIEWS = {"CC": "CC", "MLO": "MLO"}


def _film_images(rows: Iterable[Row]) -> tuple[Mapping[str, str], ...]:
    """Manifest rows; those with an unknown side or view are told of with the lesions."""
    images: dict[str, Mapping[str, str]] = {}
    for row in rows:
        side, view = SIDES.get(_text(row, "side")), VIEWS.get(_text(row, "view"))
        if side and view and _text(row, "file"):
            patient = _text(row, "patient")
            images[_text(row, "file")] = {
                "path": _text(row, "file"),
                "patient_id": patient,
                "exam_id": patient,
                "laterality": side,
                "view": view,
            }
    return tuple(images[name] for name in sorted(images))


def _most_suspicious(found: list[str], words: Mapping[str, str]) -> str | None:
    return next((words[word] for word in reversed(list(words)) if word in found), None)


def _text(row: Row, column: str) -> str:
    value = row.get(column)
    return "" if value is None else str(value).strip()


def _number(row: Row, column: str) -> float:
    try:
        value = float(_text(row, column))
    except ValueError:
        raise ValueError(f"column {column} is {_text(row, column)!r}; expected a number") from None
    if not math.isfinite(value):
        raise ValueError(f"column {column} is {value}; expected a finite number")
    return value


def _flag(row: Row, column: str) -> bool | None:
    known = {"true": True, "false": False, "1": True, "0": False, "": None}
    value: bool | None = _one_of(row, column, known, lower=True)
    return value


def _one_of(row: Row, column: str, known: Mapping[str, Any], *, lower: bool = False) -> Any:
    text = _text(row, column).lower() if lower else _text(row, column)
    if text not in known:
        raise ValueError(
            f"column {column} is {text!r}; expected one of {', '.join(word or '(empty)' for word in known)}"
        )
    return known[text]


def _box(x1: float, y1: float, x2: float, y2: float) -> Box:
    if not (x1 < x2 and y1 < y2 and x1 >= 0 and y1 >= 0):
        raise ValueError(f"the box is x {x1:g}..{x2:g}, y {y1:g}..{y2:g}; expected rising numbers from 0 on")
    return x1, y1, x2, y2
