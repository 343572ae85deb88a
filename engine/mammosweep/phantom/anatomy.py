"""The breast: its shape in 3D, and what the two projections make of it.

A breast's axes, in millimetres: ``depth`` runs from the chest wall to the nipple, ``outer`` from the
nipple's axis to the patient's side, ``up`` to the head. CC projects along ``up``; MLO projects at 45
degrees, so that its vertical is ``(up + outer) / sqrt(2)``. A view's axes: x from the chest-wall edge of
the image towards the nipple, y down from the top edge. Every view is made with the chest wall at the
left; a right breast's is mirrored when it is stored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammosweep.phantom.settings import PhantomConfig
from mammosweep.phantom.streams import random_stream
from mammosweep.records import Laterality, Position

__all__ = ["GRID_MM", "Breast", "Density", "Plane", "make_breasts", "project"]

FloatArray = NDArray[np.float32]
Density = str  # BI-RADS composition: "a", "b", "c" or "d"

GRID_MM = 0.4
"""Anatomy is drawn on this grid and enlarged: nothing in it but lesions and noise is finer."""

MUSCLE_BULGE_MM = 4.0
NIPPLE_MM = (4.0, 4.5)  # how far it stands out, half its height


@dataclass(frozen=True, slots=True, kw_only=True)
class Breast:
    """One breast's measures in millimetres."""

    laterality: Laterality
    density: Density
    depth_mm: float  # chest wall to nipple, 60..110
    height_mm: float  # 120..190
    outer_share: float  # how much of the height lies on the outer side in CC
    gland_centre: tuple[float, float, float]  # depth, outer and up, as shares of depth and half height
    gland_extent: float  # relative to what the density class has
    pectoral_mm: float  # the muscle's thickness on the nipple's level in MLO
    muscle_share: float  # how much it widens up to the image's top, as a share of the depth


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """One projection of a breast, chest wall at the left, in millimetres; H, W on the 0.4 mm grid."""

    position: Position
    size_mm: tuple[float, float]  # height, width
    nipple_mm: tuple[float, float]  # x, y where the nipple meets the breast's outline
    wall_mm: float  # x of the chest wall (CC) or the pectoral's edge (MLO) on the nipple's level
    muscle_slope: float  # millimetres the muscle widens per millimetre upwards; 0 in CC
    edge_mm: FloatArray = field(repr=False)  # (H, W) depth under the skin, 0 outside

    def place(self, depth: float, outer: float, up: float) -> tuple[float, float]:
        """Give the x, y of a point ``depth`` from the wall, ``outer`` and ``up`` from the nipple's axis."""
        rise = outer if self.position is Position.CC else (up + outer) / math.sqrt(2.0)
        return self.wall_mm + depth, self.nipple_mm[1] - rise

    def muscle_edge(self, y: ArrayLike) -> NDArray[np.float64]:
        """Give the x of the pectoral's edge at heights ``y``, slightly convex; 0 in CC."""
        rise = self.nipple_mm[1] - np.asarray(y, dtype=np.float64)
        if self.position is Position.CC:
            return np.zeros_like(rise)
        bulge = MUSCLE_BULGE_MM * np.sin(np.pi * np.clip(rise / self.nipple_mm[1], 0, 1))
        return self.wall_mm + rise * self.muscle_slope + bulge

    def skin_distance(self, x: float, y: float) -> float:
        """Millimetres from the skin; 0 outside the breast."""
        row, column = int(y / GRID_MM), int(x / GRID_MM)
        rows, columns = self.edge_mm.shape
        inside = 0 <= row < rows and 0 <= column < columns
        return float(self.edge_mm[row, column]) if inside else 0.0


def make_breasts(seed: int, index: int) -> tuple[Breast, Breast]:
    """Give the left and the right breast of one patient: similar, not equal."""
    rng = random_stream(seed, index, "patient")
    density = str(rng.choice(list("abcd"), p=[0.15, 0.4, 0.35, 0.1]))
    depth, height = rng.uniform(64, 104), rng.uniform(126, 180)
    height = float(np.clip(height, 1.35 * depth, 2.3 * depth))
    left, right = (
        _breast(random_stream(seed, index, "breast", side), side, density, depth, height)
        for side in (Laterality.LEFT, Laterality.RIGHT)
    )
    return left, right


