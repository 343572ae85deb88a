"""How each lesion looks in one view: the gray it adds, on a patch of stored pixels.

Gray values are on a 12-bit scale (0..4095). Patches are float32, (P, P), centred on the lesion.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mammosweep.phantom.lesions import PhantomLesion
from mammosweep.records import LesionType, Position

__all__ = ["Particle", "Patch", "draw_lesion"]

FloatArray = NDArray[np.float32]
Box = tuple[float, float, float, float]

VISIBLE = 0.3
"""Share of a lesion's own contrast above which its pixels count as seen, for the box."""

EXTREMES = ((1, 0, 0), (-1, 0, 0), (0, 1, math.sqrt(2) - 1), (0, -1, 1 - math.sqrt(2)))
"""Depth, outer and up of particles that stretch a cluster over its full size in both views."""


@dataclass(frozen=True, slots=True)
class Particle:
    """One calcification: a rod with round ends, whose ends meet in a ball where it is as wide as long."""

    length_mm: float
    width_mm: float
    gray: float
    x_mm: float  # from the lesion's centre, as is y
    y_mm: float
    tilt: float  # radians from the x axis

    @property
    def diameter_mm(self) -> float:
        """Of the disc of the same area."""
        area = math.pi / 4 * self.width_mm**2 + (self.length_mm - self.width_mm) * self.width_mm
        return math.sqrt(4 / math.pi * area)


@dataclass(frozen=True, slots=True)
class Patch:
    """Gray to add to a view, and where: ``x_px``, ``y_px`` is the patch's top-left pixel."""

    gray: FloatArray
    x_px: int
    y_px: int
    spacing_mm: float
    particles: tuple[Particle, ...] = ()  # of calcifications

    @property
    def box_px(self) -> Box:
        """Box (xyxy) around what is seen, counted from the outer edge of the image's top-left pixel."""
        # A look at 0.4 mm, so that the box does not hang on the pixel size.
        size = max(1.0, 0.4 / self.spacing_mm)
        smooth = cv2.GaussianBlur(np.abs(self.gray), (0, 0), size / 2)
        seen = smooth > VISIBLE * float(smooth.max())
        rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
        return (
            float(self.x_px + columns[0]),
            float(self.y_px + rows[0]),
            float(self.x_px + columns[-1] + 1),
            float(self.y_px + rows[-1] + 1),
        )


@dataclass(frozen=True, slots=True)
class _Stage:
    """Where a lesion is drawn: x, y in millimetres from its centre, for every pixel of the patch."""

    x: FloatArray
    y: FloatArray
    position: Position


def draw_lesion(
    rng: np.random.Generator,
    lesion: PhantomLesion,
    position: Position,
    centre_mm: tuple[float, float],
    spacing_mm: float,
) -> Patch:
    """Draw a lesion around its place in a view (chest wall at the left)."""
    reach = math.ceil((0.85 * lesion.size_mm + 2) / spacing_mm)
    x_px, y_px = (math.floor(c / spacing_mm) - reach for c in centre_mm)
    steps = np.arange(2 * reach + 1)
    x = ((x_px + steps + 0.5) * spacing_mm - centre_mm[0]).astype(np.float32)[None, :]
    y = ((y_px + steps + 0.5) * spacing_mm - centre_mm[1]).astype(np.float32)[:, None]
    stage = _Stage(x, y, position)
    if lesion.type is LesionType.CALCIFICATION:
        particles = _particles(rng, lesion, position)
        return Patch(_calcification(particles, stage), x_px, y_px, spacing_mm, particles)
    gray = _PAINTERS[lesion.type](rng, lesion, stage)
    return Patch(np.asarray(gray, dtype=np.float32), x_px, y_px, spacing_mm)


