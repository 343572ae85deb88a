"""An exam: two breasts, their lesions, four views with truth."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from mammosweep.phantom.anatomy import Breast, Density, Plane, make_breasts, project
from mammosweep.phantom.draw import Box, Patch, draw_lesion
from mammosweep.phantom.film import develop
from mammosweep.phantom.lesions import PhantomLesion, make_lesions, quadrant_of
from mammosweep.phantom.settings import PhantomConfig
from mammosweep.phantom.streams import random_stream, uid_from
from mammosweep.phantom.tissue import tissue
from mammosweep.records import SLOTS, Laterality, LesionType, Position

__all__ = ["ExamPlan", "LesionTruth", "PhantomExam", "PhantomView", "make_exam", "plan_exam"]

FIRST_STUDY_DATE = date(2020, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionTruth:
    """One lesion in one view."""

    lesion: PhantomLesion
    box_px: Box  # xyxy, stored pixels, tight around what is seen
    quadrant: str  # see `quadrant_of`
    depth: float  # 0 nipple, 1 chest wall (CC) or pectoral (MLO), along the nipple's level
    num_calcifications: int | None = None  # that were planted; the projection may lay one over another
    calcification_mm: float | None = None  # their mean diameter, each as the disc of its area


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomView:
    """One image as it is stored: a left breast's chest wall at the left edge, a right one's at the right."""

    laterality: Laterality
    position: Position
    sop_instance_uid: str
    pixels: NDArray[np.uint16] = field(repr=False)  # (rows, columns)
    truths: tuple[LesionTruth, ...]
    nipple_px: tuple[float, float]  # x, y

    @property
    def chest_wall(self) -> str:
        """Give the image's edge at which the chest wall lies: "left" or "right"."""
        return "left" if self.laterality is Laterality.LEFT else "right"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomExam:
    """Four views of one synthetic patient, in SLOTS order."""

    exam_id: str  # Study Instance UID
    patient_id: str
    study_date: date
    density: Density
    lesions: tuple[PhantomLesion, ...]
    views: tuple[PhantomView, ...]
    seed: int
    index: int
    config: PhantomConfig

    def is_malignant(self, laterality: Laterality) -> bool:
        """Whether a breast holds a malignant lesion."""
        return any(lesion.malignant for lesion in self.lesions if lesion.laterality is laterality)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamPlan:
    """Everything about an exam but its pixels."""

    seed: int
    index: int
    config: PhantomConfig
    breasts: dict[Laterality, Breast]
    planes: dict[Laterality, dict[Position, Plane]]
    lesions: tuple[PhantomLesion, ...]


def plan_exam(seed: int, index: int, config: PhantomConfig) -> ExamPlan:
    """Decide on the breasts and lesions of exam ``index``, without drawing them."""
    breasts = {breast.laterality: breast for breast in make_breasts(seed, index)}
    planes = {side: {p: project(breast, p, config) for p in Position} for side, breast in breasts.items()}
    lesions = make_lesions(seed, index, config.lesion_rate, breasts, planes)
    return ExamPlan(seed=seed, index=index, config=config, breasts=breasts, planes=planes, lesions=lesions)


def make_exam(seed: int, index: int, config: PhantomConfig) -> PhantomExam:
    """Make exam ``index`` of a series: a pure function of its arguments.

    Exams made with another ``lesion_rate`` differ in their lesions and identifiers only.
    """
    plan = plan_exam(seed, index, config)
    views = tuple(_view(plan, side, position) for side, position in SLOTS)
    return PhantomExam(
        exam_id=uid_from("study", seed, index, config),
        patient_id=f"{config.patient_prefix}-{seed}-{index}",
        study_date=FIRST_STUDY_DATE + timedelta(days=index % 1461),
        density=plan.breasts[Laterality.LEFT].density,
        lesions=plan.lesions,
        views=views,
        seed=seed,
        index=index,
        config=config,
    )


def _view(plan: ExamPlan, side: Laterality, position: Position) -> PhantomView:
    key, name = (plan.seed, plan.index), f"{side}{position}"
    breast, plane = plan.breasts[side], plan.planes[side][position]
    patches = {lesion: _draw(plan, lesion, plane) for lesion in plan.lesions if lesion.laterality is side}
    background = tissue(*key, breast, plane)
    rng = random_stream(*key, "film", name)
    return PhantomView(
        laterality=side,
        position=position,
        sop_instance_uid=uid_from("instance", *key, plan.config, name),
        pixels=develop(rng, background, list(patches.values()), side, plane, plan.config),
        truths=tuple(_truth(lesion, patch, plane, breast, plan.config) for lesion, patch in patches.items()),
        nipple_px=_nipple(plane, side, plan.config),
    )


def _draw(plan: ExamPlan, lesion: PhantomLesion, plane: Plane) -> Patch:
    # A cluster's particles are the same ones in both views; other lesions look different from the side.
    view = () if lesion.type is LesionType.CALCIFICATION else (plane.position,)
    rng = random_stream(plan.seed, plan.index, "lesion", lesion.lesion_id, *view)
    centre = plane.place(*lesion.place_mm)
    return draw_lesion(rng, lesion, plane.position, centre, plan.config.spacing_mm)


def _truth(
    lesion: PhantomLesion, patch: Patch, plane: Plane, breast: Breast, config: PhantomConfig
) -> LesionTruth:
    rows, columns = config.size_px
    x1, y1, x2, y2 = np.clip(patch.box_px, 0, [columns, rows, columns, rows]).tolist()
    if breast.laterality is Laterality.RIGHT:
        x1, x2 = columns - x2, columns - x1
    return LesionTruth(
        lesion=lesion,
        box_px=(x1, y1, x2, y2),
        quadrant=quadrant_of(plane, lesion),
        depth=1.0 - lesion.depth_mm / breast.depth_mm,
        num_calcifications=len(patch.particles) or None,
        calcification_mm=_mean_diameter_mm(patch),
    )


def _mean_diameter_mm(patch: Patch) -> float | None:
    if not patch.particles:
        return None
    return sum(particle.diameter_mm for particle in patch.particles) / len(patch.particles)


def _nipple(plane: Plane, laterality: Laterality, config: PhantomConfig) -> tuple[float, float]:
    x, y = (value / config.spacing_mm for value in plane.nipple_mm)
    return (x if laterality is Laterality.LEFT else config.size_px[1] - x), y
