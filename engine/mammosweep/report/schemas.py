"""The outcome files' columns, with their units: the contract with whoever reads a sweep's results.

Every field carries its description in its Arrow metadata, every file the schema's version. Boxes are xyxy in
the image's own stored pixels, counted from the outer edge of the top-left pixel.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from mammosweep.errors import REASONS_VERSION

__all__ = ["CHARACTERS", "SCHEMA_VERSION", "SORT_KEYS", "TABLES"]

SCHEMA_VERSION = 1
"""Raised whenever a column changes its name, type or meaning, or goes; not by a new column alone."""

CHARACTERS = ("shape", "margin", "morphology", "distribution")
"""The words of a finding's character that have a column: two for a mass, two for calcifications."""

Column = tuple[str, pa.DataType, str]

_TEXT, _REAL = pa.string(), pa.float64()


def _list_of(kind: pa.DataType) -> pa.DataType:
    # "element" is what Parquet calls a list's item: so that the file's schema equals this one.
    return pa.list_(pa.field("element", kind))


# A Parquet map would say the same, but Arrow does not read back the map type that it wrote.
_REALS_BY_NAME = _list_of(pa.struct([("name", _TEXT), ("value", _REAL)]))


def _schema(name: str, columns: Iterable[Column]) -> pa.Schema:
    fields = [pa.field(column, kind, metadata={"description": about}) for column, kind, about in columns]
    return pa.schema(
        fields,
        metadata={
            "mammosweep.table": name,
            "mammosweep.schema_version": str(SCHEMA_VERSION),
            "mammosweep.reasons_version": str(REASONS_VERSION),
        },
    )


def _box(prefix: str, whose: str) -> list[Column]:
    edges = {"x1": "left", "y1": "top", "x2": "right", "y2": "bottom"}
    return [
        (f"{prefix}{key}", _REAL, f"{edge} edge of {whose}, stored pixels") for key, edge in edges.items()
    ]


_EXAM_ID = ("exam_id", _TEXT, "the manifest's exam id, else the Study Instance UID")
_IMAGE_UID = ("sop_instance_uid", _TEXT, "SOP Instance UID (0008,0018)")
_LATERALITY = ("laterality", _TEXT, "L or R")
_VIEW = ("view_position", _TEXT, "CC or MLO")
_FLAGS = ("flags", _list_of(_TEXT), "what a reader should know, closed list")
_REASON = ("reason", _TEXT, "why not, closed list; null when used or scored")
_MESSAGE = ("message", _TEXT, "the reason as one sentence; empty when there is none")

_IMAGES: list[Column] = [
    ("path", _TEXT, "relative to the source's root, POSIX separators"),
    _IMAGE_UID,
    ("study_instance_uid", _TEXT, "Study Instance UID (0020,000D)"),
    _EXAM_ID,
    _LATERALITY,
    _VIEW,
    ("transfer_syntax", _TEXT, "DICOM UID, or image/png, image/jpeg, image/tiff"),
    ("rows", pa.int32(), "rows as stored"),
    ("columns", pa.int32(), "columns as stored"),
    ("spacing_mm", _list_of(_REAL), "row spacing, column spacing: mm in the object plane"),
    ("status", _TEXT, "used, set_aside or rejected"),
    _REASON,
    _MESSAGE,
    _FLAGS,
    ("voi", _TEXT, "which of the header's presentations was applied; null where pixels were not read"),
    ("levels_left_out", pa.int32(), "of the wavelet transform, where the network's grid needed no finer one"),
    ("manufacturer", _TEXT, "Manufacturer (0008,0070), as the vendor profile names it where there is one"),
]

