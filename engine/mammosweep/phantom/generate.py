"""A folder of phantoms with its truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mammosweep.errors import ConfigError
from mammosweep.phantom.codecs import Syntax
from mammosweep.phantom.dicom import write_exam
from mammosweep.phantom.exam import PhantomExam, make_exam
from mammosweep.phantom.settings import PhantomConfig
from mammosweep.records import Laterality

__all__ = ["TRUTH_EXAMS_SCHEMA", "TRUTH_SCHEMA", "truth_rows", "write_phantoms"]

Row = dict[str, Any]

TRUTH_SCHEMA = pa.schema(
    [
        *[(name, pa.string()) for name in ("exam_id", "path", "sop_instance_uid")],
        *[(name, pa.string()) for name in ("laterality", "view_position", "lesion_id", "type")],
        *[(name, pa.float64()) for name in ("x1", "y1", "x2", "y2", "size_mm")],
        ("quadrant", pa.string()),
        ("depth", pa.float64()),
        ("malignant", pa.bool_()),
        *[(name, pa.string()) for name in ("shape", "margin", "morphology", "distribution")],
        ("num_calcifications", pa.int64()),
        ("calcification_mm", pa.float64()),  # mean diameter of the single calcifications
    ]
)
"""One row per lesion per view; boxes in stored pixels, counted from the outer edge of the top-left pixel."""

TRUTH_EXAMS_SCHEMA = pa.schema(
    [
        ("exam_id", pa.string()),
        ("density", pa.string()),
        ("malignant_left", pa.bool_()),
        ("malignant_right", pa.bool_()),
        ("syntax", pa.string()),
        ("seed", pa.int64()),
        ("index", pa.int64()),
    ]
)


def write_phantoms(
    out: Path,
    *,
    exams: int,
    seed: int,
    syntaxes: Sequence[Syntax],
    config: PhantomConfig | None = None,
) -> None:
    """Write ``exams`` exams into ``out/exam0000`` and on, and their truth beside them.

    Exam ``i`` has the transfer syntax ``syntaxes[i % len(syntaxes)]``. Same arguments, same bytes.

    Raises:
        ConfigError: no exams or no syntaxes are asked for, or the seed is negative.
    """
    _check(exams, seed, syntaxes)
    settings = config or PhantomConfig()
    lesions: list[Row] = []
    summaries: list[Row] = []
    for index in range(exams):
        exam, syntax = make_exam(seed, index, settings), syntaxes[index % len(syntaxes)]
        paths = write_exam(exam, out / f"exam{index:04d}", syntax=syntax)
        lesions += truth_rows(exam, [path.relative_to(out).as_posix() for path in paths])
        summaries.append(_summary(exam, syntax))
    pq.write_table(pa.Table.from_pylist(lesions, TRUTH_SCHEMA), out / "truth.parquet")
    pq.write_table(pa.Table.from_pylist(summaries, TRUTH_EXAMS_SCHEMA), out / "truth_exams.parquet")


def truth_rows(exam: PhantomExam, paths: Sequence[str]) -> list[Row]:
    """Give a row of TRUTH_SCHEMA per lesion per view; ``paths`` in the order of the exam's views."""
    return [
        {
            "exam_id": exam.exam_id,
            "path": path,
            "sop_instance_uid": view.sop_instance_uid,
            "laterality": str(view.laterality),
            "view_position": str(view.position),
            "lesion_id": truth.lesion.lesion_id,
            "type": str(truth.lesion.type),
            **dict(zip(("x1", "y1", "x2", "y2"), truth.box_px, strict=True)),
            "size_mm": truth.lesion.size_mm,
            "quadrant": truth.quadrant,
            "depth": truth.depth,
            "malignant": truth.lesion.malignant,
            "shape": truth.lesion.shape,
            "margin": truth.lesion.margin,
            "morphology": truth.lesion.morphology,
            "distribution": truth.lesion.distribution,
            "num_calcifications": truth.num_calcifications,
            "calcification_mm": truth.calcification_mm,
        }
        for view, path in zip(exam.views, paths, strict=True)
        for truth in view.truths
    ]


def _summary(exam: PhantomExam, syntax: Syntax) -> Row:
    return {
        "exam_id": exam.exam_id,
        "density": exam.density,
        "malignant_left": exam.is_malignant(Laterality.LEFT),
        "malignant_right": exam.is_malignant(Laterality.RIGHT),
        "syntax": str(syntax),
        "seed": exam.seed,
        "index": exam.index,
    }


def _check(exams: int, seed: int, syntaxes: Sequence[Syntax]) -> None:
    if exams < 1:
        raise ConfigError(f"number of phantom exams is {exams}; it must be 1 or more")
    if seed < 0:
        raise ConfigError(f"phantom seed is {seed}; it must be 0 or more")
    if not syntaxes:
        raise ConfigError(f"no transfer syntax is given; name at least one of {', '.join(Syntax)}")
