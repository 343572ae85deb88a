"""From a native crop to the numbers that characterise its calcifications."""

# Shapes:  H, W crop's pixels   h, w pixels of the 0.05 mm grid
from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from mammosweep.lesion.calcification.clumps import GRID_MM
from mammosweep.lesion.calcification.cluster import cluster_features
from mammosweep.lesion.calcification.definitions import FEATURE_NAMES
from mammosweep.lesion.calcification.mass import MASS_GRID_MM, dense_region, mass_features
from mammosweep.lesion.calcification.segment import Calcifications, on_grid, segment_calcifications
from mammosweep.pixels.detail import NativeCrop

__all__ = ["CalcificationMeasurement", "measure", "measured"]

FloatArray = NDArray[np.float32]
Box = tuple[float, float, float, float]

EDGE_MM = 0.15
"""How far a calcification's blur reaches beyond its outline; so much tissue around it is painted over too."""


@dataclass(frozen=True, slots=True)
class CalcificationMeasurement:
    """What was seen in one crop."""

    calcifications: Calcifications | None = field(repr=False)  # None: none, or too coarse pixels
    features: dict[str, float]  # all of FEATURE_NAMES, NaN where undefined

    @property
    def defined(self) -> dict[str, float]:
        """The features that have a value, as float32 holds it."""
        return {k: float(np.float32(v)) for k, v in self.features.items() if math.isfinite(v)}


def measure(gray: FloatArray, spacing_mm: tuple[float, float], box: Box) -> CalcificationMeasurement:
    """Segment and measure the calcifications of one finding, and the dense region they lie in.

    Args:
        gray: (H, W) presented gray of the finding's box and 2 mm around it, 0 dark to 1 bright.
        spacing_mm: (row, column) millimetres per pixel. Above 0.2 mm only the region is measured.
        box: the finding's, xyxy in the crop's pixels.
    """
    found = segment_calcifications(gray, spacing_mm)
    features = dict.fromkeys(FEATURE_NAMES, math.nan)
    if found is not None:
        features |= cluster_features(found)
    tissue = _tissue(gray, spacing_mm, found)
    region = dense_region(tissue, _on_mass_grid(box, spacing_mm))
    if region is not None:
        features |= mass_features(tissue, region)
    return CalcificationMeasurement(found, features)


def measured(crop: NativeCrop) -> dict[str, float]:
    """The features of a native crop that are defined, for `Finding.calcification`."""
    return measure(crop.gray, crop.spacing_mm, crop.box).defined


def _tissue(gray: FloatArray, spacing_mm: tuple[float, float], found: Calcifications | None) -> FloatArray:
    """The crop on the 0.2 mm grid, calcifications painted over with their background."""
    if found is None:
        return on_grid(gray, spacing_mm, MASS_GRID_MM)
    size = 2 * round(EDGE_MM / GRID_MM) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    covered = cv2.dilate((found.labels > 0).astype(np.uint8), disc) > 0
    painted = np.where(covered, found.background, on_grid(gray, spacing_mm, GRID_MM))
    return on_grid(painted.astype(np.float32), (GRID_MM, GRID_MM), MASS_GRID_MM)


def _on_mass_grid(box: Box, spacing_mm: tuple[float, float]) -> Box:
    x1, y1, x2, y2 = box
    row, column = (mm / MASS_GRID_MM for mm in spacing_mm)
    return x1 * column, y1 * row, x2 * column, y2 * row
