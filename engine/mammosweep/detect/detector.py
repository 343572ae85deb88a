"""The detector seam, and the detector: plans, and what happens between them.

`Detector` takes a batch and gives each present view its candidates in network pixels. Looks go through the
dense plan, regions through the head plan; nothing in between waits for the device, and everything comes to
the host once.
"""

# Shapes:  N canvases   V views (B * S slots)   R regions   D detections of one look   K candidates

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor

from mammosweep.bundle.manifest import DetectorSpec
from mammosweep.config import FlipMode
from mammosweep.detect.buckets import ExamBatch
from mammosweep.detect.flips import IDENTITY, LOOKS, Flip, Merged, merge_looks
from mammosweep.detect.plans.seam import DenseOutput, Plan, PlanAbout
from mammosweep.detect.proposals import Detections, propose, what_regions_hold
from mammosweep.records import LESION_TYPES, LesionType
from mammosweep_kernels import roi_align

__all__ = ["Candidates", "Detector", "PlannedDetector"]

Levels = tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class Candidates:
    """What the detector found in one view, strongest first."""

    boxes: Tensor  # (K, 4) xyxy network pixels, float32 on the CPU
    labels: Tensor  # (K,) int64, 1 + index in LESION_TYPES
    scores: Tensor  # (K,) float32
    votes: Tensor  # (K,) int64
    embeddings: Tensor = field(repr=False)  # (K, D) float32


class Detector(Protocol):
    """Finds lesion candidates in normalised views."""

    about: PlanAbout

    def exams_at_once(self, size: tuple[int, int]) -> int:
        """How many exams (views, without fusion) of (H, W) it takes in one batch; 0: any number."""

    def __call__(self, batch: ExamBatch) -> list[Candidates]:
        """One entry for each present view of the batch, in its order."""


