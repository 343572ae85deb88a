"""How detected boxes lie to true ones."""

# Shapes:  K detections   T truths
from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["centres_inside", "hits", "iou_matrix"]


def hits(boxes: ArrayLike, truths: ArrayLike, iou: float | None = None) -> NDArray[np.bool_]:
    """Tell which of (K, 4) xyxy boxes hit which of (T, 4): (K, T).

    Args:
        boxes: found.
        truths: annotated.
        iou: None: a box hits where its centre lies in the true one, edges included. A number: where their
            intersection over union is at least that.
    """
    return centres_inside(boxes, truths) if iou is None else iou_matrix(boxes, truths) >= iou


def centres_inside(boxes: ArrayLike, truths: ArrayLike) -> NDArray[np.bool_]:
    """Tell which of (K, 4) xyxy boxes have their centre in which of (T, 4), edges included: (K, T)."""
    found, true = _rows(boxes), _rows(truths)
    centres = (found[:, None, :2] + found[:, None, 2:]) / 2.0
    inside = (true[:, :2] <= centres) & (centres <= true[:, 2:])
    return inside[..., 0] & inside[..., 1]


def iou_matrix(boxes: ArrayLike, truths: ArrayLike) -> NDArray[np.float64]:
    """Intersection over union of (K, 4) with (T, 4) xyxy boxes: (K, T); 0 where both are empty."""
    found, true = _rows(boxes)[:, None, :], _rows(truths)[None, :, :]
    shared = np.minimum(found[..., 2:], true[..., 2:]) - np.maximum(found[..., :2], true[..., :2])
    overlap = shared.clip(min=0.0).prod(axis=-1)
    union = _area(found) + _area(true) - overlap
    iou: NDArray[np.float64] = overlap / np.where(union > 0.0, union, np.inf)
    return iou


def _rows(boxes: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(boxes, dtype=np.float64).reshape(-1, 4)


def _area(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    area: NDArray[np.float64] = (boxes[..., 2:] - boxes[..., :2]).prod(axis=-1)
    return area
