"""Boosted trees fitted to all exams, and beside them to each part of the patients, so that every exam can be
judged by a model that has not seen it.
"""

# Shapes:  N rows   E exams   F features
from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mammosweep.exam.booster import Booster, fit_booster
from mammosweep.fit.exam_rows import LabelledExam, Rows

__all__ = ["CrossFit", "cross_fit", "patient_folds"]

NUM_FOLDS = 5

ROUNDS = (25, 50, 100, 200)
"""Numbers of trees to choose from, by log loss out of fold."""

# Each tree sees four fifths of the rows, each split half of the columns: among some hundred rows and seventy
# columns, some columns fit by chance.
SAMPLING = {"subsample": 0.8, "colsample_bynode": 0.5}


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossFit:
    """A model of all exams, and one for each fold that was fitted on the other folds alone."""

    model: Booster
    parts: tuple[Booster | None, ...]  # None: the other folds held no rows of both labels
    folds: NDArray[np.int64]  # (E,), the fold of each exam

    def unseen(self, exam: int) -> Booster:
        """The model to judge an exam with: one that has not seen it, where there is one."""
        return self.parts[self.folds[exam]] or self.model

    def out_of_fold(self, rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Probabilities and labels of the rows whose fold has a model."""
        probabilities = np.full(len(rows.labels), np.nan)
        for fold, part in enumerate(self.parts):
            own = self.folds[rows.exams] == fold
            if part is not None and own.any():
                probabilities[own] = part(rows.values[own])
        judged = ~np.isnan(probabilities)
        return probabilities[judged], rows.labels[judged]


def patient_folds(exams: Sequence[LabelledExam], *, seed: int) -> NDArray[np.int64]:
    """The fold of each exam, (E,): a patient's all in one, patients with malignant lesions spread evenly."""
    names = [exam.patient or f"exam {number}" for number, exam in enumerate(exams)]
    affected = {
        name for name, exam in zip(names, exams, strict=True) if any(f.malignant for f in exam.findings)
    }
    patients = sorted(set(names))
    shuffled = [patients[i] for i in np.random.default_rng(seed).permutation(len(patients))]
    dealt = sorted(shuffled, key=lambda name: name not in affected)
    fold = {name: place % NUM_FOLDS for place, name in enumerate(dealt)}
    return np.array([fold[name] for name in names], dtype=np.int64)


def cross_fit(
    rows: Rows,
    features: Sequence[str],
    folds: NDArray[np.int64],
    *,
    seed: int,
    max_depth: int = 3,
    rising: Collection[str] = (),
) -> CrossFit:
    """Fit to all rows, and to the rows of each fold's other exams; out of fold choose the number of trees."""

    def fitted(own: Rows, rounds: int) -> Booster:
        return fit_booster(
            own.values, own.labels, features,
            seed=seed, rounds=rounds, max_depth=max_depth, rising=rising, **SAMPLING,
        )  # fmt: skip

    learned_from = [rows.among(np.flatnonzero(folds != fold).tolist()) for fold in range(NUM_FOLDS)]
    usable = [len(set(own.labels.tolist())) == 2 for own in learned_from]
    longest = [fitted(own, max(ROUNDS)) if ok else None for own, ok in zip(learned_from, usable, strict=True)]
    rounds = _best_rounds(rows, folds, longest)
    return CrossFit(
        model=fitted(rows, rounds),
        parts=tuple(part and part.first(rounds) for part in longest),
        folds=folds,
    )


def _best_rounds(rows: Rows, folds: NDArray[np.int64], longest: Sequence[Booster | None]) -> int:
    """The fewest trees of the least log loss; what suits most data where no fold can be judged."""
    losses = dict.fromkeys(ROUNDS, 0.0)
    for fold, part in enumerate(longest):
        held_out = rows.among(np.flatnonzero(folds == fold).tolist())
        if part is None:
            continue
        for rounds in ROUNDS:
            losses[rounds] += _log_loss(part.first(rounds)(held_out.values), held_out.labels)
    return min(ROUNDS, key=lambda rounds: losses[rounds]) if any(losses.values()) else ROUNDS[1]


def _log_loss(probabilities: NDArray[np.float64], labels: NDArray[np.float32]) -> float:
    right = np.where(labels > 0, probabilities, 1.0 - probabilities)
    return float(-np.log(np.maximum(right, 1e-7)).sum())
