"""Test-time flips: what each look sees, how its boxes come back, and how the looks agree on candidates."""

# Shapes:  K boxes, xyxy in network pixels   T lesion types

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import batched_nms, box_iou

from mammosweep.config import FlipMode

__all__ = ["LOOKS", "Boxes", "Flip", "merge_looks"]


@dataclass(frozen=True, slots=True)
class Flip:
    """One way to look at a canvas."""

    horizontal: bool
    vertical: bool

    def apply(self, pixels_HW: Tensor) -> Tensor:
        """Flip the last two dimensions."""
        dims = [d for d, flipped in ((-1, self.horizontal), (-2, self.vertical)) if flipped]
        return pixels_HW.flip(dims) if dims else pixels_HW

    def undo(self, boxes_K4: Tensor, size: tuple[int, int]) -> Tensor:
        """Move boxes found on the flipped canvas of (rows, columns) back."""
        x1, y1, x2, y2 = boxes_K4.unbind(1)
        if self.horizontal:
            x1, x2 = size[1] - x2, size[1] - x1
        if self.vertical:
            y1, y2 = size[0] - y2, size[0] - y1
        return torch.stack([x1, y1, x2, y2], dim=1)


IDENTITY = Flip(horizontal=False, vertical=False)
HORIZONTAL = Flip(horizontal=True, vertical=False)
VERTICAL = Flip(horizontal=False, vertical=True)
BOTH = Flip(horizontal=True, vertical=True)

LOOKS: dict[FlipMode, tuple[Flip, ...]] = {
    FlipMode.NONE: (IDENTITY,),
    FlipMode.H: (IDENTITY, HORIZONTAL),
    FlipMode.HV: (IDENTITY, HORIZONTAL, VERTICAL),
    FlipMode.ALL: (IDENTITY, HORIZONTAL, VERTICAL, BOTH),
}


@dataclass(frozen=True, slots=True)
class Boxes:
    """Candidates of one view."""

    boxes: Tensor  # (K, 4) float32
    labels: Tensor  # (K,) int64, 1 + index in LESION_TYPES
    scores: Tensor  # (K,) float32
    votes: Tensor  # (K,) int64, looks that saw it


def merge_looks(looks: list[Boxes], iou: float, limit: int) -> Boxes:
    """Make one list of what F looks at one view saw, already mapped back.

    Boxes of one type that overlap by more than ``iou`` are one candidate: the strongest box stands for it,
    its score is the mean over the looks of the best overlapping score (0 where a look saw nothing), its
    votes are the looks that saw it. At most ``limit`` candidates are kept, strongest first.
    """
    boxes = torch.cat([look.boxes for look in looks])
    labels = torch.cat([look.labels for look in looks])
    scores = torch.cat([look.scores for look in looks])
    kept = batched_nms(boxes, scores, labels, iou)
    by_look = torch.stack([_best_overlap(boxes[kept], labels[kept], look, iou) for look in looks])
    mean = by_look.mean(dim=0)
    order = torch.argsort(mean, descending=True, stable=True)[:limit]
    return Boxes(boxes[kept][order], labels[kept][order], mean[order], (by_look > 0).sum(dim=0)[order])


def _best_overlap(boxes_K4: Tensor, labels_K: Tensor, look: Boxes, iou: float) -> Tensor:
    """(K,) the best score of a box of the same type in this look that overlaps each candidate."""
    if look.boxes.shape[0] == 0 or boxes_K4.shape[0] == 0:
        return boxes_K4.new_zeros(boxes_K4.shape[0])
    same = (box_iou(boxes_K4, look.boxes) > iou) & (labels_K[:, None] == look.labels[None])
    return torch.where(same, look.scores[None], 0.0).amax(dim=1)
