"""Between the plans: from anchors to regions, and from what the box head says of regions to detections.

Every shape is fixed and nothing waits for a device: what is not there is a row that is not valid. The numbers
are those of torchvision's `RegionProposalNetwork` and `RoIHeads`.
"""

# Shapes:  N canvases   A anchors a cell   K top anchors of all levels   R regions   T lesion types
#          D detections

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from mammosweep.bundle.manifest import STRIDES, DetectorSpec
from mammosweep_kernels import suppress

__all__ = ["Detections", "anchor_boxes", "level_counts", "propose", "top_anchors", "what_regions_hold"]

MAX_LOG_SCALE = math.log(1000.0 / 16)  # torchvision's and Detectron's limit of a box's growth
HEAD_WEIGHTS = (10.0, 10.0, 5.0, 5.0)  # of the box head's deltas (Girshick 2015), torchvision's default
MIN_PROPOSAL, MIN_DETECTION = 1e-3, 1e-2  # network pixels; torchvision drops smaller sides

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Detections:
    """What one look saw in N canvases, strongest first; a score of 0 marks an empty row."""

    boxes: Tensor  # (N, D, 4) xyxy network pixels
    labels: Tensor  # (N, D) int64, 1 + index in LESION_TYPES
    scores: Tensor  # (N, D)


