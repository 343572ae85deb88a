"""What people write today: the engine's steps for one view with pydicom 3, pylibjpeg and scikit-image.

Every step is the libraries' own call for it. Where there is more than one, this is the fastest that was
measured on the frames of bench_pixels.py: `resize` with anti-aliasing takes a quarter of the time of
`resize_local_mean`, and counting labels half of that of `regionprops`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from skimage.filters import threshold_triangle
from skimage.measure import label
from skimage.transform import resize

__all__ = ["HandNormalised", "normalise_by_hand"]


@dataclass(frozen=True, slots=True)
class HandNormalised:
    """A normalised view and the rectangle that it shows: x1, y1, x2, y2 in stored pixels, half open."""

    gray: NDArray[np.float64] = field(repr=False)
    crop_px: tuple[int, int, int, int]
    mirrored: bool


def normalise_by_hand(path: Path, spacing_mm: float, grid_mm: float) -> HandNormalised:
    """Read, decode, window, segment, crop, resample and map one view; chest wall to the left."""
    dataset = pydicom.dcmread(path)
    image = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        image = image.max() - image
    breast = _largest_component(image > threshold_triangle(image))
    rows, columns = np.flatnonzero(breast.any(axis=1)), np.flatnonzero(breast.any(axis=0))
    x1, y1, x2, y2 = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    shape = tuple(round(side * spacing_mm / grid_mm) for side in (y2 - y1, x2 - x1))
    gray = resize(image[y1:y2, x1:x2], shape, anti_aliasing=True)
    mask = resize(breast[y1:y2, x1:x2], shape, order=0, anti_aliasing=False)
    low, high = np.percentile(gray[mask], [5, 95])
    gray = np.clip((gray - low) / (high - low), -0.5, 2.0)
    mirrored = _chest_wall_right(mask)
    return HandNormalised(gray[:, ::-1] if mirrored else gray, (x1, y1, x2, y2), mirrored)


def _largest_component(bright: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels = label(bright)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0  # the background
    largest: NDArray[np.bool_] = labels == sizes.argmax()
    return largest


def _chest_wall_right(mask: NDArray[np.bool_]) -> bool:
    middle = mask.shape[1] // 2
    return bool(mask[:, middle:].sum() > mask[:, :middle].sum())
