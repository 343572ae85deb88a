"""Fits support-vector machines: the only file that imports scikit-learn, and only while it fits."""

# Shapes:  N rows   F features
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mammosweep.lesion.calcification.folds import group_folds
from mammosweep.lesion.calcification.support_vectors import SupportVectors, standardised

__all__ = ["fit_support_vectors"]

FloatArray = NDArray[np.float64]

COST = 1.0

INNER_FOLDS = 5

NEWTON_STEPS = 50


def fit_support_vectors(
    rows: NDArray[np.float32],
    labels: NDArray[np.bool_],
    groups: Sequence[str],
    features: Sequence[str],
    *,
    seed: int,
) -> SupportVectors:
    """Fit a machine with a radial kernel; the same rows and seed give the same machine.

    Its cost is 1 and its gamma 1 / F on standardised features, scikit-learn's defaults. The sigmoid is fitted
    to decisions on rows whose group the machine had not seen, as Platt advises.

    Args:
        rows: (N, F), NaN where a value is unknown.
        labels: (N,) of both classes.
        groups: N names, of patients or exams, that folds keep together.
        features: the F columns' names; they are stored in the model.
        seed: of the folds.
    """
    labels = np.asarray(labels, dtype=np.bool_)
    unseen = np.full(len(labels), np.nan)
    for held_out in group_folds(groups, labels, INNER_FOLDS, seed):
        if len(set(labels[~held_out].tolist())) == 2:
            part = _fit(rows[~held_out], labels[~held_out], features)
            unseen[held_out] = part.decisions(rows[held_out])
    whole = _fit(rows, labels, features)
    if np.isnan(unseen).any():  # too few groups to hold any out
        unseen = whole.decisions(rows)
    return _fit(rows, labels, features, platt=fit_platt(unseen, labels))


def _fit(
    rows: NDArray[np.float32],
    labels: NDArray[np.bool_],
    features: Sequence[str],
    platt: tuple[float, float] = (-1.0, 0.0),
) -> SupportVectors:
    from sklearn.svm import SVC

    table = rows.astype(np.float64)
    known = np.isfinite(table)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, table, 0).sum(axis=0) / count
    std = np.sqrt(np.where(known, (table - mean) ** 2, 0).sum(axis=0) / count)
    scale = np.where(std > 0, std, 1.0)
    gamma = 1 / len(features)
    machine = SVC(C=COST, kernel="rbf", gamma=gamma)
    machine.fit(standardised(rows, mean, scale), labels)
    return SupportVectors(
        features=tuple(features),
        mean=mean,
        scale=scale,
        vectors=np.asarray(machine.support_vectors_),
        coefficients=np.asarray(machine.dual_coef_[0]),
        gamma=gamma,
        intercept=float(machine.intercept_[0]),
        platt=platt,
    )


def fit_platt(decisions: FloatArray, labels: NDArray[np.bool_]) -> tuple[float, float]:
    """A and b of 1 / (1 + exp(a * decision + b)), by Newton's method with regularised targets.

    Targets and starting point of Platt 1999; the damped step of Lin, Lin and Weng 2007, "A note on Platt's
    probabilistic outputs for support vector machines", Mach Learn 68:267-276.
    """
    positive = int(np.count_nonzero(labels))
    negative = len(labels) - positive
    targets = np.where(labels, (positive + 1) / (positive + 2), 1 / (negative + 2))
    design = np.stack([decisions, np.ones(len(decisions))], axis=1)
    weights = np.array([0.0, np.log((negative + 1) / (positive + 1))])
    for _ in range(NEWTON_STEPS):
        p = 1 / (1 + np.exp(design @ weights))
        slope = design.T @ (targets - p)
        curvature = (design * (p * (1 - p))[:, None]).T @ design + 1e-12 * np.eye(2)
        step = np.linalg.solve(curvature, slope)
        share = _damped(design, targets, weights, step)
        weights = weights - share * step
        if np.abs(share * step).max() < 1e-10:
            break
    a, b = weights.tolist()
    return a, b


def _damped(design: FloatArray, targets: FloatArray, weights: FloatArray, step: FloatArray) -> float:
    """The largest of 1, 1/2, 1/4... of a step that does not raise the loss; 0 where none does."""
    loss = _loss(design @ weights, targets)
    shares = (0.5**k for k in range(30))
    return next((s for s in shares if _loss(design @ (weights - s * step), targets) <= loss), 0.0)


def _loss(exponents: FloatArray, targets: FloatArray) -> float:
    """Cross-entropy of 1 / (1 + exp(exponent)) with the targets."""
    return float((np.logaddexp(0, exponents) - (1 - targets) * exponents).sum())
