"""Test-time flips: what each look sees, how its boxes come back, and how the looks agree on candidates."""

# Shapes:  F looks   V views   D detections of one look   K candidates   boxes xyxy in network pixels

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mammosweep.bundle.manifest import FlipMerge
from mammosweep.config import FlipMode
from mammosweep.detect.proposals import Detections
from mammosweep_kernels import suppress

__all__ = ["LOOKS", "Flip", "Merged", "merge_looks"]


@dataclass(frozen=True, slots=True)
class Flip:
    """One way to look at a canvas."""

    horizontal: bool
    vertical: bool

    def apply(self, pixels_HW: Tensor) -> Tensor:
        """Flip the last two dimensions."""
        dims = [d for d, flipped in ((-1, self.horizontal), (-2, self.vertical)) if flipped]
        return pixels_HW.flip(dims) if dims else pixels_HW

    def undo(self, boxes: Tensor, size: tuple[int, int]) -> Tensor:
        """Move boxes (..., 4) found on the flipped canvas of (rows, columns) back."""
        x1, y1, x2, y2 = boxes.unbind(-1)
        if self.horizontal:
            x1, x2 = size[1] - x2, size[1] - x1
        if self.vertical:
            y1, y2 = size[0] - y2, size[0] - y1
        return torch.stack([x1, y1, x2, y2], dim=-1)


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
class Merged:
    """What the looks agree on in V views, strongest first; a score of 0 marks an empty row."""

    boxes: Tensor  # (V, K, 4)
    labels: Tensor  # (V, K) int64, 1 + index in LESION_TYPES
    scores: Tensor  # (V, K)
    votes: Tensor  # (V, K) int64, looks that saw it


def merge_looks(
    looks: list[Detections], iou: float, limit: int, how: FlipMerge, *, across_types: bool = False
) -> Merged:
    """Make one list a view of what F looks saw, already mapped back.

    Boxes of one type (of any, with ``across_types``: the surest gives the type) that overlap by more than
    ``iou`` are one candidate. Its score is the mean over the
    looks of the best overlapping score (0 where a look saw nothing), its votes are the looks that saw it. Its
    box is the strongest one, or the mean of all weighted by their scores. At most ``limit`` are kept,
    strongest first.
    """
    boxes = torch.cat([look.boxes for look in looks], dim=1)
    labels = torch.cat([look.labels for look in looks], dim=1)
    scores = torch.cat([look.scores for look in looks], dim=1)
    scores, order = scores.sort(dim=1, descending=True, stable=True)
    boxes, labels = boxes.gather(1, order[..., None].expand(-1, -1, 4)), labels.gather(1, order)
    groups = torch.zeros_like(labels) if across_types else labels
    same = _same(boxes, groups, scores, iou)
    keep = _strongest(boxes, groups, scores, iou)
    by_look = _best_of_each_look(same, scores, order, [look.scores.shape[1] for look in looks])
    mean, index = torch.where(keep, by_look.mean(dim=0), 0.0).topk(min(limit, keep.shape[1]), dim=1)
    if how is FlipMerge.WEIGHTED:
        boxes = _weighted(boxes, same, scores)
    votes = (by_look > 0).sum(dim=0).gather(1, index)
    return Merged(
        boxes.gather(1, index[..., None].expand(-1, -1, 4)),
        labels.gather(1, index),
        mean,
        torch.where(mean > 0, votes, 0),
    )


def _strongest(boxes: Tensor, labels: Tensor, scores: Tensor, iou: float) -> Tensor:
    """(V, K) which candidates no stronger one of their type covers."""
    # Types are moved apart, so that one suppression serves all of them.
    apart = labels[..., None] * (boxes.amax() + 1)
    return suppress(boxes + apart, scores > 0, iou)


def _same(boxes: Tensor, labels: Tensor, scores: Tensor, iou: float) -> Tensor:
    """(V, K, K) which candidates stand for one lesion: of one type, overlapping, neither empty."""
    low = torch.maximum(boxes[:, :, None, :2], boxes[:, None, :, :2])
    high = torch.minimum(boxes[:, :, None, 2:], boxes[:, None, :, 2:])
    shared = (high - low).clamp(min=0).prod(dim=-1)
    area = (boxes[..., 2:] - boxes[..., :2]).prod(dim=-1)
    union = area[:, :, None] + area[:, None, :] - shared
    there = scores > 0
    return (
        (shared > iou * union)
        & (labels[:, :, None] == labels[:, None, :])
        & (there[:, :, None] & there[:, None, :])
    )


def _best_of_each_look(same: Tensor, scores: Tensor, order: Tensor, widths: list[int]) -> Tensor:
    """(F, V, K) the best score of each look among the boxes that are the same as each candidate."""
    ends = torch.tensor(widths).cumsum(0).tolist()
    looks = [(order >= end - width) & (order < end) for width, end in zip(widths, ends, strict=True)]
    return torch.stack(
        [torch.where(same & look[:, None], scores[:, None], 0.0).amax(dim=2) for look in looks]
    )


def _weighted(boxes: Tensor, same: Tensor, scores: Tensor) -> Tensor:
    """(V, K, 4) of each candidate the mean of the boxes that are the same, weighted by score."""
    weights = same * scores[:, None]
    mean: Tensor = weights @ boxes / weights.sum(dim=2, keepdim=True).clamp(min=torch.finfo().tiny)
    return mean
