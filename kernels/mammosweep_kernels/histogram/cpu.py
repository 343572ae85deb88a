"""The histogram on the CPU."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["histogram16_cpu"]

# OpenCV hands its counts out as float32, which holds every whole number up to 2**24 and not beyond.
MAX_BAND_PIXELS = 2**24


def histogram16_cpu(values_HW: Tensor, mask_HW: Tensor | None = None) -> Tensor:
    """Same contract as `histogram16_reference`, for CPU tensors."""
    if mask_HW is None:
        return torch.from_numpy(_count_all(values_HW.numpy()))
    return torch.from_numpy(np.bincount(values_HW.numpy()[mask_HW.numpy()], minlength=65536))


def _count_all(values_HW: NDArray[np.uint16]) -> NDArray[np.int64]:
    """Sum OpenCV's multi-threaded counts over bands of rows small enough to be counted exactly."""
    counts = np.zeros(65536, dtype=np.int64)
    band_rows = MAX_BAND_PIXELS // max(values_HW.shape[1], 1)
    for top in range(0, values_HW.shape[0] if values_HW.size else 0, band_rows):
        band = np.ascontiguousarray(values_HW[top : top + band_rows])
        counts += cv2.calcHist([band], [0], None, [65536], [0, 65536]).ravel().astype(np.int64)
    return counts
