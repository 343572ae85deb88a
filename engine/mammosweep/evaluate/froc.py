"""Free-response ROC: the share of lesions found at a given number of false positives per image."""

# Shapes:  I images   T truths   K detections of an image   F false positives   G groups   R rates
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammosweep.evaluate.bootstrap import draw_groups, group_index, interval
from mammosweep.evaluate.boxes import hits
from mammosweep.records import LESION_TYPES, LesionType

__all__ = [
    "RATES",
    "Froc",
    "FrocCurve",
    "FrocPoint",
    "ImageDetections",
    "ImageTruth",
    "Marks",
    "froc",
    "froc_of_marks",
]

RATES: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)
"""False positives per image at which sensitivity is given."""

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDetections:
    """What the detector marked in one image."""

    boxes_px: ArrayLike  # (K, 4) xyxy
    scores: Sequence[float]  # (K,)
    types: Sequence[LesionType]  # (K,)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageTruth:
    """What is in one image; without boxes, an image in which every mark is false."""

    group: str  # the patient or exam it belongs to: images of one group are resampled together
    boxes_px: ArrayLike  # (T, 4) xyxy
    types: Sequence[LesionType]  # (T,)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrocPoint:
    """Sensitivity at one operating point."""

    false_positives_per_image: float  # the most that were allowed
    score_above: float  # detections scoring above this count; -inf: all do
    sensitivity: float  # 0..1; NaN: there is no lesion to find
    low: float  # ends of the 95 % bootstrap interval; NaN where no sample held a lesion
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FrocCurve:
    """Sensitivity at each of the rates asked for."""

    num_images: int
    num_lesions: int
    points: tuple[FrocPoint, ...]

    def at(self, rate: float) -> FrocPoint:
        """The point at that many false positives per image.

        Raises:
            KeyError: that rate was not asked for.
        """
        points = {point.false_positives_per_image: point for point in self.points}
        return points[rate]


@dataclass(frozen=True, slots=True, kw_only=True)
class Froc:
    """The curve over all lesions, and one for each type that occurs."""

    overall: FrocCurve
    by_type: dict[LesionType, FrocCurve]


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """All that the curves need, over all images. Groups are numbered from 0, types as in LESION_TYPES."""

    image_group: IndexArray  # (I,)
    truth_score: FloatArray  # (T,) best score of a detection that hits it; -inf: missed
    truth_group: IndexArray  # (T,)
    truth_type: IndexArray  # (T,)
    false_score: FloatArray  # (F,)
    false_group: IndexArray  # (F,)
    false_type: IndexArray  # (F,)


def froc(
    detections: Sequence[ImageDetections],
    truths: Sequence[ImageTruth],
    *,
    iou: float | None = None,
    type_aware: bool = False,
    rates: Sequence[float] = RATES,
    num_bootstraps: int = 1000,
    seed: int = 0,
) -> Froc:
    """Compare detections with the truth, image by image.

    A lesion counts with the best detection that hits it. A detection that hits a lesion is never a false
    positive, nor is a second one on the same lesion. Where several false positives share a score, they
    count together or not at all.

    Args:
        detections: one entry per image.
        truths: of the same images in the same order.
        iou: None: a detection hits where its centre lies in the lesion's box, edges included. A number:
            where the boxes' intersection over union is at least that.
        type_aware: whether a hit must also name the lesion's type. If not, the curves by type share the
            false positives of all types; if so, each type has its own.
        rates: false positives per image at which sensitivity is given.
        num_bootstraps: samples behind the 95 % interval, drawn by group with replacement.
        seed: of the bootstrap.

    Raises:
        ValueError: there is no image, or the two lists differ in length.
    """
    if not truths or len(detections) != len(truths):
        raise ValueError(
            f"{len(detections)} images with detections and {len(truths)} with truth; "
            "expected one of each for every image, and at least one image"
        )
    marks = _collect(detections, truths, iou, type_aware)
    samples = _samples(marks, num_bootstraps, seed)
    occurring = [i for i in range(len(LESION_TYPES)) if (marks.truth_type == i).any()]
    return Froc(
        overall=_curve(marks, samples, rates),
        by_type={LESION_TYPES[i]: _curve(_of_type(marks, i, type_aware), samples, rates) for i in occurring},
    )


