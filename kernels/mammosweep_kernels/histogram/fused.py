# Triton ships no types, and a kernel's parameters are typed by its launch.
# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"
"""The histogram in Triton: one pass over the pixels, atomic additions to 65536 counters in L2."""

from __future__ import annotations

import torch
import triton  # type: ignore[import-untyped, unused-ignore]
import triton.language as tl  # type: ignore[import-untyped, unused-ignore]
from torch import Tensor

__all__ = ["histogram16_fused", "histogram_kernel"]

BLOCK = 4096


def histogram16_fused(values_HW: Tensor, mask_HW: Tensor | None = None) -> Tensor:
    """Same contract as `histogram16_reference`, for CUDA tensors."""
    counts = torch.zeros(65536, dtype=torch.int64, device=values_HW.device)
    num_pixels = values_HW.numel()
    if num_pixels == 0:
        return counts
    counted = None if mask_HW is None else mask_HW.contiguous().view(torch.uint8)
    with torch.cuda.device_of(values_HW):
        histogram_kernel[(triton.cdiv(num_pixels, BLOCK),)](
            values_HW.contiguous(), counted, counts, num_pixels, block=BLOCK
        )
    return counts


# Image sizes vary from file to file: specialising on them would compile a new kernel for many of them.
@triton.jit(do_not_specialize=["num_pixels"])
def histogram_kernel(values_ptr, mask_ptr, counts_ptr, num_pixels, block: tl.constexpr):
    """Count one block of pixels; ``mask_ptr`` may be None."""
    start = tl.program_id(0).to(tl.int64) * block
    pixel = start + tl.arange(0, block)
    counted = pixel < num_pixels
    if mask_ptr is not None:
        counted = counted & (tl.load(mask_ptr + pixel, mask=counted, other=0) != 0)
    value = tl.load(values_ptr + pixel, mask=counted, other=0).to(tl.int32)

    # Most of a mammogram is one background value. Its pixels would queue at a single counter, so the
    # pixels that equal the block's first one are summed in registers and added once.
    first = tl.load(values_ptr + start).to(tl.int32)
    same = value == first
    num_same = tl.sum((counted & same).to(tl.int32), axis=0).to(tl.int64)
    tl.atomic_add(counts_ptr + first, num_same, sem="relaxed")
    one = tl.full((block,), 1, tl.int64)
    tl.atomic_add(counts_ptr + value, one, mask=counted & (value != first), sem="relaxed")
