"""Which boxes are left when those that stronger ones cover are dropped."""

from __future__ import annotations

import torch
from torch import Tensor

from mammosweep_kernels.suppress.cpu import suppress_cpu

__all__ = ["suppress"]


def suppress(boxes: Tensor, valid: Tensor, iou: float) -> Tensor:
    """Greedy non-maximum suppression within each of many groups (torchvision's ``nms``).

    From the strongest to the weakest, a box that is still there drops every later one of its group whose
    overlap with it, intersection over union, is greater than ``iou``. Boxes without area overlap nothing.

    Args:
        boxes: (G, K, 4) float32, xyxy; the boxes of a group come strongest first. Those that are valid are
            finite and in order (x1 <= x2, y1 <= y2); what the others hold does not matter.
        valid: (G, K) bool on the same device: which boxes there are, in any pattern.
        iou: the largest overlap, 0 to 1, that two boxes may keep.

    Returns:
        (G, K) bool on the same device: which boxes are kept; an invalid one never is. On CUDA nothing waits
        for the device.

    Raises:
        TypeError: ``boxes`` is not float32, or ``valid`` not bool.
        ValueError: shapes or devices do not fit, ``iou`` is not in 0 to 1, or a group on a GPU has more
            than 4,096 boxes.
    """
    _check(boxes, valid, iou)
    if not boxes.is_cuda:
        return suppress_cpu(boxes, valid, iou)
    from mammosweep_kernels.suppress.fused import suppress_fused

    return suppress_fused(boxes, valid, iou)


def _check(boxes: Tensor, valid: Tensor, iou: float) -> None:
    if boxes.dtype != torch.float32 or valid.dtype != torch.bool:
        raise TypeError(
            f"boxes are {boxes.dtype} and valid {valid.dtype}; expected torch.float32 and torch.bool"
        )
    if boxes.ndim != 3 or boxes.shape[2] != 4:
        raise ValueError(f"boxes are {tuple(boxes.shape)}; expected (G, K, 4)")
    if valid.shape != boxes.shape[:2] or valid.device != boxes.device:
        raise ValueError(
            f"valid is {tuple(valid.shape)} on {valid.device}; "
            f"expected {tuple(boxes.shape[:2])} on {boxes.device}, like the boxes"
        )
    if not 0.0 <= iou <= 1.0:
        raise ValueError(f"iou is {iou}; expected a number from 0 to 1")
