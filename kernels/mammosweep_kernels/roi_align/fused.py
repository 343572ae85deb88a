# Triton ships no types, and a kernel's parameters are typed by its launch.
# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"
"""Regions of a pyramid in Triton: a program fills all bins of one box and one block of channels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton  # type: ignore[import-untyped, unused-ignore]
import triton.language as tl  # type: ignore[import-untyped, unused-ignore]
from torch import Tensor

from mammosweep_kernels.roi_align.sampling import LEVEL_AREAS, SIDE

__all__ = ["roi_align_fused", "roi_align_kernel"]

# 128 bytes of a cell in 16 bits, one line of the cache.
BLOCK_CHANNELS = 64


def roi_align_fused(levels_NChw: Sequence[Tensor], boxes_NR4: Tensor) -> Tensor:
    """Same contract as `roi_align_reference`, for CUDA tensors."""
    num_canvases, num_boxes = boxes_NR4.shape[:2]
    channels = levels_NChw[0].shape[1]
    regions = levels_NChw[0].new_empty((num_canvases, num_boxes, channels, SIDE, SIDE))
    if regions.numel() > 0:
        with torch.cuda.device_of(boxes_NR4):
            roi_align_kernel[(num_canvases * num_boxes, triton.cdiv(channels, BLOCK_CHANNELS))](
                boxes_NR4.contiguous(),
                regions,
                *levels_NChw,
                *(stride for level in levels_NChw for stride in level.stride()),
                *(size for level in levels_NChw for size in level.shape[2:]),
                num_boxes,
                channels,
                *LEVEL_AREAS,
                block_channels=BLOCK_CHANNELS,
                enable_fp_fusion=False,  # samples lie where the reference's do, to the last bit
            )
    return regions


@triton.jit
def of_level(level, first, second, third, fourth):
    """The one of four scalars that belongs to a level."""
    return tl.where(level == 0, first, tl.where(level == 1, second, tl.where(level == 2, third, fourth)))


@triton.jit
def tap(start, per_bin, step, length, number):
    """Along one axis, the cell and the weight of one of each bin's four taps: ``_taps`` of the CPU path."""
    at = (start + step * per_bin) + (number // 2 + 0.5) * per_bin * 0.5
    inside = (at >= -1.0) & (at <= length)
    at = tl.minimum(tl.maximum(tl.where(inside, at, 0.0), 0.0), length - 1.0)
    low = tl.floor(at)
    beyond = at - low
    is_low = number % 2 == 0
    cell = tl.where(is_low, low, tl.minimum(low + 1.0, length - 1.0))
    weight = tl.where(is_low, 1.0 - beyond, beyond)
    return cell.to(tl.int64), tl.where(inside, weight * 0.5, 0.0)


# Strides are specialised on: a channel stride of 1 gives wide loads. The rest would only compile more often.
@triton.jit(
    do_not_specialize=[
        *("rows0", "columns0", "rows1", "columns1", "rows2", "columns2", "rows3", "columns3"),
        *("num_boxes", "area1", "area2", "area3"),
    ]
)
def roi_align_kernel(
    boxes_ptr,
    regions_ptr,
    level0_ptr,
    level1_ptr,
    level2_ptr,
    level3_ptr,
    canvas_stride0,
    channel_stride0,
    row_stride0,
    column_stride0,
    canvas_stride1,
    channel_stride1,
    row_stride1,
    column_stride1,
    canvas_stride2,
    channel_stride2,
    row_stride2,
    column_stride2,
    canvas_stride3,
    channel_stride3,
    row_stride3,
    column_stride3,
    rows0,
    columns0,
    rows1,
    columns1,
    rows2,
    columns2,
    rows3,
    columns3,
    num_boxes,
    channels,
    area1,
    area2,
    area3,
    block_channels: tl.constexpr,
):
    """Fill a box's 49 bins of one block of channels; the first axis of the grid is the box."""
    box = tl.program_id(0).to(tl.int64)
    x1, y1 = tl.load(boxes_ptr + box * 4), tl.load(boxes_ptr + box * 4 + 1)
    x2, y2 = tl.load(boxes_ptr + box * 4 + 2), tl.load(boxes_ptr + box * 4 + 3)
    area = (x2 - x1) * (y2 - y1)
    level = (area >= area1).to(tl.int32) + (area >= area2).to(tl.int32) + (area >= area3).to(tl.int32)

    level_ptr = of_level(level, level0_ptr, level1_ptr, level2_ptr, level3_ptr)
    canvas_stride = of_level(level, canvas_stride0, canvas_stride1, canvas_stride2, canvas_stride3)
    channel_stride = of_level(level, channel_stride0, channel_stride1, channel_stride2, channel_stride3)
    row_stride = of_level(level, row_stride0, row_stride1, row_stride2, row_stride3)
    column_stride = of_level(level, column_stride0, column_stride1, column_stride2, column_stride3)
    rows = of_level(level, rows0, rows1, rows2, rows3)
    columns = of_level(level, columns0, columns1, columns2, columns3)
    per_pixel = of_level(level, 1 / 4, 1 / 8, 1 / 16, 1 / 32)

    left, top = x1 * per_pixel, y1 * per_pixel
    across = tl.div_rn(tl.maximum(x2 * per_pixel - left, 1.0), 7.0)
    down = tl.div_rn(tl.maximum(y2 * per_pixel - top, 1.0), 7.0)

    channel = tl.program_id(1) * block_channels + tl.arange(0, block_channels)
    bin_index = tl.arange(0, 64)
    there = (bin_index < 49)[:, None] & (channel < channels)[None, :]
    canvas_ptr = level_ptr + box // num_boxes * canvas_stride
    channel_offset = channel.to(tl.int64) * channel_stride
    total = tl.zeros((64, block_channels), tl.float32)
    for number in range(16):
        row, row_weight = tap(top, down, (bin_index // 7).to(tl.float32), rows, number // 4)
        column, column_weight = tap(left, across, (bin_index % 7).to(tl.float32), columns, number % 4)
        cell_offset = row * row_stride + column * column_stride
        value = tl.load(canvas_ptr + cell_offset[:, None] + channel_offset[None, :], mask=there, other=0.0)
        total += (row_weight * column_weight)[:, None] * value.to(tl.float32)
    total = tl.where(area >= 0, total, 0.0)
    offset = (box * channels + channel[None, :]) * 49 + bin_index[:, None]
    tl.store(regions_ptr + offset, total.to(regions_ptr.dtype.element_ty), mask=there)
