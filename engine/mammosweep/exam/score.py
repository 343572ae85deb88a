"""From lesions to the scores of the breasts and of the exam, and to BI-RADS-like categories."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from statistics import fmean

from mammosweep.errors import BundleError
from mammosweep.records import Lesion, Position

__all__ = [
    "BI_RADS_THRESHOLDS",
    "CATEGORIES",
    "NO_LESION_CATEGORY",
    "Aggregation",
    "CategoryThresholds",
    "breast_score",
    "category_of",
    "exam_category",
    "exam_score",
]

NO_LESION_CATEGORY = "1"

CATEGORIES: tuple[str, ...] = ("2", "3", "4A", "4B", "4C", "5")
"""Categories of a lesion, and of an exam that has one, from benign to malignant."""


class Aggregation(StrEnum):
    """How lesions' malignancies make a breast's score; the exam's is the larger of its breasts'."""

    MAX = "max"  # the breast's most malignant lesion
    VIEW_MEAN = "view_mean"  # the most malignant lesion seen in each view, averaged over the breast's views


@dataclass(frozen=True, slots=True)
class CategoryThresholds:
    """The malignancies from which the categories 3, 4A, 4B, 4C and 5 begin; below the first it is 2."""

    lower_bounds: tuple[float, ...]

    def __post_init__(self) -> None:
        bounds = self.lower_bounds
        steps = (0.0, *bounds, 1.0)
        ascending = all(low < high for low, high in pairwise(steps))
        if len(bounds) != len(CATEGORIES) - 1 or not ascending:
            raise BundleError(
                f"category thresholds are {bounds}; expected {len(CATEGORIES) - 1} rising numbers between "
                f"0 and 1, where the categories {', '.join(CATEGORIES[1:])} begin; correct the bundle"
            )


BI_RADS_THRESHOLDS = CategoryThresholds((0.005, 0.02, 0.10, 0.50, 0.95))
"""Likelihoods of cancer that ACR BI-RADS (5th edition, table 3) gives its categories: 3 up to 2 %, 4A up to
10 %, 4B up to 50 %, 4C below 95 %, 5 from 95 %. For 2 it says "essentially 0 %"; 0.5 % stands for that. They
mean what they say only as far as a bundle's malignancies are calibrated on its population."""


def category_of(score: float, thresholds: CategoryThresholds) -> str:
    """Name the category of a malignancy or score in [0, 1]; a bound belongs to the category it begins."""
    return CATEGORIES[bisect_right(thresholds.lower_bounds, score)]


def exam_category(score: float, lesions: Sequence[Lesion], thresholds: CategoryThresholds) -> str:
    """Name the category of an exam: "1" where nothing was found, else its score's."""
    return category_of(score, thresholds) if lesions else NO_LESION_CATEGORY


def breast_score(
    lesions: Sequence[Lesion], positions: Collection[Position], aggregation: Aggregation
) -> float | None:
    """Score one breast in [0, 1].

    Args:
        lesions: the breast's.
        positions: the views of it that were read; a view without lesions counts as 0.
        aggregation: how the lesions' malignancies are put together.

    Returns:
        None where no view of the breast was read: not seen is not the same as clean.
    """
    if not positions:
        return None
    if aggregation is Aggregation.VIEW_MEAN:
        return fmean(_view_score(lesions, position) for position in sorted(set(positions)))
    return max((lesion.malignancy for lesion in lesions), default=0.0)


def exam_score(left: float | None, right: float | None) -> float:
    """Score the exam: the larger of the scores of the breasts that were read.

    Raises:
        ValueError: neither breast was read; such an exam is not scored at all.
    """
    read = [score for score in (left, right) if score is not None]
    if not read:
        raise ValueError("no view of either breast was read; an exam without views cannot be scored")
    return max(read)


def _view_score(lesions: Sequence[Lesion], position: Position) -> float:
    seen = [lesion for lesion in lesions if any(f.position is position for f in lesion.findings)]
    return max((lesion.malignancy for lesion in seen), default=0.0)
