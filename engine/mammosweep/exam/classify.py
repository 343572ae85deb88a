"""How malignant each lesion looks, with all that is known of it and of the exam's other lesions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mammosweep.exam.calibrate import Calibration
from mammosweep.exam.features import lesion_rows, lesion_type
from mammosweep.exam.match import Match
from mammosweep.exam.model import ExplainedModel, ProbabilityModel
from mammosweep.exam.score import CategoryThresholds, category_of
from mammosweep.records import Laterality, Lesion

__all__ = ["classify"]

AS_THE_MODEL_SAYS = Calibration()


def classify(
    matches: Sequence[Match],
    decision: ProbabilityModel | None,
    thresholds: CategoryThresholds,
    calibration: Calibration = AS_THE_MODEL_SAYS,
) -> tuple[Lesion, ...]:
    """Turn an exam's matches into lesions with malignancy, reasons, category and id.

    Args:
        matches: of both breasts, in the order that decides between equal malignancies.
        decision: gives rows of `LESION_FEATURES` the probability of malignancy; None: the detector's score of
            a lesion's surest finding stands for it, and there are no reasons.
        thresholds: where each category begins.
        calibration: what makes the decision's probabilities the lesions' malignancies.

    Returns:
        Left breast first; in each breast by falling malignancy and numbered so ("L1", "L2", "R1").
    """
    rows = lesion_rows(matches)
    malignancies = _malignancies(matches, rows, decision, calibration)
    contributions = _contributions(rows, decision)
    lesions: list[Lesion] = []
    for side in Laterality:
        breast = [i for i, match in enumerate(matches) if match.laterality is side]
        breast.sort(key=lambda i: -malignancies[i])
        for number, i in enumerate(breast, start=1):
            lesion = _lesion(matches[i], f"{side.value}{number}", malignancies[i], thresholds)
            lesions.append(replace(lesion, contributions=contributions[i]))
    return tuple(lesions)


def _malignancies(
    matches: Sequence[Match],
    rows: NDArray[np.float32],
    decision: ProbabilityModel | None,
    calibration: Calibration,
) -> list[float]:
    if decision is None:
        return [max(finding.score for finding in one.findings) for one in matches]
    return list(calibration(decision(rows)).tolist())


def _contributions(rows: NDArray[np.float32], decision: ProbabilityModel | None) -> list[dict[str, float]]:
    if isinstance(decision, ExplainedModel):
        return decision.contributions(rows)
    return [{} for _ in rows]


def _lesion(found: Match, lesion_id: str, malignancy: float, thresholds: CategoryThresholds) -> Lesion:
    return Lesion(
        lesion_id=lesion_id,
        laterality=found.laterality,
        type=lesion_type(found.findings),
        cc=found.cc and replace(found.cc, lesion_id=lesion_id),
        mlo=found.mlo and replace(found.mlo, lesion_id=lesion_id),
        match_probability=found.probability,
        malignancy=malignancy,
        category=category_of(malignancy, thresholds),
    )
