"""The engine with a radiologist: the weighted mean of both probabilities.

Wu et al., IEEE Transactions on Medical Imaging 39, 2020: a hybrid of a network and a radiologist, half of
each, was more accurate than either.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mammosweep.errors import ConfigError
from mammosweep.evaluate.delong import Comparison, compare, delong
from mammosweep.evaluate.estimate import Estimate
from mammosweep.evaluate.roc import Cases
from mammosweep.evaluate.study import Study
from mammosweep.evaluate.truth import Row, read_rows

__all__ = ["Hybrid", "HybridRow", "Readers", "hybrid", "read_readers"]

SIDES = {"L": "L", "R": "R", "LEFT": "L", "RIGHT": "R"}
KEYS = ("exam_id", "patient", "side")
EVERYONE = "mean of the readers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """Probabilities of malignancy that radiologists gave."""

    by_breast: bool  # whether each is of a breast; else of an exam
    names: tuple[str, ...]
    rows: tuple[Row, ...]  # "exam_id" or "patient", "side", and each name


@dataclass(frozen=True, slots=True, kw_only=True)
class HybridRow:
    """One reader's, and the engine's with it. None: too few of a class to compare."""

    reader: str
    num: int
    num_positive: int
    engine: Estimate
    alone: Estimate  # the reader
    hybrid: Estimate
    engine_against_reader: Comparison | None
    hybrid_against_reader: Comparison | None
    hybrid_against_engine: Comparison | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hybrid:
    """All readers' on the same cases as the engine's."""

    of: str  # "breasts" or "exams"
    weight: float  # of the reader; the engine has the rest
    rows: tuple[HybridRow, ...]
    num_not_matched: int  # rows of the table that are no evaluated case


def read_readers(path: Path) -> Readers:
    """Read a table: ``exam_id`` or ``patient``, perhaps ``side``, and a column of probabilities per reader.

    Raises:
        ConfigError: it cannot be read, has no such columns, or a value is no probability.
    """
    rows = read_rows(path)
    columns = list(rows[0]) if rows else []
    names = tuple(column for column in columns if column not in KEYS)
    if not names or not {"exam_id", "patient"} & set(columns):
        raise ConfigError(
            f"readers' table {path.name} has the columns {', '.join(columns) or '(none)'}; expected "
            "exam_id or patient, perhaps side, and a column of probabilities for each reader"
        )
    for number, row in enumerate(rows, start=1):
        for name in names:
            _probability(row, name, f"readers' table {path.name}, row {number}")
    return Readers(by_breast="side" in columns, names=names, rows=tuple(rows))


def hybrid(readers: Readers, study: Study, cases: Cases, weight: float = 0.5) -> Hybrid:
    """Areas of engine, readers and hybrids, with DeLong's tests, each on the cases that the reader read.

    Args:
        readers: see `read_readers`.
        study: what is evaluated.
        cases: the engine's scores of breasts where the readers' are of breasts, else of exams.
        weight: of the reader, 0..1.

    Raises:
        ConfigError: the weight lies outside 0..1, or no row of the table is an evaluated case.
    """
    if not 0.0 <= weight <= 1.0:
        raise ConfigError(f"the readers' weight is {weight:g}; it must lie in 0..1")
    index = {key: i for i, key in enumerate(cases.keys)}
    matched = {key: row for row in readers.rows if (key := _key(row, readers, study)) in index}
    if not matched:
        raise ConfigError(
            f"none of the {len(readers.rows)} rows of the readers' table is an evaluated case; expected the "
            "sweep's exam ids, or the truth's patients"
        )
    keys = list(matched)
    said = {name: np.array([_value(matched[key], name) for key in keys]) for name in readers.names}
    if len(said) > 1:
        stack = np.stack(list(said.values()))
        known = (~np.isnan(stack)).sum(axis=0)
        said[EVERYONE] = np.nansum(stack, axis=0) / np.where(known > 0, known, np.nan)
    engine = np.array([cases.scores[index[key]] for key in keys])
    labels = np.array([cases.labels[index[key]] for key in keys], dtype=bool)
    return Hybrid(
        of=cases.name,
        weight=weight,
        rows=tuple(_row(name, engine, values, labels, weight) for name, values in said.items()),
        num_not_matched=len(readers.rows) - len(matched),
    )


def _row(name: str, engine: np.ndarray, reader: np.ndarray, labels: np.ndarray, weight: float) -> HybridRow:
    read = ~np.isnan(reader)
    engine, reader, labels = engine[read], reader[read], labels[read]
    both = weight * reader + (1.0 - weight) * engine
    return HybridRow(
        reader=name,
        num=len(labels),
        num_positive=int(labels.sum()),
        engine=delong(engine, labels),
        alone=delong(reader, labels),
        hybrid=delong(both, labels),
        engine_against_reader=compare(engine, reader, labels),
        hybrid_against_reader=compare(both, reader, labels),
        hybrid_against_engine=compare(both, engine, labels),
    )


def _key(row: Row, readers: Readers, study: Study) -> str:
    exam_id = str(row.get("exam_id") or study.exam_of_patient.get(str(row.get("patient") or "").strip(), ""))
    return f"{exam_id} {SIDES.get(str(row['side']).strip().upper(), '')}" if readers.by_breast else exam_id


def _value(row: Mapping[str, object], name: str) -> float:
    text = str(row[name] if row[name] is not None else "").strip()
    return float(text) if text else float("nan")


def _probability(row: Row, name: str, where: str) -> None:
    try:
        value = _value(row, name)
    except ValueError:
        value = math.inf
    if not (math.isnan(value) or 0.0 <= value <= 1.0):
        raise ConfigError(
            f"{where}: column {name} is {row[name]!r}; expected a probability in 0..1, or nothing"
        )
