"""What a feature pyramid holds where a box is, as a grid of 7 by 7 bins."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mammosweep_kernels.roi_align.cpu import roi_align_cpu
from mammosweep_kernels.roi_align.sampling import STRIDES

__all__ = ["roi_align"]

DTYPES = (torch.float32, torch.float16, torch.bfloat16)


def roi_align(levels: Sequence[Tensor], boxes: Tensor) -> Tensor:
    """Pool every box from the level that fits its size.

    It is torchvision's ``MultiScaleRoIAlign`` with 7 by 7 bins, 2 by 2 samples a bin, levels at strides 4, 8,
    16 and 32, canonical scale 224 at level 4 and ``aligned=False``, in float32 whatever the levels' type.

    Args:
        levels: four tensors (N, C, rows, columns) of one type, float32, float16 or bfloat16, the finest
            first. Any strides are right; channels-last memory is fast (on the CPU any other is copied first).
        boxes: (N, R, 4) float32 on the same device, xyxy in network pixels of the box's own canvas. A box
            whose area is negative or not a number holds zeros.

    Returns:
        (N, R, C, 7, 7) of the levels' type, contiguous, so that a box head's ``flatten`` copies nothing. On
        CUDA no shape depends on the boxes, and nothing waits for the device.

    Raises:
        TypeError: levels or boxes have the wrong type.
        ValueError: number, shapes or devices of levels and boxes do not fit together.
    """
    _check(levels, boxes)
    if not boxes.is_cuda:
        return roi_align_cpu(levels, boxes)
    from mammosweep_kernels.roi_align.fused import roi_align_fused

    return roi_align_fused(levels, boxes)


def _check(levels: Sequence[Tensor], boxes: Tensor) -> None:
    if len(levels) != len(STRIDES):
        raise ValueError(f"there are {len(levels)} levels; expected {len(STRIDES)}, at strides {STRIDES}")
    dtypes = {level.dtype for level in levels}
    if len(dtypes) != 1 or not dtypes <= set(DTYPES) or boxes.dtype != torch.float32:
        raise TypeError(
            f"levels are {', '.join(sorted(map(str, dtypes)))} and boxes {boxes.dtype}; "
            f"expected levels of one type among {', '.join(map(str, DTYPES))}, and torch.float32"
        )
    if boxes.ndim != 3 or boxes.shape[2] != 4:
        raise ValueError(f"boxes are {tuple(boxes.shape)}; expected (N, R, 4)")
    for level in levels:
        if level.ndim != 4 or level.shape[:2] != (boxes.shape[0], levels[0].shape[1]) or 0 in level.shape[1:]:
            raise ValueError(
                f"a level is {tuple(level.shape)} with boxes {tuple(boxes.shape)}; "
                "expected (N, C, rows, columns) with the boxes' N, the other levels' C and at least one cell"
            )
        if level.device != boxes.device:
            raise ValueError(
                f"a level is on {level.device} and the boxes on {boxes.device}; expected one device"
            )
