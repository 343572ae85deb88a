"""The canvas's definition."""

from __future__ import annotations

import torch
from torch import Tensor

from mammosweep_kernels.canvas.layout import CanvasLayout

__all__ = ["area_weights", "place", "to_canvas_reference"]

# Shapes:  H, W stored pixels   h, w crop   R, C network pixels   P cells   L pixels


def to_canvas_reference(stored_HW: Tensor, table: Tensor, layout: CanvasLayout) -> Tensor:
    """The mean of each cell's footprint as a product of two matrices, in float64."""
    level_hw = table.double()[layout.crop(stored_HW).to(torch.int64)]
    (rows, columns), (net_rows, net_columns) = layout.crop_size, layout.net_size
    down_Rh = area_weights(rows, net_rows).to(stored_HW.device)
    across_Cw = area_weights(columns, net_columns).to(stored_HW.device)
    return place(down_Rh @ level_hw @ across_Cw.T, layout)


def area_weights(length: int, cells: int) -> Tensor:
    """(P, L) float64: the part of each of P equal cells over L pixels that each pixel covers.

    Lengths are in units of 1/P pixel, so that every edge and every overlap is a whole number.
    """
    cell_P1 = torch.arange(cells)[:, None] * length
    pixel_1L = torch.arange(length)[None, :] * cells
    overlap_PL = torch.minimum(cell_P1 + length, pixel_1L + cells) - torch.maximum(cell_P1, pixel_1L)
    return overlap_PL.clamp(min=0).double() / length


def place(level: Tensor, layout: CanvasLayout) -> Tensor:
    """Normalise the crop's (R, C) levels, mirror them and lay them at the canvas's top left."""
    net_RC = (level - layout.low) / (layout.high - layout.low)
    if layout.clip is not None:
        net_RC = net_RC.clamp(*layout.clip)
    if layout.mirrored:
        net_RC = net_RC.flip(1)
    rows, columns = layout.net_size
    canvas = torch.full(layout.canvas_size, layout.pad_value, dtype=layout.dtype, device=level.device)
    canvas[:rows, :columns] = net_RC.to(layout.dtype)
    return canvas
