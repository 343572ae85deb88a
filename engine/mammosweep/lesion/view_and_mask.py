"""What the quadrant and depth networks see: the whole view and the lesion's mask, on one coarse grid."""

# Shapes:  K findings   H, W network pixels   h, w coarse pixels

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mammosweep.pixels.normalise import GRAY_RANGE

__all__ = ["COARSE_MM", "COARSE_SHAPE", "ViewAndMaskTrunk", "box_masks", "coarse_view", "view_and_mask"]

COARSE_MM = 2.0
"""A lesion's place needs no finer grid: the nipple and the pectoral line are visible at 2 mm."""

COARSE_SHAPE = (144, 112)
"""288 x 224 mm, larger than any breast; rows, columns."""


def view_and_mask(view_HW: Tensor, boxes_K4: Tensor, grid_mm: float) -> Tensor:
    """(K, 2, h, w): the view (chest wall left) and each box's mask, in every coarse pixel its share.

    Args:
        view_HW: normalised gray on the network's grid.
        boxes_K4: xyxy network pixels.
        grid_mm: side of a network pixel.
    """
    masks = box_masks(boxes_K4, grid_mm)
    return torch.stack([coarse_view(view_HW, grid_mm).expand_as(masks), masks], dim=1)


def coarse_view(view_HW: Tensor, grid_mm: float) -> Tensor:
    """(h, w): the view on the coarse grid, air where it ends."""
    scale = grid_mm / COARSE_MM
    rows, columns = (min(round(n * scale), m) for n, m in zip(view_HW.shape, COARSE_SHAPE, strict=True))
    small = functional.interpolate(view_HW[None, None], size=(max(rows, 1), max(columns, 1)), mode="area")
    view = view_HW.new_full(COARSE_SHAPE, GRAY_RANGE[0])
    view[:rows, :columns] = small[0, 0, :rows, :columns]
    return view


def box_masks(boxes_K4: Tensor, grid_mm: float) -> Tensor:
    """(K, h, w): the share of each coarse pixel that a box covers."""
    x1, y1, x2, y2 = (boxes_K4 * grid_mm / COARSE_MM)[:, :, None].unbind(1)
    across = _overlap(x1, x2, COARSE_SHAPE[1], boxes_K4)
    down = _overlap(y1, y2, COARSE_SHAPE[0], boxes_K4)
    return down[:, :, None] * across[:, None, :]


def _overlap(start_K1: Tensor, stop_K1: Tensor, num: int, like: Tensor) -> Tensor:
    edges = torch.arange(num, dtype=like.dtype, device=like.device)
    return (torch.minimum(stop_K1, edges + 1) - torch.maximum(start_K1, edges)).clamp(0, 1)


class ViewAndMaskTrunk(nn.Module):
    """Convolutions down to 9 x 7 cells that keep their place, then one vector."""

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(*_block(2, 16), *_block(16, 24), *_block(24, 32), *_block(32, 48))
        cells = (COARSE_SHAPE[0] // 16) * (COARSE_SHAPE[1] // 16)
        self.vector = nn.Sequential(nn.Flatten(), nn.Linear(48 * cells, width), nn.ReLU())

    def forward(self, view_and_mask_K2hw: Tensor) -> Tensor:
        """(K, width)."""
        return self.vector(self.convolutions(view_and_mask_K2hw))  # type: ignore[no-any-return]


def _block(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.GroupNorm(4, outputs), nn.ReLU()]
