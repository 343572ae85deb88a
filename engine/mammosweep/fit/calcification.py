"""Malignant or benign by the measurements of calcifications alone: trees and support vectors, compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mammosweep.exam.booster import fit_booster
from mammosweep.fit.exam_rows import LabelledExam
from mammosweep.lesion.calcification.classify import (
    Characteriser,
    Comparison,
    compare_characterisers,
    feature_rows,
    fit_characterisers,
)

__all__ = ["FittedCalcification", "fit_calcification"]

LEAST_OF_EACH = 15
"""Malignant findings, and benign ones, below which five folds say nothing."""


@dataclass(frozen=True, slots=True)
class FittedCalcification:
    """Both kinds of model on each set of features, and how they did on patients they had not seen."""

    models: tuple[Characteriser, ...]
    comparisons: tuple[Comparison, ...]


def fit_calcification(exams: Sequence[LabelledExam], *, seed: int = 0) -> FittedCalcification | None:
    """Fit to every measured finding whose nature is known; None where there are too few."""
    known = [
        (one.finding.calcification, one.malignant, exam.patient or str(number))
        for number, exam in enumerate(exams)
        for one in exam.findings
        if one.finding.calcification and one.malignant is not None
    ]
    labels = np.array([malignant for _, malignant, _ in known], dtype=np.bool_)
    if min(labels.sum(), (~labels).sum()) < LEAST_OF_EACH:
        return None
    rows, groups = feature_rows(measured for measured, _, _ in known), [group for _, _, group in known]
    return FittedCalcification(
        models=fit_characterisers(rows, labels, groups, fit_trees=fit_booster, seed=seed),
        comparisons=compare_characterisers(rows, labels, groups, fit_trees=fit_booster, seed=seed),
    )