class PlannedDetector:
    """Four-view Faster R-CNN with test-time flips, on whatever plan computes its networks."""

    def __init__(
        self, plan: Plan, spec: DetectorSpec, lesion_types: Sequence[LesionType], flips: FlipMode
    ) -> None:
        self.about = plan.about
        self._plan = plan
        self._spec = spec
        self._looks = LOOKS[flips]
        self._known = [1 + LESION_TYPES.index(t) for t in lesion_types]

    def exams_at_once(self, size: tuple[int, int]) -> int:
        """See `Detector`."""
        return self._plan.exams_at_once(size)

    @torch.inference_mode()
    def __call__(self, batch: ExamBatch) -> list[Candidates]:
        """Candidates of each present view: all looks, merged, the strongest kept, with their embeddings."""
        device, spec = self.about.device, self._spec
        # Only from pinned memory does a copy to a GPU run beside what the host does next.
        host = batch.pixels.pin_memory() if device.type == "cuda" else batch.pixels
        pixels = host.to(device, non_blocking=True)
        present = batch.present.to(device, non_blocking=True)
        plain, looks = self._looks_at(pixels, present, batch)
        merged = self._kept(
            merge_looks(
                looks,
                spec.merge_iou,
                spec.candidates_per_view,
                spec.flip_merge,
                across_types=spec.merge_types,
            )
        )
        embeddings = self._representation(plain, merged.boxes, merged.scores > 0)
        return self._on_the_host(merged, embeddings, batch.present.flatten())

    @torch.inference_mode()
    def embed(self, batch: ExamBatch, boxes: Sequence[Tensor]) -> list[Tensor]:
        """(K, D) representations of boxes that somebody else found, one entry for each present view.

        Args:
            batch: as for a call.
            boxes: of each present view (K, 4) xyxy network pixels.
        """
        dense = self._plan.dense(batch.pixels, batch.present, (IDENTITY,))
        kept = batch.present.flatten()
        levels = dense.levels if self._plan.skips_missing else tuple(level[kept] for level in dense.levels)
        found = []
        for row, some in enumerate(boxes):
            one_view = tuple(level[row : row + 1] for level in levels)
            regions = self._regions(one_view, some[None].to(levels[0].device))
            found.append(self._plan.head(regions).representation.float().cpu())
        return found

    def _looks_at(self, pixels: Tensor, present: Tensor, batch: ExamBatch) -> tuple[Levels, list[Detections]]:
        """The levels of the image alone, and what every look saw, its boxes mapped back."""
        plain: Levels = ()
        seen: dict[Flip, Detections] = {}
        # One by one the image alone comes last: its levels are still there when candidates are known.
        one_by_one = [(look,) for look in reversed(self._looks)]
        for looks in [self._looks] if self._plan.looks_at_once else one_by_one:
            dense = self._plan.dense(pixels, present, looks)
            every = self._detections(dense, batch, looks)
            num_views = dense.logits.shape[0] // len(looks)
            plain = tuple(level[:num_views] for level in dense.levels)
            for i, look in enumerate(looks):
                rows = slice(i * num_views, (i + 1) * num_views)
                boxes = look.undo(every.boxes[rows], batch.size)
                seen[look] = self._known_only(Detections(boxes, every.labels[rows], every.scores[rows]))
        return plain, [seen[look] for look in self._looks]

    def _detections(self, dense: DenseOutput, batch: ExamBatch, looks: Sequence[Flip]) -> Detections:
        size, spec = batch.size, self._spec
        regions, valid = propose(dense.logits, dense.deltas, dense.anchors, size, spec)
        if not self._plan.skips_missing and not bool(batch.present.all()):
            there = batch.present.flatten().repeat(len(looks))
            valid = valid & there.to(valid.device, non_blocking=True)[:, None]
        head = self._plan.head(self._regions(dense.levels, regions))
        logits = head.logits.view(*valid.shape, -1)
        deltas = head.deltas.view(*valid.shape, -1, 4)
        return what_regions_hold(logits, deltas, regions, valid, size, spec)

    def _regions(self, levels: Levels, boxes_VK4: Tensor) -> Tensor:
        """(V * K, C, 7, 7) what the pyramid holds in each box."""
        # The kernel takes levels from stride 4 on; twice as coarse ones are those of boxes half as large.
        finer = 4 / self._spec.strides[0]
        return roi_align(levels, boxes_VK4 if finer == 1 else boxes_VK4 * finer).flatten(0, 1)

    def _known_only(self, found: Detections) -> Detections:
        """Without types that the bundle was not fitted for."""
        known = torch.tensor(self._known, device=found.labels.device)
        return replace(found, scores=torch.where(torch.isin(found.labels, known), found.scores, 0.0))

    def _kept(self, merged: Merged) -> Merged:
        """Only what still reaches the floor."""
        keep = merged.scores >= self._spec.score_floor
        return replace(merged, scores=torch.where(keep, merged.scores, 0.0))

    def _representation(self, levels: Levels, boxes_VK4: Tensor, there_VK: Tensor) -> Tensor:
        """(V, K, D) the box head's representation of candidates, from the image alone."""
        if boxes_VK4.is_cuda or bool(there_VK.all()):
            regions = self._regions(levels, boxes_VK4)
            return self._plan.head(regions).representation.float().view(*there_VK.shape, -1)
        # On a CPU nobody waits for a number that the host must know, and most rows are empty.
        most = max(int(there_VK.sum(dim=1).max()), 1)
        order = (~there_VK).to(torch.int8).argsort(dim=1, stable=True)[:, :most]
        boxes = boxes_VK4.gather(1, order[..., None].expand(-1, -1, 4))
        some = self._plan.head(self._regions(levels, boxes)).representation.float()
        every = some.new_zeros((*there_VK.shape, some.shape[1]))
        return every.scatter(1, order[..., None].expand(-1, -1, some.shape[1]), some.view(*order.shape, -1))

    def _on_the_host(self, merged: Merged, embeddings: Tensor, present: Tensor) -> list[Candidates]:
        host = [t.cpu() for t in (merged.boxes, merged.labels, merged.scores, merged.votes, embeddings)]
        rows = range(len(host[0])) if self._plan.skips_missing else present.nonzero().flatten().tolist()
        found = []
        for row in rows:
            keep = host[2][row] > 0
            found.append(Candidates(*(part[row][keep] for part in host)))
        return found
