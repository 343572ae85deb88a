"""Lesions: what they are, where they lie in the breast, and the words for both.

Sizes and places are in millimetres, in the breast's axes (see anatomy.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mammosweep.phantom.anatomy import Breast, Plane
from mammosweep.phantom.streams import random_stream
from mammosweep.records import LESION_TYPES, Laterality, LesionType, Position

__all__ = ["MIN_SKIN_MM", "PhantomLesion", "make_lesions", "quadrant_of"]

MIN_SKIN_MM = 8.0
AREOLA_MM = 22.0
LEVEL_MM = 10.0
TAIL_MM = 48.0
SIZE_MM = {
    LesionType.MASS: (6.0, 25.0),
    LesionType.CALCIFICATION: (6.0, 20.0),
    LesionType.ASYMMETRY: (12.0, 30.0),
    LesionType.DISTORTION: (12.0, 28.0),
}
QUADRANTS = ("upper", "middle", "lower", "axillary_tail", "areola")

Planes = Mapping[Position, Plane]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomLesion:
    """One lesion of one breast."""

    lesion_id: str  # unique within the exam: "L1", "R2"
    laterality: Laterality
    type: LesionType
    depth_mm: float  # from the chest wall
    outer_mm: float  # from the nipple's axis
    up_mm: float
    size_mm: float  # its largest diameter
    malignant: bool
    shape: str | None = None  # mass: round, oval, irregular
    margin: str | None = None  # mass: circumscribed, indistinct, spiculated
    morphology: str | None = None  # calcification: round, fine_pleomorphic, fine_linear
    distribution: str | None = None  # calcification: clustered, segmental, linear

    @property
    def place_mm(self) -> tuple[float, float, float]:
        """Depth, outer, up."""
        return self.depth_mm, self.outer_mm, self.up_mm


def quadrant_of(plane: Plane, lesion: PhantomLesion) -> str:
    """Name the region of a view in which a lesion's centre lies.

    Areola: within 22 mm of the nipple. Middle: no more than 10 mm above or below the nipple's level.
    Otherwise CC: outer (above the level) or inner; MLO: lower, upper, or, more than 48 mm above the level,
    axillary tail.
    """
    x, y = plane.place(*lesion.place_mm)
    rise = plane.nipple_mm[1] - y
    if math.hypot(plane.nipple_mm[0] - x, rise) <= AREOLA_MM:
        return "areola"
    if abs(rise) <= LEVEL_MM:
        return "middle"
    if plane.position is Position.CC:
        return "outer" if rise > 0 else "inner"
    if rise > TAIL_MM:
        return "axillary_tail"
    return "upper" if rise > 0 else "lower"


def make_lesions(
    seed: int,
    index: int,
    rate: float,
    breasts: Mapping[Laterality, Breast],
    planes: Mapping[Laterality, Planes],
) -> tuple[PhantomLesion, ...]:
    """Give an exam none, or one to three lesions, each of which both views of its breast show."""
    rng = random_stream(seed, index, "lesions")
    if rng.uniform() >= rate:
        return ()
    made: list[PhantomLesion] = []
    for _ in range(int(rng.choice([1, 2, 3], p=[0.6, 0.3, 0.1]))):
        breast = breasts[list(Laterality)[int(rng.integers(2))]]
        same_side = [other for other in made if other.laterality is breast.laterality]
        lesion = _make_lesion(rng, breast, planes[breast.laterality], same_side)
        made += [lesion] if lesion is not None else []
    return tuple(made)


def _make_lesion(
    rng: np.random.Generator, breast: Breast, planes: Planes, others: Sequence[PhantomLesion]
) -> PhantomLesion | None:
    kind = LESION_TYPES[int(rng.integers(len(LESION_TYPES)))]
    malignant = bool(rng.uniform() < 0.5)
    words = _words(rng, kind, malignant)
    size = rng.uniform(*SIZE_MM[kind])
    wanted = str(rng.choice(QUADRANTS, p=[0.28, 0.2, 0.2, 0.14, 0.18]))
    for attempt in range(900):
        # A large lesion does not fit everywhere: give up the wish for a region, then size.
        depth, outer, rise = rng.uniform([4, -60, -60], [breast.depth_mm - 8, 60, 95])
        lesion = PhantomLesion(
            lesion_id=f"{breast.laterality}{len(others) + 1}",
            laterality=breast.laterality,
            type=kind,
            depth_mm=depth,
            outer_mm=outer,
            up_mm=math.sqrt(2.0) * rise - outer,
            size_mm=size if attempt < 600 else SIZE_MM[kind][0],
            malignant=malignant,
            **words,
        )
        in_region = attempt >= 300 or quadrant_of(planes[Position.MLO], lesion) == wanted
        if in_region and _fits(lesion, breast, planes, others):
            return lesion
    return None


def _fits(lesion: PhantomLesion, breast: Breast, planes: Planes, others: Sequence[PhantomLesion]) -> bool:
    if abs(lesion.up_mm) > 0.55 * breast.height_mm:
        return False
    return all(
        _fits_in_view(lesion, plane) and all(_apart(plane, lesion, other) for other in others)
        for plane in planes.values()
    )


def _fits_in_view(lesion: PhantomLesion, plane: Plane) -> bool:
    x, y = plane.place(*lesion.place_mm)
    under_skin = plane.skin_distance(x, y) >= max(MIN_SKIN_MM, 0.5 * lesion.size_mm + 3)
    free_of_muscle = x - max(float(plane.muscle_edge(y)), 0.0) >= 0.5 * lesion.size_mm + 1
    return bool(under_skin and free_of_muscle and y > 0.5 * lesion.size_mm + 2)


def _apart(plane: Plane, one: PhantomLesion, other: PhantomLesion) -> bool:
    gap = math.dist(plane.place(*one.place_mm), plane.place(*other.place_mm))
    return gap >= 0.6 * (one.size_mm + other.size_mm) + 4


def _words(rng: np.random.Generator, kind: LesionType, malignant: bool) -> dict[str, str]:
    if kind is LesionType.MASS:
        if malignant:
            return {"shape": "irregular", "margin": str(rng.choice(["indistinct", "spiculated"]))}
        return {"shape": str(rng.choice(["round", "oval"])), "margin": "circumscribed"}
    if kind is LesionType.CALCIFICATION:
        if malignant:
            return {
                "morphology": str(rng.choice(["fine_pleomorphic", "fine_linear"])),
                "distribution": str(rng.choice(["segmental", "linear"])),
            }
        return {"morphology": "round", "distribution": "clustered"}
    return {}