def _breast(
    rng: np.random.Generator, side: Laterality, density: Density, depth: float, height: float
) -> Breast:
    return Breast(
        laterality=side,
        density=density,
        depth_mm=float(np.clip(depth * rng.uniform(0.96, 1.04), 60, 110)),
        height_mm=float(np.clip(height * rng.uniform(0.96, 1.04), 120, 190)),
        outer_share=rng.uniform(0.48, 0.54),
        gland_centre=(rng.uniform(0.56, 0.64), rng.uniform(0.02, 0.14), rng.uniform(0.0, 0.12)),
        gland_extent=rng.uniform(0.92, 1.08),
        pectoral_mm=rng.uniform(4, 10),
        muscle_share=rng.uniform(0.4, 0.56),
    )


def project(breast: Breast, position: Position, config: PhantomConfig) -> Plane:
    """Compress and project a breast: its outline, nipple and muscle."""
    height, width = config.detector_mm
    is_cc = position is Position.CC
    wall = 0.0 if is_cc else breast.pectoral_mm
    nipple_y = height * (0.5 if is_cc else 0.59)
    nipple = (wall + breast.depth_mm, nipple_y)
    slope = 0.0 if is_cc else breast.muscle_share * breast.depth_mm / nipple_y
    outline = _outline_cc(breast, nipple, height) if is_cc else _outline_mlo(breast, nipple, height, slope)
    return Plane(
        position=position,
        size_mm=(height, width),
        nipple_mm=nipple,
        wall_mm=wall,
        muscle_slope=slope,
        edge_mm=_depth_under_skin(outline, nipple, width),
    )


def _rows_mm(height: float) -> NDArray[np.float64]:
    return np.arange(0.5, round(height / GRID_MM)) * GRID_MM


def _outline_cc(breast: Breast, nipple: tuple[float, float], height: float) -> NDArray[np.float64]:
    rise = nipple[1] - _rows_mm(height)
    half = breast.height_mm * np.where(rise > 0, breast.outer_share, 1 - breast.outer_share)
    return np.asarray(nipple[0] * np.clip(1 - np.abs(rise / half) ** 2.2, 0, None) ** 0.52, np.float64)


def _outline_mlo(
    breast: Breast, nipple: tuple[float, float], height: float, slope: float
) -> NDArray[np.float64]:
    rise = nipple[1] - _rows_mm(height)
    below = nipple[0] * np.clip(1 - np.abs(rise / (0.44 * breast.height_mm)) ** 2.2, 0, None) ** 0.52
    # Above the nipple the outline runs over into the armpit, a finger's width beyond the muscle.
    armpit = breast.pectoral_mm + nipple[1] * slope + 0.12 * breast.depth_mm
    swing = 0.5 + 0.5 * np.cos(np.pi * np.clip(rise / nipple[1], 0, 1) ** 1.15)
    return np.where(rise < 0, below, armpit + (nipple[0] - armpit) * swing)


def _depth_under_skin(outline: NDArray[np.float64], nipple: tuple[float, float], width: float) -> FloatArray:
    columns = (np.arange(round(width / GRID_MM)) + 0.5) * GRID_MM
    tissue = (columns[None, :] < outline[:, None]).astype(np.uint8)
    centre = (round(nipple[0] / GRID_MM), round(nipple[1] / GRID_MM))
    axes = (round(NIPPLE_MM[0] / GRID_MM), round(NIPPLE_MM[1] / GRID_MM))
    cv2.ellipse(tissue, centre, axes, 0, 0, 360, 1, -1)
    # The breast goes on beyond the chest-wall edge and, in MLO, beyond the top: no skin there.
    pad = round(60 / GRID_MM)
    padded = cv2.copyMakeBorder(tissue, pad, pad, pad, 0, cv2.BORDER_REPLICATE)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[pad:-pad, pad:] * GRID_MM
    smooth = cv2.GaussianBlur(distance, (0, 0), 1.0)
    return np.asarray(np.where(tissue > 0, smooth, np.minimum(smooth, 0.3)), dtype=np.float32)
