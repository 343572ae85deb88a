"""Single calcifications in a crop: what is small and brighter than the tissue around it.

The steps are the classical ones (Nishikawa 2007, "Current status and future directions of computer-aided
diagnosis in mammography", Comput Med Imaging Graph 31:224-235): a band-pass filter at the scale of
calcifications, a threshold from the filtered image's own noise, and growth of what passes it; then clumps are
taken apart (`clumps.py`). Scales are in millimetres: crops of any pixel are first put on a grid of 0.05 mm.
"""

# Shapes:  H, W crop's pixels   h, w pixels of the 0.05 mm grid   K calcifications that are seen
from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from mammosweep.lesion.calcification.clumps import GRID_MM, take_apart

__all__ = ["MAX_SPACING_MM", "Calcifications", "on_grid", "segment_calcifications"]

FloatArray = NDArray[np.float32]
LabelArray = NDArray[np.int32]
Mask = NDArray[np.bool_]

MAX_SPACING_MM = 0.2
"""A calcification of 0.2-0.5 mm is a pixel or two at this spacing: on coarser ones nothing is said of it."""

FINE_MM, COARSE_MM = 0.08, 0.45
"""Standard deviations of the band-pass: it answers most to spots of 0.2-1 mm, little to noise and ducts."""

OPENING_MM = 2.4
"""What is narrower than this is not background; twice the longest single calcification."""

NOISE_FACTOR = 5.0
"""Deviations of the band-passed noise that a calcification's brightest spot exceeds: of Gaussian noise, one
pixel in three million does."""

FAINTEST = 0.3
"""Of the contrast of a cluster's brighter calcifications (their upper quartile): fainter spots are tissue."""

HALF = 0.5
"""Of a spot's contrast: where a blurred edge lies, whatever the blur."""

REACH_MM = 0.5
"""Within this distance a calcification's edge sees its brightest spot."""

SIZE_MM = (0.12, 3.0)
"""Diameters (of the disc of the same area) of what is kept; coarser is no microcalcification."""

MAD_TO_STD = 1.4826
"""Median absolute deviation of a normal distribution to its standard deviation."""


@dataclass(frozen=True, slots=True)
class Calcifications:
    """What was segmented, on the grid of 0.05 mm."""

    labels: LabelArray = field(repr=False)  # (h, w), 0 for tissue, 1..K
    contrast: FloatArray = field(repr=False)  # (h, w) gray above the background
    background: FloatArray = field(repr=False)  # (h, w) gray without calcifications
    # (K,) of how many calcifications each is: more than 1 in a clump too large for those that are seen in it
    stands_for: FloatArray = field(repr=False)
    is_whole: Mask = field(repr=False)  # (K,) its outline is its own; else it overlaps another

    @property
    def grid_mm(self) -> float:
        """Side of a pixel."""
        return GRID_MM


def on_grid(gray: FloatArray, spacing_mm: tuple[float, float], grid_mm: float) -> FloatArray:
    """Resample (H, W) to square pixels: area means where that is coarser, cubic interpolation where finer."""
    rows, columns = (max(round(n * mm / grid_mm), 1) for n, mm in zip(gray.shape, spacing_mm, strict=True))
    how = cv2.INTER_CUBIC if min(spacing_mm) > grid_mm else cv2.INTER_AREA
    return np.asarray(cv2.resize(gray, (columns, rows), interpolation=how), dtype=np.float32)


def segment_calcifications(gray: FloatArray, spacing_mm: tuple[float, float]) -> Calcifications | None:
    """Find the single calcifications of a crop.

    Args:
        gray: (H, W) presented gray, 0 dark to 1 bright.
        spacing_mm: (row, column) millimetres per pixel.

    Returns:
        None where the pixels are too coarse to tell (`MAX_SPACING_MM`), or there are none.
    """
    if max(spacing_mm) > MAX_SPACING_MM or min(gray.shape) < 2:
        return None
    fine = on_grid(gray, spacing_mm, GRID_MM)
    band = _blurred(fine, FINE_MM) - _blurred(fine, COARSE_MM)
    background = _background(fine)
    contrast = _blurred(fine, FINE_MM / 2) - background
    grown = _grown(band > NOISE_FACTOR * _noise(band), contrast)
    pieces = [piece for piece in take_apart(grown, contrast) if _is_of_size(len(piece.pixels))]
    if not pieces:
        return None
    labels = np.zeros(fine.shape, dtype=np.int32)
    for label, piece in enumerate(pieces, start=1):
        labels[piece.pixels[:, 0], piece.pixels[:, 1]] = label
    stands_for = np.array([piece.stands_for for piece in pieces], dtype=np.float32)
    return Calcifications(
        labels, contrast, background, stands_for, np.array([piece.is_whole for piece in pieces])
    )


def _is_of_size(num_pixels: int) -> bool:
    return SIZE_MM[0] <= 2 * GRID_MM * math.sqrt(num_pixels / math.pi) <= SIZE_MM[1]


def _blurred(gray: FloatArray, sigma_mm: float) -> FloatArray:
    blurred = cv2.GaussianBlur(gray, (0, 0), sigma_mm / GRID_MM, borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, dtype=np.float32)


def _noise(band: FloatArray) -> float:
    """Standard deviation of what is no calcification: by the median, which a few bright spots do not move."""
    return MAD_TO_STD * float(np.median(np.abs(band - np.median(band))))


def _background(fine: FloatArray) -> FloatArray:
    """Gray without anything narrower than OPENING_MM; at half the resolution, which is enough and quicker."""
    half = cv2.resize(fine, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    size = round(OPENING_MM / (2 * GRID_MM)) | 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    opened = cv2.morphologyEx(cv2.medianBlur(half, 5), cv2.MORPH_OPEN, disc, borderType=cv2.BORDER_REFLECT)
    smooth = cv2.GaussianBlur(opened, (0, 0), size / 4, borderType=cv2.BORDER_REFLECT)
    return np.asarray(cv2.resize(smooth, fine.shape[::-1], interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _grown(seeds: Mask, contrast: FloatArray) -> Mask:
    """What belongs to seeds: all that has half the contrast of the brightest spot nearby."""
    size = 2 * round(REACH_MM / GRID_MM) + 1
    reach = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    bright = np.where(seeds, contrast, 0).astype(np.float32)
    nearby = cv2.dilate(bright, reach)
    above = (contrast > HALF * nearby) & (nearby > 0)
    num, labels = cv2.connectedComponents(above.astype(np.uint8), connectivity=4)
    peaks = np.zeros(num, dtype=np.float32)
    np.maximum.at(peaks, np.asarray(labels, dtype=np.int64).ravel(), bright.ravel())
    if not (peaks > 0).any():
        return np.zeros(seeds.shape, dtype=np.bool_)
    kept = peaks > FAINTEST * float(np.percentile(peaks[peaks > 0], 75))
    kept[0] = False
    return np.asarray(kept[labels])
