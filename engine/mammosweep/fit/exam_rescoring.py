"""Fit what moves findings' scores, and move those of annotated exams by models that have not seen them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mammosweep.errors import ConfigError
from mammosweep.exam.match import Match
from mammosweep.exam.rescore import FINDING_FEATURES, Rescoring, finding_rows
from mammosweep.fit.exam_folds import CrossFit, cross_fit
from mammosweep.fit.exam_rows import LabelledExam, Rows
from mammosweep.records import Finding

__all__ = ["FittedRescoring", "fit_rescoring"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedRescoring:
    """What moves scores, and the exams that it was fitted on, moved by models that have not seen them."""

    rescoring: Rescoring
    exams: tuple[LabelledExam, ...]
    matches: tuple[tuple[Match, ...], ...]


def fit_rescoring(
    exams: Sequence[LabelledExam],
    matches: Sequence[Sequence[Match]],
    matcher: CrossFit,
    folds: NDArray[np.int64],
    *,
    weight: float,
    seed: int = 0,
) -> FittedRescoring:
    """Fit the model that tells lesions from other findings.

    Args:
        exams: with the truth.
        matches: of each exam's findings, the very objects.
        matcher: each exam is described by one that has not seen it.
        folds: of each exam, (E,), see `patient_folds`.
        weight: of the model's log-odds beside the detector's.
        seed: of the trees.

    Raises:
        ConfigError: no finding is a lesion, or every one is.
    """
    rows = _rows(exams, matcher)
    if len(set(rows.labels.tolist())) < 2:
        raise ConfigError(
            "moving scores needs findings that are lesions and findings that are none; found only one kind: "
            "give more annotated exams, or set exam.rescore_weight to 0"
        )
    fitted = cross_fit(rows, FINDING_FEATURES, folds, seed=seed)
    moved = [
        Rescoring(model=fitted.unseen(i), weight=weight)(own, matcher.unseen(i))
        for i, own in enumerate(matches)
    ]
    return FittedRescoring(
        rescoring=Rescoring(model=fitted.model, weight=weight),
        exams=tuple(_with(exam, old, new) for exam, old, new in zip(exams, matches, moved, strict=True)),
        matches=tuple(map(tuple, moved)),
    )


def _rows(exams: Sequence[LabelledExam], matcher: CrossFit) -> Rows:
    values, labels, numbers = [np.zeros((0, len(FINDING_FEATURES)), np.float32)], [], []
    for number, exam in enumerate(exams):
        values.append(finding_rows([one.finding for one in exam.findings], matcher.unseen(number)))
        labels += [float(one.truth_lesion_id is not None) for one in exam.findings]
        numbers += [number] * len(exam.findings)
    return Rows(np.concatenate(values), np.array(labels, np.float32), np.array(numbers, np.int64))


def _with(exam: LabelledExam, old: Sequence[Match], new: Sequence[Match]) -> LabelledExam:
    """The same exam with the findings of its new matches."""
    moved: dict[int, Finding] = {
        id(before): after
        for one, other in zip(old, new, strict=True)
        for before, after in zip(one.findings, other.findings, strict=True)
    }
    return replace(
        exam, findings=tuple(replace(one, finding=moved[id(one.finding)]) for one in exam.findings)
    )
