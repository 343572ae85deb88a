"""What the phantom bundle finds in phantoms that it was not fitted on, by way of a whole sweep."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

import mammosweep
from benchmarks.bundles import PHANTOM_BUNDLE
from benchmarks.harness import Row, figure_row
from mammosweep.evaluate.froc import ImageDetections, ImageTruth, froc
from mammosweep.phantom import Syntax, write_phantoms
from mammosweep.records import LesionType

NUM_EXAMS = 60
SEED = 777  # none of the fit's


def rows() -> list[Row]:
    """Sensitivity at 1 false positive a view: of all lesions, and of each type."""
    archive, out = Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp())
    write_phantoms(archive, exams=NUM_EXAMS, seed=SEED, syntaxes=[Syntax.JPEG_LS])
    mammosweep.sweep_to(out, archive, bundle=PHANTOM_BUNDLE)
    curves = froc(*images(archive, out))
    found = [figure_row("bundle/sensitivity-at-1", "sensitivity", [curves.overall.at(1.0).sensitivity])]
    for kind, curve in curves.by_type.items():
        found.append(
            figure_row(f"bundle/sensitivity-at-1/{kind}", "sensitivity", [curve.at(1.0).sensitivity])
        )
    return found


def images(archive: Path, out: Path) -> tuple[list[ImageDetections], list[ImageTruth]]:
    """Findings and truth of every image that the sweep used."""
    used = [i for i in mammosweep.read_table(out, "images").to_pylist() if i["status"] == "used"]
    findings = mammosweep.read_table(out, "findings").to_pylist()
    lesions = pq.read_table(archive / "truth.parquet").to_pylist()
    detections, truths = [], []
    for image in used:
        uid = image["sop_instance_uid"]
        marks = [f for f in findings if f["sop_instance_uid"] == uid]
        there = [t for t in lesions if t["sop_instance_uid"] == uid]
        scores = [m["score"] for m in marks]
        detections.append(ImageDetections(boxes_px=_boxes(marks), scores=scores, types=_types(marks)))
        truths.append(ImageTruth(group=image["exam_id"], boxes_px=_boxes(there), types=_types(there)))
    return detections, truths


def _boxes(rows: list[dict[str, float]]) -> np.ndarray:
    return np.asarray([[r[k] for k in ("x1", "y1", "x2", "y2")] for r in rows]).reshape(-1, 4)


def _types(rows: list[dict[str, str]]) -> list[LesionType]:
    return [LesionType(r["type"]) for r in rows]
