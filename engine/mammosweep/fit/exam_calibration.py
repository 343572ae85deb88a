"""From out-of-fold probabilities to ones that mean what they say, and to where each category begins."""

# Shapes:  N lesions
from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mammosweep.exam.calibrate import Calibration, logits
from mammosweep.exam.score import BI_RADS_THRESHOLDS, CategoryThresholds

__all__ = ["fit_calibration", "fit_category_thresholds"]

# A model that orders lesions the wrong way round has learned nothing; its order is kept, barely.
LEAST_SLOPE = 0.01

NEWTON_STEPS = 50

# With n lesions none of which is malignant, the rate's 95 % bound is 3/n (Hanley and Lippman-Hand 1983, "If
# nothing goes wrong, is everything all right?"): a rate b takes at least 3/b lesions to be told from 0.
RULE_OF_THREE = 3.0


def fit_calibration(probabilities: NDArray[np.float64], labels: NDArray[np.float32]) -> Calibration:
    """Fit Platt's line to (N,) out-of-fold probabilities and labels, by Newton's method.

    Targets are Platt's: (n1 + 1) / (n1 + 2) for malignant, 1 / (n0 + 2) for others, so that a perfect order
    does not give certainties (Platt 1999; Lin, Lin and Weng 2007, "A note on Platt's probabilistic outputs").

    Returns:
        The identity where one of the two kinds is missing.
    """
    malignant = int(labels.sum())
    if not 0 < malignant < len(labels):
        return Calibration()
    targets = np.where(labels > 0, (malignant + 1) / (malignant + 2), 1 / (len(labels) - malignant + 2))
    design = np.stack([logits(probabilities), np.ones(len(labels))], axis=1)
    line = _logistic_regression(design, targets)
    if line[0] >= LEAST_SLOPE:
        return Calibration(float(line[0]), float(line[1]))
    flat = _logistic_regression(design[:, 1:], targets)
    return Calibration(LEAST_SLOPE, float(flat[0] - LEAST_SLOPE * design[:, 0].mean()))


def _logistic_regression(design: NDArray[np.float64], targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coefficients (C,) of least log loss for rows (N, C) and targets (N,) strictly between 0 and 1."""
    coefficients = np.zeros(design.shape[1])
    loss = _log_loss(design @ coefficients, targets)
    for _ in range(NEWTON_STEPS):
        fitted = 1.0 / (1.0 + np.exp(-design @ coefficients))
        curvature = design.T @ (design * (fitted * (1.0 - fitted))[:, None])
        step = np.linalg.solve(curvature + 1e-9 * np.eye(len(coefficients)), design.T @ (targets - fitted))
        while _log_loss(design @ (coefficients + step), targets) > loss and np.abs(step).max() > 1e-9:
            step = step / 2.0
        coefficients = coefficients + step
        loss = _log_loss(design @ coefficients, targets)
        if np.abs(step).max() < 1e-9:
            break
    return coefficients


def _log_loss(odds: NDArray[np.float64], targets: NDArray[np.float64]) -> float:
    return float((np.logaddexp(0.0, odds) - targets * odds).sum())


def fit_category_thresholds(
    malignancies: NDArray[np.float64], labels: NDArray[np.float32]
) -> CategoryThresholds:
    """Choose where the categories begin, so that each holds as many malignant lesions as ACR BI-RADS says.

    A category begins at the least malignancy from which on the observed rate, made rising by pooling adjacent
    violators (Ayer et al. 1955), reaches the category's likelihood. A bound for which there are too few
    lesions below or above to tell its rate stays at that likelihood itself, which is right where the
    malignancies are calibrated. So do all bounds where two would fall together, as with a perfect order.

    Args:
        malignancies: (N,), calibrated, out of fold.
        labels: (N,), 1: malignant.
    """
    order = np.argsort(malignancies, kind="stable")
    rising, rates = malignancies[order], _pooled(labels[order].astype(np.float64))
    bounds = [_bound(rising, rates, likelihood) for likelihood in BI_RADS_THRESHOLDS.lower_bounds]
    if all(low < high for low, high in pairwise((0.0, *bounds, 1.0))):
        return CategoryThresholds(tuple(bounds))
    return BI_RADS_THRESHOLDS


def _bound(rising: NDArray[np.float64], rates: NDArray[np.float64], likelihood: float) -> float:
    below = int(np.searchsorted(rates, likelihood))
    above = len(rates) - below
    if below * likelihood < RULE_OF_THREE or above * (1.0 - likelihood) < RULE_OF_THREE:
        return likelihood
    return float((rising[below - 1] + rising[below]) / 2.0)


def _pooled(labels: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rising sequence nearest to (N,) labels in the least squares sense."""
    blocks: list[tuple[float, int]] = []
    for label in labels.tolist():
        rate, size = label, 1
        while blocks and blocks[-1][0] >= rate:
            earlier, number = blocks.pop()
            rate, size = (earlier * number + rate * size) / (number + size), number + size
        blocks.append((rate, size))
    return np.repeat([rate for rate, _ in blocks], [size for _, size in blocks])