_FINDINGS: list[Column] = [
    _EXAM_ID,
    _IMAGE_UID,
    _LATERALITY,
    _VIEW,
    *_box("", "the box"),
    ("type", _TEXT, "mass, calcification, asymmetry or distortion"),
    ("score", _REAL, "how sure the finding is, 0 to 1, all of the exam considered"),
    ("flip_votes", pa.int32(), "how many of the flipped looks agreed"),
    ("quadrant", _TEXT, "where in the breast, as far as this view tells"),
    ("depth", _REAL, "0 at the nipple, 1 at the pectoralis major"),
    ("malignancy", _REAL, "probability of malignancy, 0 to 1"),
    *((name, _TEXT, f"{name} in BI-RADS words, null where it does not apply") for name in CHARACTERS),
    ("lesion_id", _TEXT, "the lesion it belongs to; unique within the exam"),
    ("place", _TEXT, "what gave quadrant and depth: network or geometry"),
    ("nipple_mm", _REAL, "distance of the box's centre from the nipple, mm"),
    ("character_scores", _REALS_BY_NAME, "probability by attribute and word, as in margin.spiculated"),
    (
        "calcification",
        _REALS_BY_NAME,
        "measurements of the calcifications by name; empty where none was made",
    ),
    ("detector_score", _REAL, "the detector's own probability, before the rest of the exam moved it"),
    ("second_look", _REAL, "probability that there is a lesion at all, from a crop; null: none was taken"),
]

_LESIONS: list[Column] = [
    _EXAM_ID,
    ("lesion_id", _TEXT, "unique within the exam"),
    _LATERALITY,
    ("type", _TEXT, "mass, calcification, asymmetry or distortion"),
    ("match_probability", _REAL, "that the two findings are one lesion; null for a single finding"),
    ("malignancy", _REAL, "probability of malignancy, 0 to 1"),
    ("category", _TEXT, "BI-RADS-like category: 2, 3, 4A, 4B, 4C or 5"),
    ("cc_sop_instance_uid", _TEXT, "the image of the CC finding; null when there is none"),
    *_box("cc_", "the CC finding"),
    ("mlo_sop_instance_uid", _TEXT, "the image of the MLO finding; null when there is none"),
    *_box("mlo_", "the MLO finding"),
    ("reasons", _TEXT, "what the malignancy rests on, weightiest first: + raises it, \u2212 lowers it"),
    ("contributions", _REALS_BY_NAME, "log-odds by feature of the decision, and bias, before calibration"),
]

_EXAMS: list[Column] = [
    _EXAM_ID,
    ("exam_digest", _TEXT, "SHA-256 over the files the exam consisted of"),
    ("patient_key", _TEXT, "keyed pseudonym, never the Patient ID"),
    ("study_date", pa.date32(), "Study Date (0008,0020)"),
    ("status", _TEXT, "scored, flagged (scored, with flags) or not_scored"),
    _REASON,
    _MESSAGE,
    _FLAGS,
    ("score", _REAL, "suspicion of the exam, 0 to 1; null unless scored"),
    ("score_left", _REAL, "suspicion of the left breast, 0 to 1"),
    ("score_right", _REAL, "suspicion of the right breast, 0 to 1"),
    ("benign_left", _REAL, "probability that the left breast holds a benign lesion, 0 to 1"),
    ("benign_right", _REAL, "probability that the right breast holds a benign lesion, 0 to 1"),
    ("category", _TEXT, "BI-RADS-like category of the exam"),
    ("engine_version", _TEXT, "version of mammosweep"),
    ("bundle", _TEXT, "name and version of the model's bundle"),
    ("bundle_digest", _TEXT, "SHA-256 over the bundle's files"),
    ("settings_digest", _TEXT, "SHA-256 over the settings that can change a result"),
    ("device", _TEXT, "where the networks ran"),
    ("precision", _TEXT, "the detector's number format"),
    ("plan", _TEXT, "what computed the detector's networks: torch, openvino or tensorrt"),
]

TABLES: dict[str, pa.Schema] = {
    name: _schema(name, columns)
    for name, columns in {
        "images": _IMAGES,
        "findings": _FINDINGS,
        "lesions": _LESIONS,
        "exams": _EXAMS,
    }.items()
}
"""The four outcome files by name: ``TABLES["images"]`` is the schema of images.parquet."""

SORT_KEYS: dict[str, tuple[str, ...]] = {
    "images": ("exam_id", "path"),
    "findings": (
        *("exam_id", "lesion_id", "view_position", "sop_instance_uid"),
        *("x1", "y1", "x2", "y2", "type", "score"),
    ),
    "lesions": ("exam_id", "lesion_id"),
    "exams": ("exam_id",),
}
"""The order of the rows: it tells any two rows apart, so that equal results are equal files."""
