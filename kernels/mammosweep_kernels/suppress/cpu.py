"""Suppression on the CPU."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["suppress_cpu"]

# Shapes:  G groups   K boxes of a group


def suppress_cpu(boxes_GK4: Tensor, valid_GK: Tensor, iou: float) -> Tensor:
    """Same contract as `suppress_reference`, for CPU tensors.

    Invalid boxes become points, which overlap nothing, instead of being taken out of every group: a third
    less time for many small groups, and the same result. Large groups take what torchvision's loop over
    pairs takes: dense products of all pairs of all groups at once were no faster at 250 boxes a group, and
    slower at 1,000.
    """
    from torchvision.ops import nms  # nearly 2 s, which processes that only read pixels shall not pay

    num_boxes = valid_GK.shape[1]
    points_GK4 = torch.where(valid_GK[..., None], boxes_GK4, 0.0)
    falling_K = torch.arange(num_boxes, 0, -1, dtype=torch.float32)
    ends_G = (valid_GK * torch.arange(1, num_boxes + 1)).amax(dim=1).tolist() if num_boxes else []
    keep_GK = torch.zeros_like(valid_GK)
    for group, end in enumerate(ends_G):
        if end > 0:
            keep_GK[group].index_fill_(0, nms(points_GK4[group, :end], falling_K[:end], iou), True)
    return keep_GK.logical_and_(valid_GK)