def froc_of_marks(
    marks: Marks, *, rates: Sequence[float] = RATES, num_bootstraps: int = 1000, seed: int = 0
) -> FrocCurve:
    """The curve of marks that were compared with the truth already, e.g. breast by breast."""
    return _curve(marks, _samples(marks, num_bootstraps, seed), rates)


def _collect(
    detections: Sequence[ImageDetections], truths: Sequence[ImageTruth], iou: float | None, type_aware: bool
) -> Marks:
    image_group = group_index([truth.group for truth in truths])
    truth_score, truth_type, truth_image = [], [], []
    false_score, false_type, false_image = [], [], []
    for image, (found, truth) in enumerate(zip(detections, truths, strict=True)):
        matched = _matched(found, truth, iou, type_aware)
        scores = np.asarray(found.scores, dtype=np.float64)
        truth_score.append(np.where(matched, scores[:, None], -np.inf).max(axis=0, initial=-np.inf))
        truth_type.append(_type_index(truth.types))
        truth_image.append(np.full(len(truth.types), image))
        missed = ~matched.any(axis=1)
        false_score.append(scores[missed])
        false_type.append(_type_index(found.types)[missed])
        false_image.append(np.full(int(missed.sum()), image))
    return Marks(
        image_group=image_group,
        truth_score=np.concatenate(truth_score),
        truth_group=image_group[np.concatenate(truth_image)],
        truth_type=np.concatenate(truth_type),
        false_score=np.concatenate(false_score),
        false_group=image_group[np.concatenate(false_image)],
        false_type=np.concatenate(false_type),
    )


def _matched(
    found: ImageDetections, truth: ImageTruth, iou: float | None, type_aware: bool
) -> NDArray[np.bool_]:
    """Which detection hits which lesion: (K, T)."""
    matched = hits(found.boxes_px, truth.boxes_px, iou)
    if type_aware:
        matched &= _type_index(found.types)[:, None] == _type_index(truth.types)[None, :]
    return matched


def _type_index(types: Sequence[LesionType]) -> IndexArray:
    return np.array([LESION_TYPES.index(kind) for kind in types], dtype=np.intp)


def _of_type(marks: Marks, index: int, type_aware: bool) -> Marks:
    truth = marks.truth_type == index
    false = (marks.false_type == index) | (not type_aware)
    return Marks(
        image_group=marks.image_group,
        truth_score=marks.truth_score[truth],
        truth_group=marks.truth_group[truth],
        truth_type=marks.truth_type[truth],
        false_score=marks.false_score[false],
        false_group=marks.false_group[false],
        false_type=marks.false_type[false],
    )


def _samples(marks: Marks, num_bootstraps: int, seed: int) -> IndexArray:
    return draw_groups(int(marks.image_group.max()) + 1, num_bootstraps, seed)


def _curve(marks: Marks, samples: IndexArray, rates: Sequence[float]) -> FrocCurve:
    order = np.argsort(-marks.false_score, kind="stable")
    falling, group = marks.false_score[order], marks.false_group[order]
    last_of_tie = np.append(falling[1:] < falling[:-1], True)[: len(falling)]
    steps = np.append(falling[last_of_tie], -np.inf)
    limits, sensitivities = [], []
    for sample in samples:
        allowed = np.asarray(rates) * sample[marks.image_group].sum()
        count = np.cumsum(sample[group])[last_of_tie]
        # The first score whose false positives are too many is the one to stay above.
        limits.append(steps[np.searchsorted(count, allowed, side="right")])
        sensitivities.append(_sensitivity(marks, sample, limits[-1]))
    return FrocCurve(
        num_images=len(marks.image_group),
        num_lesions=len(marks.truth_score),
        points=tuple(
            FrocPoint(
                false_positives_per_image=rate,
                score_above=float(limits[0][i]),
                sensitivity=float(sensitivities[0][i]),
                low=low,
                high=high,
            )
            for i, rate in enumerate(rates)
            for low, high in [interval([s[i] for s in sensitivities[1:]])]
        ),
    )


def _sensitivity(marks: Marks, sample: IndexArray, limits: FloatArray) -> FloatArray:
    """Share of the sample's lesions that score above each limit: (R,)."""
    weights = sample[marks.truth_group].astype(np.float64)
    if not weights.any():
        return np.full(len(limits), np.nan)
    share: FloatArray = weights @ (marks.truth_score[:, None] > limits) / weights.sum()
    return share
