"""Detectors on the same images: their figures, and how far two are apart, with a paired bootstrap."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mammosweep.evaluate.froc import FrocCurve, ImageDetections, ImageTruth, froc

__all__ = ["MEASURES", "Apart", "apart", "figures"]

NUM_BOOTSTRAPS = 1000
SEED = 0
INTERVAL = (2.5, 97.5)  # ends, percent

FloatArray = NDArray[np.float64]

MEASURES: dict[str, Callable[[FrocCurve], float]] = {
    "sensitivity-at-1": lambda curve: curve.at(1.0).sensitivity,
    # Competition performance metric (Niemeijer et al. 2011), over the rates of evaluate/froc.py.
    "mean-sensitivity": lambda curve: float(np.mean([point.sensitivity for point in curve.points])),
}


@dataclass(frozen=True, slots=True)
class Apart:
    """The other's figure minus the one's, and the ends of its 95 % interval."""

    difference: float
    low: float
    high: float


def figures(
    detections: Sequence[ImageDetections],
    truths: Sequence[ImageTruth],
    num_bootstraps: int = NUM_BOOTSTRAPS,
) -> dict[str, FloatArray]:
    """By measure (1 + num_bootstraps,): of the images as they are, then of drawn ones.

    Groups (patients) are drawn with replacement; for the same truths always the same ones, so that figures of
    two detectors are pairs.
    """
    groups = _groups(truths)
    rng = np.random.default_rng(SEED)
    every = [list(range(len(truths)))]
    for _ in range(num_bootstraps):
        every.append([i for g in rng.integers(len(groups), size=len(groups)) for i in groups[g]])
    curves = [
        froc([detections[i] for i in images], [truths[i] for i in images], num_bootstraps=0).overall
        for images in every
    ]
    return {name: np.asarray([measure(curve) for curve in curves]) for name, measure in MEASURES.items()}


def apart(one: FloatArray, other: FloatArray) -> Apart:
    """Of two detectors' figures under one measure."""
    differences = other - one
    drawn = differences[1:]
    low, high = np.percentile(drawn[~np.isnan(drawn)], INTERVAL)
    return Apart(float(differences[0]), float(low), float(high))


def _groups(truths: Sequence[ImageTruth]) -> list[list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for i, truth in enumerate(truths):
        groups[truth.group].append(i)
    return list(groups.values())