def _mass(rng: np.random.Generator, lesion: PhantomLesion, stage: _Stage) -> FloatArray:
    tilt, ratio = rng.uniform(0, math.pi), 1.0 if lesion.shape == "round" else rng.uniform(0.68, 0.8)
    x, y = _turn(stage, tilt)
    core = 0.62 if lesion.margin == "spiculated" else 1.0
    radius = 0.5 * lesion.size_mm * core
    angle = np.arctan2(y, x)
    rough = 0.14 if lesion.shape == "irregular" else 0.02
    outline = radius * (1 + rough * _wobble(rng, angle))
    edge = {"circumscribed": 0.35, "indistinct": 0.12 * radius + 0.8, "spiculated": 0.8}[lesion.margin or ""]
    distance = outline - np.hypot(x, y / ratio)
    body = 1 / (1 + np.exp(-np.clip(distance / edge, -30, 30)))
    dome = 0.72 + 0.28 * np.sqrt(np.clip(1 - (np.hypot(x, y / ratio) / (1.1 * radius)) ** 2, 0, 1))
    gray = (rng.uniform(820, 980) if lesion.malignant else rng.uniform(640, 780)) * body * dome
    if lesion.margin == "spiculated":
        gray = np.maximum(gray, 650 * _rays(rng, stage, 0.3 * radius, 0.5 * lesion.size_mm, 18, rise_mm=1.5))
    return np.asarray(gray, dtype=np.float32)


def _particles(rng: np.random.Generator, lesion: PhantomLesion, position: Position) -> tuple[Particle, ...]:
    places = _places(rng, lesion, int(rng.integers(9, 26)), position)
    return tuple(_particle(rng, lesion, float(x), float(y)) for x, y in places)


def _calcification(particles: Sequence[Particle], stage: _Stage) -> FloatArray:
    gray = np.zeros(np.broadcast_shapes(stage.x.shape, stage.y.shape), dtype=np.float32)
    pixel = float(stage.x[0, 1] - stage.x[0, 0])
    for one in particles:
        dx, dy = stage.x - np.float32(one.x_mm), stage.y - np.float32(one.y_mm)
        along = dx * math.cos(one.tilt) + dy * math.sin(one.tilt)
        across = dy * math.cos(one.tilt) - dx * math.sin(one.tilt)
        far = np.hypot(np.clip(np.abs(along) - (one.length_mm - one.width_mm) / 2, 0, None), across)
        gray = np.maximum(gray, one.gray * np.clip((one.width_mm / 2 - far) / pixel + 0.5, 0, 1))
    return gray


def _places(
    rng: np.random.Generator, lesion: PhantomLesion, count: int, position: Position
) -> NDArray[np.float64]:
    """Give (count, 2) x, y of the particles: x towards the nipple is the same in both views."""
    ball = rng.standard_normal((count, 3))
    ball *= (rng.uniform(0, 1, (count, 1)) ** (1 / 3)) / np.linalg.norm(ball, axis=1, keepdims=True)
    ball[:4] = EXTREMES
    x, outer, up = ball.T * (0.5 * lesion.size_mm - 0.4)
    y = -outer if position is Position.CC else -(up + outer) / math.sqrt(2)
    slants = dict(zip(Position, rng.uniform(-0.6, 0.6, 2), strict=True))
    if lesion.distribution == "clustered":
        return np.stack([x, y], axis=1)
    # Along a duct, which runs towards the nipple; a segment is a fan of ducts with its tip there.
    width = 0.1 if lesion.distribution == "linear" else 0.1 + 0.5 * (1 - x / x.max()) / 2
    return np.stack([x, width * y + slants[position] * x], axis=1) * 0.92


def _particle(rng: np.random.Generator, lesion: PhantomLesion, x: float, y: float) -> Particle:
    length, width, gray = _rod(rng, lesion)
    tilt = rng.normal(0, 0.4) if lesion.morphology == "fine_linear" else rng.uniform(0, math.pi)
    return Particle(length, width, gray, x, y, tilt)


