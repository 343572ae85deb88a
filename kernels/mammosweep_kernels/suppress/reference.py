"""Suppression's definition."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["suppress_reference"]

# Shapes:  G groups   K boxes of a group   V valid boxes of one group


def suppress_reference(boxes_GK4: Tensor, valid_GK: Tensor, iou: float) -> Tensor:
    """Apply torchvision's `nms` to the valid boxes of one group after the other."""
    from torchvision.ops import nms  # nearly 2 s, which processes that only read pixels shall not pay

    keep_GK = torch.zeros_like(valid_GK)
    for boxes_K4, valid_K, keep_K in zip(boxes_GK4, valid_GK, keep_GK, strict=True):
        valid_V = valid_K.nonzero().flatten()
        falling_V = torch.arange(len(valid_V), 0, -1, dtype=torch.float32, device=boxes_GK4.device)
        keep_K[valid_V[nms(boxes_K4[valid_V], falling_V, iou)]] = True
    return keep_GK
