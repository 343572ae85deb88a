"""How often each 16-bit value occurs, and what follows from it: thresholds and percentiles."""

from __future__ import annotations

import torch
from torch import Tensor

from mammosweep_kernels.histogram.cpu import histogram16_cpu
from mammosweep_kernels.histogram.statistics import percentile, triangle_threshold

__all__ = ["histogram16", "percentile", "triangle_threshold"]


def histogram16(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Count every value of a 16-bit image.

    Args:
        values: (H, W) uint16.
        mask: (H, W) bool on the same device; only pixels where it is true are counted. None counts all.

    Returns:
        (65536,) int64 on the device of ``values``: entry v is the number of pixels that are v.

    Raises:
        TypeError: ``values`` is not uint16, or ``mask`` not bool.
        ValueError: ``values`` is not two-dimensional, or ``mask`` has another shape or device.
    """
    _check(values, mask)
    if not values.is_cuda:
        return histogram16_cpu(values, mask)
    from mammosweep_kernels.histogram.fused import histogram16_fused

    return histogram16_fused(values, mask)


def _check(values: Tensor, mask: Tensor | None) -> None:
    if values.dtype != torch.uint16:
        raise TypeError(f"values are {values.dtype}; expected torch.uint16")
    if values.ndim != 2:
        raise ValueError(f"values have {values.ndim} dimensions; expected (H, W)")
    if mask is None:
        return
    if mask.dtype != torch.bool:
        raise TypeError(f"mask is {mask.dtype}; expected torch.bool")
    if mask.shape != values.shape or mask.device != values.device:
        raise ValueError(
            f"mask is {tuple(mask.shape)} on {mask.device}; "
            f"expected {tuple(values.shape)} on {values.device}, like the values"
        )