def _rod(rng: np.random.Generator, lesion: PhantomLesion) -> tuple[float, float, float]:
    """Length, width in millimetres, gray."""
    if lesion.morphology == "round":
        size = rng.uniform(0.45, 0.8)
        return size, size, rng.uniform(1250, 1500)
    if lesion.morphology == "fine_linear":
        return rng.uniform(0.7, 0.9), rng.uniform(0.32, 0.42), rng.uniform(1500, 1800)
    size = rng.uniform(0.38, 0.75)
    return size, size * rng.uniform(0.65, 1.0), rng.uniform(1200, 1900)


def _asymmetry(rng: np.random.Generator, lesion: PhantomLesion, stage: _Stage) -> FloatArray:
    x, y = _turn(stage, rng.uniform(0, math.pi))
    angle = np.arctan2(y, x)
    radius = np.hypot(x, y / rng.uniform(0.75, 0.95)) / (
        0.5 * lesion.size_mm * (1 + 0.1 * _wobble(rng, angle))
    )
    height = rng.uniform(620, 720) if lesion.malignant else rng.uniform(500, 600)
    return np.asarray(height * np.exp(-1.2 * radius**2.6), dtype=np.float32)


def _distortion(rng: np.random.Generator, lesion: PhantomLesion, stage: _Stage) -> FloatArray:
    height = rng.uniform(560, 640) if lesion.malignant else rng.uniform(480, 560)
    # Faint towards the point where the lines meet: nothing solid is there.
    lines = _rays(rng, stage, 0.4, 0.5 * lesion.size_mm, int(rng.integers(16, 24)), rise_mm=4.0)
    # Tissue is drawn into the lines: what lies between them is darker than around.
    between = np.exp(-1.5 * (np.hypot(stage.x, stage.y) / (0.42 * lesion.size_mm)) ** 4)
    return np.asarray(height * lines - 90 * between * (1 - lines), dtype=np.float32)


def _rays(
    rng: np.random.Generator, stage: _Stage, inner: float, outer: float, count: int, rise_mm: float
) -> FloatArray:
    """Straight thin lines that point to the centre, up to 1 on their axis."""
    gray = np.zeros(np.broadcast_shapes(stage.x.shape, stage.y.shape), dtype=np.float32)
    angles = (np.arange(count) + rng.uniform(-0.6, 0.6, count)) * 2 * math.pi / count
    for number, angle in enumerate(angles):
        # Every fourth line is a long one, so that the lesion has its full size on all sides.
        length = outer * (rng.uniform(0.9, 1.0) if number % 4 == 0 else rng.uniform(0.5, 1.0))
        width, strength = rng.uniform(0.28, 0.5), rng.uniform(0.65, 1.0)
        along = stage.x * math.cos(angle) + stage.y * math.sin(angle)
        across = stage.y * math.cos(angle) - stage.x * math.sin(angle)
        taper = np.clip((along - inner) / rise_mm, 0, 1) * np.clip((length - along) / (0.3 * length), 0, 1)
        gray = np.maximum(gray, strength * taper * np.exp(-0.5 * (across / width) ** 2))
    return gray


def _turn(stage: _Stage, tilt: float) -> tuple[FloatArray, FloatArray]:
    cos, sin = math.cos(tilt), math.sin(tilt)
    return stage.x * cos + stage.y * sin, stage.y * cos - stage.x * sin


def _wobble(rng: np.random.Generator, angle: FloatArray) -> FloatArray:
    """A smooth closed wave of about unit height, by angle."""
    waves = ((k, rng.normal(), rng.uniform(0, 2 * math.pi)) for k in range(2, 8))
    return np.asarray(sum(a / math.sqrt(k) * np.sin(k * angle + p) for k, a, p in waves), dtype=np.float32)


_PAINTERS: dict[LesionType, Callable[[np.random.Generator, PhantomLesion, _Stage], FloatArray]] = {
    LesionType.MASS: _mass,
    LesionType.ASYMMETRY: _asymmetry,
    LesionType.DISTORTION: _distortion,
}
