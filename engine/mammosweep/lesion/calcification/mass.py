"""The 26 features of the dense region in which calcifications lie: see `definitions.py`."""

# Shapes:  h, w pixels of the 0.2 mm grid   n points of the outline
from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mammosweep.lesion.calcification.texture import haralick

__all__ = ["MASS_GRID_MM", "dense_region", "mass_features"]

FloatArray = NDArray[np.float32]
Mask = NDArray[np.bool_]
Outline = NDArray[np.float64]
Box = tuple[float, float, float, float]

MASS_GRID_MM = 0.2

SMOOTH_MM = 0.6
"""Standard deviation of the blur before the threshold: masses are millimetres wide, noise is not."""

AROUND_MM = 2.0

LEAST_PX = 25
"""Of a region: 1 mm2. Less is no mass, and too little for its outline's statistics."""

RADIUS_BINS = 16


def dense_region(gray: FloatArray, box: Box) -> Mask | None:
    """The brightest region of a box: Otsu's threshold (1979, IEEE Trans SMC 9:62-66), holes filled.

    Args:
        gray: (h, w) on the 0.2 mm grid, without calcifications.
        box: xyxy in its pixels.

    Returns:
        (h, w) mask of the component with most pixels; None where none has 1 mm2.
    """
    smooth = cv2.GaussianBlur(gray, (0, 0), SMOOTH_MM / MASS_GRID_MM, borderType=cv2.BORDER_REFLECT)
    x1, y1, x2, y2 = (round(edge) for edge in box)
    inside = np.s_[max(y1, 0) : max(y2, y1 + 1, 1), max(x1, 0) : max(x2, x1 + 1, 1)]
    within = smooth[inside]
    if not within.size or not within.max() > within.min():
        return None
    scaled = cv2.normalize(within, None, 0, 255, cv2.NORM_MINMAX, dtype=cv2.CV_8U)  # type: ignore[call-overload]
    _, above = cv2.threshold(scaled, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    contours, _ = cv2.findContours(above, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros((len(contours), *above.shape), dtype=np.uint8)
    for canvas, contour in zip(filled, contours, strict=True):
        cv2.drawContours(canvas, [contour], -1, 1, cv2.FILLED)
    areas = filled.sum(axis=(1, 2), dtype=np.int64)
    if not len(areas) or areas.max() < LEAST_PX:
        return None
    region = np.zeros(gray.shape, dtype=np.bool_)
    region[inside] = filled[areas.argmax()] > 0
    return region


def mass_features(gray: FloatArray, region: Mask) -> dict[str, float]:
    """Measure a region of (h, w) gray: all of `MASS_FEATURES`, NaN where undefined."""
    contours, _ = cv2.findContours(region.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = np.asarray(contours[0], dtype=np.int32)
    return {
        **_shape(region, outline),
        **_radii(outline.reshape(-1, 2).astype(np.float64)),
        **_gray(gray, region),
        **_margin(gray, outline.reshape(-1, 2)),
        **haralick(gray, region),
    }


def _shape(region: Mask, outline: NDArray[np.int32]) -> dict[str, float]:
    area = int(np.count_nonzero(region))
    # The outline runs through pixels' centres; grown by half a pixel it is pi longer (Steiner's formula).
    perimeter = cv2.arcLength(outline, True) + np.pi
    hull = cv2.convexHull(outline)
    hull_area = cv2.contourArea(hull) + cv2.arcLength(hull, True) / 2 + np.pi / 4
    sides = sorted(side + 1 for side in cv2.minAreaRect(outline)[1])
    corners = hull.reshape(-1, 2).astype(np.float64)
    diameter = float(np.linalg.norm(corners[:, None] - corners, axis=2).max()) + 1
    return {
        "mass_area_mm2": area * MASS_GRID_MM**2,
        "mass_perimeter_mm": float(perimeter) * MASS_GRID_MM,
        "mass_diameter_mm": diameter * MASS_GRID_MM,
        "mass_circularity": min(float(4 * np.pi * area / perimeter**2), 1.0),
        "mass_elongation": sides[1] / sides[0],
        "mass_rectangularity": area / (sides[0] * sides[1]),
        "mass_solidity": min(float(area / hull_area), 1.0),
    }


def _radii(outline: Outline) -> dict[str, float]:
    """Of the normalised radial length (Kilday 1993)."""
    lengths = np.linalg.norm(outline - outline.mean(axis=0), axis=1)
    radii = lengths / lengths.max()
    mean = float(radii.mean())
    shares = np.histogram(radii, bins=RADIUS_BINS, range=(0, 1))[0] / len(radii)
    some = shares[shares > 0]
    outside = radii >= mean
    return {
        "mass_radius_mean": mean,
        "mass_radius_std": float(radii.std()),
        "mass_radius_entropy": float(-(some * np.log2(some)).sum()),
        "mass_radius_area_ratio": float(np.clip(radii - mean, 0, None).mean() / mean),
        "mass_radius_crossings": float(np.count_nonzero(outside != np.roll(outside, 1))),
        "mass_radius_roughness": float(np.abs(radii - np.roll(radii, 1)).mean()),
    }


def _gray(gray: FloatArray, region: Mask) -> dict[str, float]:
    values = gray[region].astype(np.float64)
    mean, std = float(values.mean()), float(values.std())
    standard = (values - mean) / std if std > 0 else np.full_like(values, np.nan)
    size = 2 * round(AROUND_MM / MASS_GRID_MM) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    around = (cv2.dilate(region.astype(np.uint8), disc) > 0) & ~region
    return {
        "mass_gray_mean": mean,
        "mass_gray_std": std,
        "mass_gray_skewness": float((standard**3).mean()),
        "mass_gray_kurtosis": float((standard**4).mean()) - 3,
        "mass_contrast": mean - float(gray[around].mean()) if around.any() else np.nan,
    }


def _margin(gray: FloatArray, outline: NDArray[np.int32]) -> dict[str, float]:
    smooth = cv2.GaussianBlur(gray, (0, 0), 1, borderType=cv2.BORDER_REFLECT)
    down, across = np.gradient(smooth, MASS_GRID_MM)
    slopes = np.hypot(down, across)[outline[:, 1], outline[:, 0]]
    return {
        "mass_margin_gradient_mean_per_mm": float(slopes.mean()),
        "mass_margin_gradient_std_per_mm": float(slopes.std()),
    }
