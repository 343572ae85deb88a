"""Regions of a pyramid on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from mammosweep_kernels.roi_align.sampling import BINS, SAMPLES, SIDE, STRIDES, level_of

__all__ = ["roi_align_cpu"]

# Shapes:  N canvases   R boxes a canvas   M boxes   C channels   h, w cells of a level
#          P = 7 bins across or down   S = 2 samples   T = 4 taps of a bin across or down   Q = 16 of both

# Of 256 channels in float32 6 MB, which the cache still holds when they are moved into place.
BOXES_AT_ONCE = 128


def roi_align_cpu(levels_NChw: Sequence[Tensor], boxes_NR4: Tensor) -> Tensor:
    """Same contract as `roi_align_reference`, for CPU tensors.

    A level with its channels last is a table of one row a cell; a bin is the weighted sum of 16 of its rows
    (4 samples of 4 cells each), which is what an embedding bag is. torchvision reads one channel at a time
    from levels that it first copies to channels first.
    """
    channels = levels_NChw[0].shape[1]
    boxes_M4 = boxes_NR4.reshape(-1, 4)
    canvas_M = torch.arange(boxes_NR4.shape[0]).repeat_interleave(boxes_NR4.shape[1])
    level_M = level_of(boxes_M4)
    regions_MCB = levels_NChw[0].new_empty((len(boxes_M4), channels, BINS))
    regions_MCB.index_fill_(0, (level_M < 0).nonzero().flatten(), 0)
    for index, (level_NChw, stride) in enumerate(zip(levels_NChw, STRIDES, strict=True)):
        chosen = (level_M == index).nonzero().flatten()
        if len(chosen) == 0:
            continue
        # A view of a level in channels-last memory, a copy of any other.
        cells_NhwC = level_NChw.permute(0, 2, 3, 1).contiguous()
        for part in torch.split(chosen, BOXES_AT_ONCE):
            bins_MBC = _bins(cells_NhwC, canvas_M[part], boxes_M4[part], stride)
            regions_MCB.index_copy_(0, part, bins_MBC.transpose(1, 2))
    return regions_MCB.view(*boxes_NR4.shape[:2], channels, SIDE, SIDE)


def _bins(cells_NhwC: Tensor, canvas_M: Tensor, boxes_M4: Tensor, stride: int) -> Tensor:
    """(M, 49, C) the bins of boxes that are all read from one level."""
    rows, columns, channels = cells_NhwC.shape[1:]
    x1, y1, x2, y2 = (boxes_M4 * (1 / stride)).unbind(-1)
    row_MPT, down_MPT = _taps(y1, y2, rows)
    column_MPT, across_MPT = _taps(x1, x2, columns)
    row_MPT = (row_MPT + canvas_M.to(torch.int32)[:, None, None] * rows) * columns
    cell = _each_with_each(torch.add, row_MPT, column_MPT)
    weight = _each_with_each(torch.mul, down_MPT, across_MPT)
    table = cells_NhwC.view(-1, channels)
    if table.dtype != torch.float32:
        cell, weight = _in_two_parts(cell, weight, table.dtype)
    return embedding_bag(cell, table, mode="sum", per_sample_weights=weight).view(-1, BINS, channels)


def _taps(start_M: Tensor, end_M: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Along one axis, the cells (int32) that each bin reads, and their weights: two (M, P, T).

    Operations and their order are those of torchvision's ``pre_calc_for_bilinear_interpolate``: a sample more
    than a cell outside weighs nothing, one at the edge is the edge's cell, and no box is smaller than a cell.
    """
    bin_M11 = ((end_M - start_M).clamp(min=1.0) / SIDE)[:, None, None]
    middle_S = torch.arange(SAMPLES) + 0.5
    at_MPS = (start_M[:, None, None] + torch.arange(SIDE)[:, None] * bin_M11) + middle_S * bin_M11 / SAMPLES
    inside_MPS = (at_MPS >= -1.0) & (at_MPS <= length)
    at_MPS = torch.where(inside_MPS, at_MPS, 0.0).clamp(0.0, length - 1)
    low_MPS = at_MPS.floor()
    beyond_MPS = at_MPS - low_MPS
    cell = torch.stack([low_MPS, (low_MPS + 1).clamp(max=length - 1)], dim=-1).to(torch.int32)
    weight = torch.stack([1 - beyond_MPS, beyond_MPS], dim=-1) * (inside_MPS / SAMPLES)[..., None]
    return cell.flatten(2), weight.flatten(2)


def _each_with_each(
    combined: Callable[[Tensor, Tensor], Tensor], down_MPT: Tensor, across_MPT: Tensor
) -> Tensor:
    """(M * 49, Q) what the taps of every bin down make of those of every bin across.

    Both are written out for a bin's 16 taps first: one product over five axes takes three times as long.
    """
    num_taps = across_MPT.shape[2]
    down_MPQ = down_MPT[:, :, :, None].expand(-1, -1, -1, num_taps).flatten(2)
    across_MPQ = across_MPT[:, :, None, :].expand(-1, -1, num_taps, -1).flatten(2)
    return combined(down_MPQ[:, :, None], across_MPQ[:, None]).flatten(0, 2)


def _in_two_parts(cell: Tensor, weight: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Every cell twice, with a weight of 16 bits and with what that leaves of it.

    An embedding bag's weights have the table's type, although it sums in float32.
    """
    large = weight.to(dtype)
    small = (weight - large.float()).to(dtype)
    return torch.cat([cell, cell], dim=1), torch.cat([large, small], dim=1)
