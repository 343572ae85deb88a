"""From gray on the 0.4 mm grid to stored pixels: lesions, noise, mirror, label, borders, polarity."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mammosweep.phantom.anatomy import Plane
from mammosweep.phantom.draw import Patch
from mammosweep.phantom.settings import PhantomConfig
from mammosweep.records import Laterality, Position

__all__ = ["develop"]

FloatArray = NDArray[np.float32]

FULL_SCALE = 4095.0
BACKGROUND = 12.0
NOISE_AT_100_UM = 36.0
"""Noise of one 0.1 mm pixel inside the breast. It falls with the pixel's side, as counted photons do, so that
what is left at a given scale in millimetres does not depend on the pixel."""


def develop(
    rng: np.random.Generator,
    tissue: FloatArray,
    patches: Sequence[Patch],
    laterality: Laterality,
    plane: Plane,
    config: PhantomConfig,
) -> NDArray[np.uint16]:
    """Give a view's stored pixels, (rows, columns)."""
    rows, columns = config.size_px
    enlarged = cv2.resize(tissue, (columns, rows), interpolation=cv2.INTER_LINEAR)
    gray = np.asarray(enlarged, dtype=np.float32)
    for patch in patches:
        _add(gray, patch)
    _add_noise(rng, gray, config.spacing_mm)
    stored = gray if laterality is Laterality.LEFT else np.ascontiguousarray(gray[:, ::-1])
    _add_label(stored, laterality, plane, config)
    _add_borders(rng, stored, laterality, plane, config)
    return _quantise(stored, config)


def _add(gray: FloatArray, patch: Patch) -> None:
    rows, columns = gray.shape
    height, width = patch.gray.shape
    top, left = max(0, -patch.y_px), max(0, -patch.x_px)
    bottom, right = min(height, rows - patch.y_px), min(width, columns - patch.x_px)
    target = gray[patch.y_px + top : patch.y_px + bottom, patch.x_px + left : patch.x_px + right]
    target += patch.gray[top:bottom, left:right]


def _add_noise(rng: np.random.Generator, gray: FloatArray, spacing_mm: float) -> None:
    noise = rng.standard_normal(gray.shape, dtype=np.float32)
    noise *= NOISE_AT_100_UM * 0.1 / spacing_mm
    # Air is burnt out to near black: little noise is left of it.
    noise *= 0.08 + 0.92 * np.clip(gray / 300, 0, 1)
    gray += noise
    gray += BACKGROUND


def _add_label(stored: FloatArray, laterality: Laterality, plane: Plane, config: PhantomConfig) -> None:
    """Write "R CC" at the top, opposite the chest wall."""
    text, scale = f"{laterality} {plane.position}", 0.26 / config.spacing_mm
    thickness = max(1, round(0.7 / config.spacing_mm))
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    margin = round(9 / config.spacing_mm)
    tag = np.zeros((height + 2 * margin, width + 2 * margin), dtype=np.uint8)
    cv2.putText(tag, text, (margin, margin + height), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thickness)
    corner = (
        stored[: tag.shape[0], -tag.shape[1] :]
        if laterality is Laterality.LEFT
        else stored[: tag.shape[0], : tag.shape[1]]
    )
    corner[tag > 127] = FULL_SCALE


def _add_borders(
    rng: np.random.Generator, stored: FloatArray, laterality: Laterality, plane: Plane, config: PhantomConfig
) -> None:
    if rng.uniform() >= config.border_rate:
        return
    far, above, below = (round(mm / config.spacing_mm) for mm in rng.uniform(1.5, 6.0, 3))
    value = rng.uniform(0.85, 1.0) * FULL_SCALE
    if laterality is Laterality.LEFT:
        stored[:, -far:] = value
    else:
        stored[:, :far] = value
    if plane.position is Position.CC and rng.uniform() < 0.5:
        stored[:above] = value
    if rng.uniform() < 0.5:
        stored[-below:] = value


def _quantise(stored: FloatArray, config: PhantomConfig) -> NDArray[np.uint16]:
    stored *= config.max_value / FULL_SCALE
    np.rint(stored, out=stored)
    values = np.clip(stored, 0, config.max_value).astype(np.uint16)
    return np.asarray(config.max_value - values if config.monochrome1 else values, dtype=np.uint16)
