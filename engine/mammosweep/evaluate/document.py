"""An evaluation as JSON: every number that the page shows."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

from mammosweep.evaluate.evaluation import WORKING_RATE, Evaluation
from mammosweep.version import __version__

__all__ = ["DEFINITIONS", "SCHEMA_VERSION", "as_document", "as_json"]

SCHEMA_VERSION = 1
"""Raised whenever a field changes its name or meaning, or goes; not by a new field alone."""

DEFINITIONS: dict[str, str] = {
    "hit": (
        "A finding hits a lesion where its centre lies in the lesion's box, or, where an overlap is set, "
        "where the boxes' intersection over union is at least that. A finding that hits is never a false "
        "positive."
    ),
    "froc": (
        "Sensitivity: the share of lesions, each view counted by itself, that are hit by a finding above "
        "the score at which all findings that hit nothing are at most so many per image. All evaluated "
        "images count, with a lesion or without. Intervals: 95 %, bootstrap by patient."
    ),
    "per breast": (
        "A lesion is one, however many views show it. It is found at the best score of the engine's "
        "lesions, after matching, of which a finding hits it in either view; an engine's lesion has the "
        "best score of its findings. Every finding that hits no lesion is a false positive at the score of "
        "its engine's lesion; the rate is still per image."
    ),
    "lesions": (
        "True lesions that were found, at the malignancy of the engine's lesion with the best score that "
        "hits them: malignant against benign. Lesions that were missed are not in it."
    ),
    "breasts": (
        "Evaluated breasts at the engine's score of that side: with a malignant lesion against all others."
    ),
    "exams": ("Evaluated exams at the engine's score: with a malignant lesion against all others."),
    "area": (
        "Area under the ROC; interval: 95 %, DeLong, cases taken as independent. An area of 1 has an "
        "interval without width by this method, however few the cases."
    ),
    "cut_off": (
        "The score with the largest sensitivity + specificity - 1 (Youden), its interval by bootstrap of "
        "patients; sensitivity and specificity with Wilson's intervals. Chosen on the same cases, so "
        "optimistic."
    ),
    "pairing": (
        "A link of a CC with an MLO finding is right where both hit the same lesion. Precision: of the "
        "links of which a finding hits a lesion. Recall: of the lesions found in both views, and of those "
        "annotated in both. Intervals: 95 %, Wilson, links taken as independent."
    ),
    "place": (
        "The best finding of each annotated view that was hit. Depth: 0 at the nipple, 1 at the pectoralis "
        "major, mean absolute error."
    ),
    "subgroups": (
        "Sensitivity in a view at the score that gives one false positive per image over all images "
        "together; areas as above. Fewer than ten positives or negatives: no figure."
    ),
}
"""What each figure means, for whoever reads the document without the program."""


def as_document(evaluation: Evaluation) -> dict[str, Any]:
    """Everything as plain values; what is not a finite number is null."""
    return {
        "schema_version": SCHEMA_VERSION,
        "engine_version": __version__,
        "definitions": DEFINITIONS,
        "working_rate": WORKING_RATE,
        **{
            field.name.rstrip("_"): _plain(getattr(evaluation, field.name))
            for field in dataclasses.fields(evaluation)
        },
    }


def as_json(evaluation: Evaluation) -> str:
    """The document as text, keys as they come."""
    return json.dumps(as_document(evaluation), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: object) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name.rstrip("_"): _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value
