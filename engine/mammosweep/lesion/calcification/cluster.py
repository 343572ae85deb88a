"""The 15 features of calcifications: see `definitions.py`."""

# Shapes:  K calcifications
from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mammosweep.lesion.calcification.clumps import GRID_MM
from mammosweep.lesion.calcification.segment import Calcifications

__all__ = ["cluster_features"]

Points = NDArray[np.float64]


def cluster_features(found: Calcifications) -> dict[str, float]:
    """Measure segmented calcifications: all of `CALCIFICATION_FEATURES`, NaN where undefined."""
    every = [found.labels == k for k in range(1, len(found.stands_for) + 1)]
    # What overlaps another tells neither its size nor its shape: the whole ones speak for all.
    masks = [every[k] for k in np.flatnonzero(found.is_whole)] or every
    count = float(round(float(found.stands_for.sum())))
    areas = np.array([np.count_nonzero(mask) for mask in masks]) * GRID_MM**2
    diameters = np.sqrt(4 / np.pi * areas)
    perimeters = np.array([_perimeter(mask) for mask in masks])
    elongations = np.array([elongation(np.argwhere(mask).astype(np.float64), 1 / 12) for mask in masks])
    contrasts = np.array([float(found.contrast[mask].mean()) for mask in masks])
    centres = np.array([np.argwhere(mask).mean(axis=0) for mask in every]) * GRID_MM
    hull = _hull_area(found.labels > 0)
    return {
        "count": count,
        "density_per_cm2": count / (hull / 100),
        "area_mean_mm2": float(areas.mean()),
        "area_max_mm2": float(areas.max()),
        "diameter_mean_mm": float(diameters.mean()),
        "diameter_std_mm": float(diameters.std()),
        "perimeter_mean_mm": float(perimeters.mean()),
        "circularity_mean": float(np.minimum(4 * np.pi * areas / perimeters**2, 1).mean()),
        "elongation_mean": float(elongations.mean()),
        "elongation_std": float(elongations.std()),
        "contrast_mean": float(contrasts.mean()),
        "contrast_std": float(contrasts.std()),
        "nearest_distance_mean_mm": _neighbour_mean(centres),
        "cluster_area_mm2": hull,
        "cluster_elongation": elongation(centres) if len(centres) > 2 else np.nan,
    }


def elongation(points: Points, pixel_variance: float = 0.0) -> float:
    """Longer by shorter axis of the second moments of (n, 2) points, that of a pixel's own extent added."""
    centred = points - points.mean(axis=0)
    moments = centred.T @ centred / len(points) + pixel_variance * np.eye(2)
    shorter, longer = np.linalg.eigvalsh(moments)
    return float(np.sqrt(longer / shorter)) if shorter > 1e-12 else np.nan


def _perimeter(mask: NDArray[np.bool_]) -> float:
    """Length of the outline along the pixels' outer edges.

    The contour runs through the centres of edge pixels, half a pixel inside; the outline of a convex shape
    grown by r is longer by 2 pi r (Steiner's formula).
    """
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    longest = max(cv2.arcLength(contour, True) for contour in contours)
    return float((longest + np.pi) * GRID_MM)


def _hull_area(mask: NDArray[np.bool_]) -> float:
    points = np.ascontiguousarray(np.argwhere(mask)[:, ::-1], dtype=np.int32)
    hull = cv2.convexHull(points)
    # As for a perimeter: the hull of centres, grown by half a pixel.
    area = cv2.contourArea(hull) + cv2.arcLength(hull, True) / 2 + np.pi / 4
    return float(area) * GRID_MM**2


def _neighbour_mean(centres: Points) -> float:
    if len(centres) < 2:
        return np.nan
    distances = np.linalg.norm(centres[:, None] - centres, axis=2)
    np.fill_diagonal(distances, np.inf)
    return float(distances.min(axis=1).mean())
