"""From lesions to the scores of the breasts and of the exam, and to BI-RADS-like categories."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from statistics import fmean

from mammosweep.errors import BundleError
from mammosweep.exam.breast import breast_features, view_score
from mammosweep.exam.model import ProbabilityModel
from mammosweep.records import Lesion, Position

__all__ = [
    "BI_RADS_THRESHOLDS",
    "CATEGORIES",
    "NO_LESION_CATEGORY",
    "Aggregation",
    "CategoryThresholds",
    "benign_score",
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
    VIEW_MAX_BREAST_MEAN = "view_max_breast_mean"  # each view's most malignant lesion, mean over the views
    LEARNED = "learned"  # the bundle's model of breasts says, see `breast.py`

    @classmethod
    def _missing_(cls, value: object) -> Aggregation | None:
        # What bundles said before 2026-11.
        return cls.VIEW_MAX_BREAST_MEAN if value == "view_mean" else None


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
    lesions: Sequence[Lesion],
    positions: Collection[Position],
    aggregation: Aggregation,
    model: ProbabilityModel | None = None,
) -> float | None:
    """Score one breast in [0, 1]: how suspicious it is.

    Args:
        lesions: the breast's, most malignant first.
        positions: the views of it that were read; a view without lesions counts as 0.
        aggregation: how the lesions' malignancies are put together.
        model: where the aggregation is learned, gives rows of `BREAST_FEATURES` the probability that the
            breast holds a malignant lesion.

    Returns:
        None where no view of the breast was read: not seen is not the same as clean. 0 where nothing was
        found in it.
    """
    if not positions:
        return None
    if not lesions:
        return 0.0
    if aggregation is Aggregation.LEARNED and model is not None:
        return float(model(breast_features(lesions, positions)[None]).item())
    if aggregation is Aggregation.VIEW_MAX_BREAST_MEAN:
        return fmean(view_score(lesions, position) for position in sorted(set(positions)))
    return max(lesion.malignancy for lesion in lesions)


def benign_score(lesions: Sequence[Lesion], positions: Collection[Position]) -> float | None:
    """The probability that one breast holds a benign lesion, as far as its surest one says.

    The largest, over the breast's lesions, of the detector's best score (something is there) times one less
    the malignancy (and it is not malignant). It is no complement of `breast_score`: a breast may hold lesions
    of both kinds, or of none.

    Returns:
        None where no view of the breast was read, 0 where nothing was found in it.
    """
    if not positions:
        return None
    return max((_benign(lesion) for lesion in lesions), default=0.0)


def _benign(lesion: Lesion) -> float:
    return max(finding.score for finding in lesion.findings) * (1.0 - lesion.malignancy)


def exam_score(left: float | None, right: float | None) -> float:
    """Score the exam: the larger of the scores of the breasts that were read.

    Raises:
        ValueError: neither breast was read; such an exam is not scored at all.
    """
    read = [score for score in (left, right) if score is not None]
    if not read:
        raise ValueError("no view of either breast was read; an exam without views cannot be scored")
    return max(read)