def top_anchors(
    objectness: Sequence[Tensor], deltas: Sequence[Tensor], per_level: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The strongest anchors of each level, one level behind the other.

    Args:
        objectness: of each level (N, A, h, w) logits.
        deltas: of each level (N, 4 * A, h, w).
        per_level: how many, where a level has so many.

    Returns:
        Logits (N, K), deltas (N, K, 4), and the anchors' index (N, K) among all of a canvas.
    """
    found, first = [], 0
    for logits, moves in zip(objectness, deltas, strict=True):
        num_anchors = logits.shape[1]
        flat_NM = logits.permute(0, 2, 3, 1).flatten(1)
        by_anchor = moves.reshape(moves.shape[0], num_anchors, 4, *moves.shape[2:])
        moves_NM4 = by_anchor.permute(0, 3, 4, 1, 2).flatten(1, 3)
        values, index = flat_NM.topk(min(per_level, flat_NM.shape[1]), dim=1)
        moves_NK4 = moves_NM4.gather(1, index[..., None].expand(-1, -1, 4))
        found.append((values, moves_NK4, index + first))
        first += flat_NM.shape[1]
    logits_NK, deltas_NK4, anchors_NK = (torch.cat(part, dim=1) for part in zip(*found, strict=True))
    return logits_NK, deltas_NK4, anchors_NK


def level_counts(size: Size, spec: DetectorSpec) -> tuple[int, ...]:
    """How many anchors each level of a canvas passes on; their sum is K."""
    cells = [math.ceil(size[0] / stride) * math.ceil(size[1] / stride) for stride in spec.strides]
    return tuple(min(spec.proposals_per_level, n * len(spec.aspect_ratios)) for n in cells)


@lru_cache(maxsize=64)
def anchor_boxes(
    size: Size, sizes: tuple[float, ...], ratios: tuple[float, ...], device: torch.device
) -> Tensor:
    """(M, 4) every anchor of a canvas, in torchvision's order: level, row, column, aspect ratio."""
    ratio = torch.tensor(ratios)
    levels = []
    for stride, side in zip(STRIDES[-len(sizes) :], sizes, strict=True):
        heights, widths = torch.sqrt(ratio) * side, 1 / torch.sqrt(ratio) * side
        cell = (torch.stack([-widths, -heights, widths, heights], dim=1) / 2).round()
        rows, columns = math.ceil(size[0] / stride), math.ceil(size[1] / stride)
        # Where a level's cells do not divide the canvas, torchvision's anchors lie a little closer together.
        down, across = size[0] // rows, size[1] // columns
        y, x = torch.meshgrid(torch.arange(rows) * down, torch.arange(columns) * across, indexing="ij")
        corners = torch.stack([x, y, x, y], dim=-1).reshape(-1, 1, 4)
        levels.append((corners + cell).reshape(-1, 4))
    return torch.cat(levels).to(device)


def propose(
    logits_NK: Tensor, deltas_NK4: Tensor, anchors_NK: Tensor, size: Size, spec: DetectorSpec
) -> tuple[Tensor, Tensor]:
    """The regions that the box head shall judge.

    Args:
        logits_NK: objectness of the top anchors, strongest first within a level.
        deltas_NK4: their box deltas.
        anchors_NK: their index among the canvas's anchors.
        size: (H, W) of the canvas.
        spec: how many regions, and how far they may overlap.

    Returns:
        Regions (N, R, 4), strongest first, xyxy network pixels; and (N, R) bool, which of them are any.
    """
    table = anchor_boxes(size, spec.anchor_sizes, spec.aspect_ratios, logits_NK.device)
    boxes_NK4 = _within(_moved(table[anchors_NK], deltas_NK4.float(), (1.0, 1.0, 1.0, 1.0)), size)
    keep_NK = _kept_by_level(boxes_NK4, level_counts(size, spec), spec.proposal_iou)
    scores_NK = torch.where(keep_NK, logits_NK.float().sigmoid(), -1.0)
    best_NR, index_NR = scores_NK.topk(min(spec.proposals, scores_NK.shape[1]), dim=1)
    return boxes_NK4.gather(1, index_NR[..., None].expand(-1, -1, 4)), best_NR >= 0


def _kept_by_level(boxes_NK4: Tensor, counts: tuple[int, ...], iou: float) -> Tensor:
    """(N, K) which boxes no stronger one of their level covers; levels are groups of one suppression."""
    widest = max(counts)
    groups = torch.stack(
        [
            functional.pad(part, (0, 0, 0, widest - part.shape[1]))
            for part in torch.split(boxes_NK4, list(counts), dim=1)
        ],
        dim=1,
    )
    keep_NLK = suppress(groups.flatten(0, 1), _at_least(groups, MIN_PROPOSAL).flatten(0, 1), iou)
    levels = keep_NLK.view(-1, len(counts), widest).unbind(1)
    return torch.cat([level[:, :count] for level, count in zip(levels, counts, strict=True)], dim=1)


def what_regions_hold(
    logits_NRC: Tensor,
    deltas_NRC4: Tensor,
    regions_NR4: Tensor,
    valid_NR: Tensor,
    size: Size,
    spec: DetectorSpec,
) -> Detections:
    """Lesions of each canvas: of each type, what reaches the floor and is covered by nothing stronger.

    Args:
        logits_NRC: class logits, background first.
        deltas_NRC4: box deltas of every class.
        regions_NR4: the regions that were judged.
        valid_NR: which of them are any.
        size: (H, W) of the canvas.
        spec: floor, overlap and number.
    """
    scores_NTR = logits_NRC.float().softmax(dim=2)[..., 1:].transpose(1, 2)
    boxes_NRT4 = _moved(regions_NR4[:, :, None], deltas_NRC4[:, :, 1:].float(), HEAD_WEIGHTS)
    boxes_NTR4 = _within(boxes_NRT4, size).transpose(1, 2)
    scores_NTR, order_NTR = scores_NTR.sort(dim=2, descending=True, stable=True)
    boxes_NTR4 = boxes_NTR4.gather(2, order_NTR[..., None].expand(-1, -1, -1, 4))
    valid_NTR = valid_NR[:, None].expand_as(order_NTR).gather(2, order_NTR)
    valid_NTR = valid_NTR & (scores_NTR > spec.score_floor) & _at_least(boxes_NTR4, MIN_DETECTION)
    keep_NTR = suppress(boxes_NTR4.flatten(0, 1), valid_NTR.flatten(0, 1), spec.merge_iou)
    kept_NTR = torch.where(keep_NTR.view_as(scores_NTR), scores_NTR, 0.0)
    best_ND, index_ND = kept_NTR.flatten(1).topk(min(spec.candidates_per_view, kept_NTR[0].numel()), dim=1)
    return Detections(
        boxes_NTR4.flatten(1, 2).gather(1, index_ND[..., None].expand(-1, -1, 4)),
        1 + index_ND // scores_NTR.shape[2],
        best_ND,
    )


def _moved(boxes: Tensor, deltas: Tensor, weights: tuple[float, float, float, float]) -> Tensor:
    """Boxes (..., 4) moved and scaled by deltas dx, dy, dw, dh (Girshick 2015, appendix C)."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    dx, dy, dw, dh = (delta / weight for delta, weight in zip(deltas.unbind(-1), weights, strict=True))
    width, height = x2 - x1, y2 - y1
    x, y = dx * width + (x1 + 0.5 * width), dy * height + (y1 + 0.5 * height)
    half_width = 0.5 * dw.clamp(max=MAX_LOG_SCALE).exp() * width
    half_height = 0.5 * dh.clamp(max=MAX_LOG_SCALE).exp() * height
    return torch.stack([x - half_width, y - half_height, x + half_width, y + half_height], dim=-1)


def _within(boxes: Tensor, size: Size) -> Tensor:
    """Boxes (..., 4) cut at the canvas's edges."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    rows, columns = size
    return torch.stack(
        [x1.clamp(0, columns), y1.clamp(0, rows), x2.clamp(0, columns), y2.clamp(0, rows)], dim=-1
    )


def _at_least(boxes: Tensor, side: float) -> Tensor:
    """Which boxes (..., 4) are so large."""
    return ((boxes[..., 2:] - boxes[..., :2]) >= side).all(dim=-1)
