"""The true lesions of the breasts, each followed through both views and through the engine's matching."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mammosweep.evaluate.bootstrap import group_index
from mammosweep.evaluate.froc import Marks
from mammosweep.evaluate.study import EngineLesion, Found, ReadImage, Study
from mammosweep.evaluate.truth import TrueMark
from mammosweep.records import LESION_TYPES, LesionType, Position

__all__ = ["Breast", "BreastLesion", "Sighting", "breast_marks", "breasts"]

BOTH = frozenset(Position)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A true lesion in one view."""

    image: ReadImage
    mark: TrueMark
    found: tuple[Found, ...]  # the findings that hit it, best score first


@dataclass(frozen=True, slots=True, kw_only=True)
class BreastLesion:
    """A true lesion with all its views."""

    exam_id: str
    group: str
    laterality: str
    lesion_id: str
    sightings: tuple[Sighting, ...]

    @property
    def first(self) -> TrueMark:
        """What the table says of it; both views say the same, or the first counts."""
        return self.sightings[0].mark

    @property
    def type(self) -> LesionType:
        """Its type."""
        return self.first.type

    @property
    def engine(self) -> EngineLesion | None:
        """The engine's lesion with the best detector score of those of which a finding hits it."""
        hit = {found.lesion.key: found.lesion for s in self.sightings for found in s.found}
        return max(
            hit.values(), key=lambda lesion: (lesion.score, lesion.malignancy, lesion.key), default=None
        )

    @property
    def size_mm(self) -> float | None:
        """The table's, else the longest side of its boxes."""
        said = [s.mark.size_mm for s in self.sightings if s.mark.size_mm is not None]
        sides = [side for s in self.sightings for side in _sides_mm(s)]
        return max(said or sides, default=None)

    def views(self, *, hit: bool = False) -> frozenset[Position]:
        """The views it is annotated in, or those of them in which a finding hits it."""
        return frozenset(Position(s.image.position) for s in self.sightings if s.found or not hit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breast:
    """A breast of which at least one view is evaluated."""

    exam_id: str
    group: str
    laterality: str
    images: tuple[ReadImage, ...]
    lesions: tuple[BreastLesion, ...]

    @property
    def malignant(self) -> bool | None:
        """Whether it holds a malignant lesion; None where none is known to be and one is not known."""
        return any_malignant([lesion.first.malignant for lesion in self.lesions])


def any_malignant(known: Sequence[bool | None]) -> bool | None:
    """Whether any is malignant; None where that hangs on one that is not known."""
    if any(known):
        return True
    return None if None in known else False


def breasts(study: Study) -> tuple[Breast, ...]:
    """Every breast with an evaluated view, by exam and side."""
    views: dict[tuple[str, str], list[ReadImage]] = defaultdict(list)
    for image in study.images:
        views[image.breast].append(image)
    return tuple(_breast(images) for _, images in sorted(views.items()))


def breast_marks(found: Sequence[Breast]) -> Marks:
    """What `froc_of_marks` needs for the curve per breast, after matching.

    A true lesion is one, however many views show it; it is found at the best score of the engine's lesions of
    which a finding hits it in either view. An engine's lesion has the best detector score of its findings.
    Every finding that hits no lesion is a false mark, at the score of its engine's lesion, so that a wrong
    link costs what it marks; false marks are counted per image, as on the curve by view.
    """
    images = [image for breast in found for image in breast.images]
    lesions = [lesion for breast in found for lesion in breast.lesions]
    numbers = group_index([image.group for image in images])
    number_of = {image.group: number for image, number in zip(images, numbers, strict=True)}
    false = [
        (image.found[row].lesion.score, number_of[image.group], LESION_TYPES.index(image.found[row].type))
        for image in images
        for row in np.flatnonzero(~image.hits.any(axis=1))
    ]
    return Marks(
        image_group=numbers,
        truth_score=np.array([one.engine.score if one.engine else -np.inf for one in lesions], dtype=float),
        truth_group=np.array([number_of[one.group] for one in lesions], dtype=np.intp),
        truth_type=np.array([LESION_TYPES.index(one.type) for one in lesions], dtype=np.intp),
        false_score=np.array([score for score, _, _ in false], dtype=float),
        false_group=np.array([group for _, group, _ in false], dtype=np.intp),
        false_type=np.array([kind for _, _, kind in false], dtype=np.intp),
    )


def _breast(images: Sequence[ReadImage]) -> Breast:
    sightings: dict[str, list[Sighting]] = defaultdict(list)
    for image in images:
        for column, mark in enumerate(image.truths):
            hit = [image.found[row] for row in np.flatnonzero(image.hits[:, column])]
            hit.sort(key=lambda found: -found.score)
            # A lesion without a name is its view's own: row numbers are unique in the table.
            sightings[mark.lesion_id].append(Sighting(image=image, mark=mark, found=tuple(hit)))
    first = images[0]
    return Breast(
        exam_id=first.exam_id,
        group=first.group,
        laterality=first.laterality,
        images=tuple(images),
        lesions=tuple(
            BreastLesion(
                exam_id=first.exam_id,
                group=first.group,
                laterality=first.laterality,
                lesion_id=lesion_id,
                sightings=tuple(found),
            )
            for lesion_id, found in sorted(sightings.items())
        ),
    )


def _sides_mm(sighting: Sighting) -> tuple[float, ...]:
    spacing, (x1, y1, x2, y2) = sighting.image.spacing_mm, sighting.mark.box_px
    return ((y2 - y1) * spacing[0], (x2 - x1) * spacing[1]) if spacing else ()
