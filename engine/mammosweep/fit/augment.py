"""A view as it might have looked: turned, scaled, sheared, bent, brighter or darker; boxes go along."""

# Shapes:  H, W network pixels   K boxes

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mammosweep.pixels.normalise import GRAY_RANGE

__all__ = ["Augmentation", "augmented"]

Gray = NDArray[np.float32]
Boxes = NDArray[np.float32]

CORNERS_A_SIDE = 9
"""A box's outline is followed at so many points a side, so that its image is enclosed when it is bent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How far a view may change; the defaults change nothing but its flips."""

    flips: bool = True  # left-right and up-down, each half of the time, as the looks of a sweep
    scale: tuple[float, float] = (1.0, 1.0)
    stretch: float = 0.0  # of one axis against the other: a film's own spacing is not always known
    rotation_degrees: float = 0.0
    bend_mm: float = 0.0  # of a smooth random displacement, standard deviation
    bend_every_mm: float = 40.0  # distance between its nodes
    gain: tuple[float, float] = (1.0, 1.0)
    shift: float = 0.0
    gamma: tuple[float, float] = (1.0, 1.0)
    noise: float = 0.0  # most standard deviation of added noise
    blur_px: float = 0.0  # most standard deviation of a Gaussian

    def __post_init__(self) -> None:
        low, high = self.scale
        if not 0 < low <= high:
            raise ValueError(f"scale is {self.scale}; expected two rising numbers above 0")


def augmented(
    gray: Gray, boxes: Boxes, augmentation: Augmentation, grid_mm: float, rng: np.random.Generator
) -> tuple[Gray, Boxes]:
    """One random variant of a view on a canvas of the view's size.

    Args:
        gray: (H, W), within GRAY_RANGE; what comes in from beyond its edges is air.
        boxes: (K, 4) xyxy network pixels.
        augmentation: how far.
        grid_mm: side of a network pixel.
        rng: draws the variant.

    Returns:
        The view and the upright rectangles around its boxes' images; a box may lie partly outside.
    """
    forward = _matrix(gray.shape, augmentation, rng)
    rows, columns = gray.shape
    air = float(GRAY_RANGE[0])
    if augmentation.bend_mm > 0:
        bend = _bend(gray.shape, augmentation, grid_mm, rng)
        source = _positions(np.asarray(cv2.invertAffineTransform(forward)), gray.shape) + bend
        x, y = np.ascontiguousarray(source.transpose(2, 0, 1))
        picture = cv2.remap(gray, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=air)
        moved = _moved(boxes, forward, bend, gray.shape)
    else:
        picture = cv2.warpAffine(gray, forward, (columns, rows), flags=cv2.INTER_LINEAR, borderValue=air)
        moved = _moved(boxes, forward, None, gray.shape)
    return _other_gray(np.asarray(picture, np.float32), augmentation, rng), moved


def _matrix(
    shape: tuple[int, ...], augmentation: Augmentation, rng: np.random.Generator
) -> NDArray[np.float64]:
    """(2, 3) from the view's pixel centres to the variant's: about its middle."""
    low, high = augmentation.scale
    scale = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    stretch = float(np.exp(rng.uniform(-1, 1) * np.log1p(augmentation.stretch) / 2))
    angle = np.deg2rad(rng.uniform(-1, 1) * augmentation.rotation_degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    signs = rng.choice([-1.0, 1.0], size=2) if augmentation.flips else np.ones(2)
    linear = np.diag(signs) @ turn @ np.diag([scale * stretch, scale / stretch])
    middle = (np.array(shape[::-1]) - 1) / 2
    return np.hstack([linear, (middle - linear @ middle)[:, None]])


def _positions(matrix: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """(H, W, 2) where each pixel of the variant comes from, x and y."""
    x = np.arange(shape[1], dtype=np.float32)[None, :, None]
    y = np.arange(shape[0], dtype=np.float32)[:, None, None]
    m = matrix.astype(np.float32)
    return x * m[:, 0] + y * m[:, 1] + m[:, 2]


def _bend(
    shape: tuple[int, ...], augmentation: Augmentation, grid_mm: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """(H, W, 2) smooth displacements in pixels, from random ones on a coarse mesh (Simard et al. 2003)."""
    mesh = tuple(max(round(side * grid_mm / augmentation.bend_every_mm), 1) + 2 for side in shape)
    nodes = rng.normal(0.0, augmentation.bend_mm / grid_mm, size=(*mesh, 2)).astype(np.float32)
    return np.asarray(cv2.resize(nodes, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC))


def _moved(
    boxes: Boxes, forward: NDArray[np.float64], bend: NDArray[np.float32] | None, shape: tuple[int, ...]
) -> Boxes:
    if not len(boxes):
        return boxes.reshape(0, 4)
    along = np.linspace(0, 1, CORNERS_A_SIDE)
    edge = np.stack(
        [
            np.concatenate([along, along, np.zeros_like(along), np.ones_like(along)]),
            np.concatenate([np.zeros_like(along), np.ones_like(along), along, along]),
        ],
        axis=1,
    )
    low, high = boxes[:, None, :2].astype(np.float64), boxes[:, None, 2:].astype(np.float64)
    points = low + (high - low) * edge[None]
    # Boxes count from pixels' outer edges, the matrix from their centres.
    points = (points - 0.5) @ forward[:, :2].T + forward[:, 2] + 0.5
    if bend is not None:
        # The variant at q shows the view at inverse(q) + bend(q): p is seen where forward(p - bend) is, and
        # the bend changes so slowly that it is read where the straight image of p lies.
        rows = np.clip(points[..., 1].astype(int), 0, shape[0] - 1)
        columns = np.clip(points[..., 0].astype(int), 0, shape[1] - 1)
        points = points - bend[rows, columns] @ forward[:, :2].T
    return np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1).astype(np.float32)


def _other_gray(gray: Gray, augmentation: Augmentation, rng: np.random.Generator) -> Gray:
    low, high = GRAY_RANGE
    gamma = float(np.exp(rng.uniform(*np.log(augmentation.gamma))))
    gain, shift = rng.uniform(*augmentation.gain), rng.uniform(-1, 1) * augmentation.shift
    unit = np.clip((gray - low) / (high - low), 0.0, 1.0)
    varied = (low + (high - low) * unit**gamma) * gain + shift if gamma != 1.0 else gray * gain + shift
    if augmentation.blur_px > 0 and (sigma := rng.uniform(0, augmentation.blur_px)) > 0.3:
        varied = cv2.GaussianBlur(varied, (0, 0), sigma)
    if augmentation.noise > 0:
        varied = varied + rng.normal(0, rng.uniform(0, augmentation.noise), size=gray.shape)
    air = gray <= low
    return np.where(air, np.float32(low), np.clip(varied, low, high)).astype(np.float32)
