# Triton ships no types, and a kernel's parameters are typed by its launch.
# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"
"""Suppression in Triton: one program a group, its boxes in registers; nothing waits for the host."""

from __future__ import annotations

import numpy as np
import torch
import triton  # type: ignore[import-untyped, unused-ignore]
import triton.language as tl  # type: ignore[import-untyped, unused-ignore]
from torch import Tensor

__all__ = ["MAX_BOXES", "suppress_fused", "suppress_kernel"]

# A group's boxes stay in one program's registers: 8 boxes a thread, 16 warps at most.
MAX_BOXES = 4096
MIN_BLOCK = 32
BOXES_PER_WARP = 256


def suppress_fused(boxes_GK4: Tensor, valid_GK: Tensor, iou: float) -> Tensor:
    """Same contract as `suppress_reference`, for CUDA tensors; ValueError above `MAX_BOXES` boxes a group."""
    num_groups, num_boxes = valid_GK.shape
    if num_boxes > MAX_BOXES:
        raise ValueError(f"a group has {num_boxes} boxes; expected at most {MAX_BOXES} on a GPU")
    keep_GK = torch.empty((num_groups, num_boxes), dtype=torch.uint8, device=boxes_GK4.device)
    block = max(MIN_BLOCK, triton.next_power_of_2(num_boxes))
    if keep_GK.numel() > 0:
        with torch.cuda.device_of(boxes_GK4):
            suppress_kernel[(num_groups,)](
                boxes_GK4.contiguous(),
                valid_GK.contiguous().view(torch.uint8),
                keep_GK,
                num_boxes,
                _rounded_down(iou),
                block=block,
                num_warps=max(1, block // BOXES_PER_WARP),
                enable_fp_fusion=False,  # areas and overlaps round as the reference's do
            )
    return keep_GK.view(torch.bool)


def _rounded_down(iou: float) -> float:
    """The largest float32 that is at most ``iou``.

    The reference compares a float32 with a float64: what exceeds ``iou`` exceeds this, and nothing else does.
    """
    nearest = np.float32(iou)
    return float(nearest if float(nearest) <= iou else np.nextafter(nearest, np.float32(-np.inf)))


# The number of boxes differs between uses: specialising on it would compile the same block twice.
@triton.jit(do_not_specialize=["num_boxes"])
def suppress_kernel(boxes_ptr, valid_ptr, keep_ptr, num_boxes, iou, block: tl.constexpr):
    """Suppress within one group: each box that is still there drops those after it."""
    first = tl.program_id(0).to(tl.int64) * num_boxes
    group_ptr = boxes_ptr + first * 4
    at = tl.arange(0, block)
    there = at < num_boxes
    x1 = tl.load(group_ptr + at * 4, mask=there, other=0.0)
    y1 = tl.load(group_ptr + at * 4 + 1, mask=there, other=0.0)
    x2 = tl.load(group_ptr + at * 4 + 2, mask=there, other=0.0)
    y2 = tl.load(group_ptr + at * 4 + 3, mask=there, other=0.0)
    area = (x2 - x1) * (y2 - y1)
    keep = tl.load(valid_ptr + first + at, mask=there, other=0).to(tl.int32)

    last = tl.max(tl.where(keep != 0, at, 0), axis=0)
    for i in range(last):
        if tl.max(tl.where(at == i, keep, 0), axis=0) != 0:
            box_ptr = group_ptr + i * 4
            left, top = tl.load(box_ptr), tl.load(box_ptr + 1)
            right, bottom = tl.load(box_ptr + 2), tl.load(box_ptr + 3)
            width = tl.maximum(tl.minimum(right, x2) - tl.maximum(left, x1), 0.0)
            height = tl.maximum(tl.minimum(bottom, y2) - tl.maximum(top, y1), 0.0)
            both = width * height
            # Two boxes without area give 0 / 0, which exceeds nothing.
            overlap = tl.div_rn(both, (right - left) * (bottom - top) + area - both)
            keep = tl.where((at > i) & (overlap > iou), 0, keep)
    tl.store(keep_ptr + first + at, keep.to(tl.uint8), mask=there)
