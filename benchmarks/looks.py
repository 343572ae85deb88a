"""What each flipped look sees, once, so that every way to merge looks can be tried without the networks."""

# Shapes:  V views   F looks   D detections of one look   K candidates

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from benchmarks.cases import Case
from mammosweep.bundle.manifest import DetectorSpec, FlipMerge
from mammosweep.config import FlipMode
from mammosweep.detect.buckets import make_batches
from mammosweep.detect.detector import Candidates, Detector
from mammosweep.detect.flips import LOOKS, Flip, merge_looks
from mammosweep.detect.proposals import Detections
from mammosweep.evaluate.froc import ImageDetections, ImageTruth
from mammosweep.geometry import PixelGrid, clipped
from mammosweep.records import LESION_TYPES, View

__all__ = ["Seen", "look_at", "merged"]

ALL = LOOKS[FlipMode.ALL]


@dataclass(frozen=True, slots=True)
class Seen:
    """What the looks at one view saw, boxes mapped back, and what is in it."""

    view: View
    grid: PixelGrid
    truth: ImageTruth
    looks: tuple[Detections, ...]  # in the order of LOOKS[ALL], of one canvas: (1, D, ...)


def look_at(detector: Detector, case: Case, spec: DetectorSpec) -> list[Seen]:
    """Every view of an exam in every look.

    Args:
        detector: one that does not flip.
        case: the exam.
        spec: the detector's.
    """
    found = []
    for batch in make_batches(case.views, spec):
        by_look = [
            [
                _mapped_back(seen, look, batch.size)
                for seen in detector(replace(batch, pixels=look.apply(batch.pixels)))
            ]
            for look in ALL
        ]
        for i, (view, grid) in enumerate(zip(batch.views, batch.grids, strict=True)):
            found.append(Seen(view, grid, case.truths[view], tuple(looks[i] for looks in by_look)))
    return found


def _mapped_back(seen: Candidates, look: Flip, size: tuple[int, int]) -> Detections:
    return Detections(look.undo(seen.boxes, size)[None], seen.labels[None], seen.scores[None])


def merged(seen: Seen, flips: FlipMode, how: FlipMerge, spec: DetectorSpec) -> ImageDetections:
    """What the detector would report of a view with these flips and this merge, boxes in stored pixels."""
    looks = list(seen.looks[: len(LOOKS[flips])])  # each mode's looks are the first of the next
    if not any(look.scores.numel() for look in looks):
        return ImageDetections(boxes_px=[], scores=[], types=[])
    together = merge_looks(looks, spec.merge_iou, spec.candidates_per_view, how)
    keep = together.scores[0] >= spec.score_floor
    boxes: Tensor = together.boxes[0][keep]
    return ImageDetections(
        boxes_px=clipped(seen.grid.to_native(boxes.numpy()), seen.view.size_px),
        scores=together.scores[0][keep].tolist(),
        types=[LESION_TYPES[label - 1] for label in together.labels[0][keep].tolist()],
    )
