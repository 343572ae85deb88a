"""The histogram's definition."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["histogram16_reference"]


def histogram16_reference(values_HW: Tensor, mask_HW: Tensor | None = None) -> Tensor:
    """(65536,) int64: how many pixels of the uint16 image, where the mask is true, have each value."""
    counted = values_HW.to(torch.int64)
    if mask_HW is not None:
        counted = counted[mask_HW]
    return torch.bincount(counted.flatten(), minlength=65536)
