"""How malignant each lesion looks, with all that is known of it and of the exam's other lesions."""

# Shapes:  N lesions of an exam   F lesion features
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from mammosweep.exam.match import Match
from mammosweep.exam.model import ProbabilityModel
from mammosweep.exam.pairs import mean_diameter_mm
from mammosweep.exam.score import CategoryThresholds, category_of
from mammosweep.records import LESION_TYPES, Finding, Laterality, Lesion, LesionType

__all__ = ["LESION_FEATURES", "classify", "lesion_features", "lesion_rows", "lesion_type"]

# Flip votes are left out on purpose: they count the looks that were taken, so a model fitted with four
# flips would misjudge a sweep that runs with one.
LESION_FEATURES: tuple[str, ...] = (
    "score_max",  # of its findings' detector scores
    "score_min",
    "malignancy_max",  # of its findings' malignancies; NaN: none is known
    "malignancy_min",
    "match_probability",  # NaN: a single finding
    *(f"type_{kind.value}" for kind in LESION_TYPES),  # 1: it is of this type, else 0
    "size_mm",  # the larger of its findings' mean diameters
    "depth",  # mean of its findings'; 0 nipple, 1 pectoralis major; NaN: none is known
    "both_views",  # 1: seen in CC and MLO, else 0
    "num_in_breast",  # lesions in the same breast, itself included
    "contralateral_score",  # best detector score in the other breast; 0: nothing found there
)
"""The columns of a lesion's row, in order. The fitted model's file carries these names."""

NAN = float("nan")


def classify(
    matches: Sequence[Match], decision: ProbabilityModel | None, thresholds: CategoryThresholds
) -> tuple[Lesion, ...]:
    """Turn an exam's matches into lesions with malignancy, category and id.

    Args:
        matches: of both breasts, in the order that decides between equal malignancies.
        decision: gives rows of `LESION_FEATURES` the probability of malignancy; None: the detector's score of
            a lesion's surest finding stands for it.
        thresholds: where each category begins.

    Returns:
        Left breast first; in each breast by falling malignancy and numbered so ("L1", "L2", "R1").
    """
    malignancies = _malignancies(matches, decision)
    lesions: list[Lesion] = []
    for side in Laterality:
        breast = [(m, p) for m, p in zip(matches, malignancies, strict=True) if m.laterality is side]
        breast.sort(key=lambda entry: -entry[1])
        for number, (found, malignancy) in enumerate(breast, start=1):
            category = category_of(malignancy, thresholds)
            lesions.append(_lesion(found, f"{side.value}{number}", malignancy, category))
    return tuple(lesions)


def _malignancies(matches: Sequence[Match], decision: ProbabilityModel | None) -> list[float]:
    if decision is None:
        return [max(finding.score for finding in one.findings) for one in matches]
    return list(decision(lesion_rows(matches)).tolist())


def lesion_rows(matches: Sequence[Match]) -> NDArray[np.float32]:
    """Describe every match of an exam among the others: (N, F)."""
    rows = [lesion_features(one, [*matches[:i], *matches[i + 1 :]]) for i, one in enumerate(matches)]
    return np.array(rows, dtype=np.float32).reshape(len(matches), len(LESION_FEATURES))


def lesion_features(match: Match, others: Sequence[Match]) -> NDArray[np.float32]:
    """Describe one match: (F,), columns as in `LESION_FEATURES`, NaN where a value is unknown.

    Args:
        match: the lesion to describe.
        others: the exam's other matches, of both breasts.
    """
    findings = match.findings
    scores = [f.score for f in findings]
    malignancies = _known(f.malignancy for f in findings)
    kind = lesion_type(findings)
    opposite = [m for m in others if m.laterality is not match.laterality]
    columns = {
        "score_max": max(scores),
        "score_min": min(scores),
        "malignancy_max": max(malignancies, default=NAN),
        "malignancy_min": min(malignancies, default=NAN),
        "match_probability": NAN if match.probability is None else match.probability,
        **{f"type_{other.value}": float(other is kind) for other in LESION_TYPES},
        "size_mm": max(mean_diameter_mm(f) for f in findings),
        "depth": fmean(_known(f.depth for f in findings) or [NAN]),
        "both_views": float(len(findings) == 2),
        "num_in_breast": float(1 + len(others) - len(opposite)),
        "contralateral_score": max((f.score for m in opposite for f in m.findings), default=0.0),
    }
    return np.array([columns[name] for name in LESION_FEATURES], dtype=np.float32)


def lesion_type(findings: Sequence[Finding]) -> LesionType:
    """The type that the surest finding has; of equally sure ones the first, which is CC's."""
    return max(findings, key=lambda f: f.score).type


def _lesion(found: Match, lesion_id: str, malignancy: float, category: str) -> Lesion:
    return Lesion(
        lesion_id=lesion_id,
        laterality=found.laterality,
        type=lesion_type(found.findings),
        cc=found.cc and replace(found.cc, lesion_id=lesion_id),
        mlo=found.mlo and replace(found.mlo, lesion_id=lesion_id),
        match_probability=found.probability,
        malignancy=malignancy,
        category=category,
    )


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]
