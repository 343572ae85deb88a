"""From candidates in network pixels to findings in stored pixels, with place and character."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from mammosweep.bundle import Bundle
from mammosweep.bundle.load import LESION
from mammosweep.detect.buckets import ExamBatch
from mammosweep.detect.detector import Candidates
from mammosweep.errors import BundleError
from mammosweep.geometry import PixelGrid, clipped
from mammosweep.lesion.character import MALIGNANCY, CharacterNetwork, character_words
from mammosweep.lesion.depth import DepthNetwork
from mammosweep.lesion.quadrant import QuadrantNetwork, quadrant_words
from mammosweep.lesion.view_and_mask import view_and_mask
from mammosweep.records import LESION_TYPES, Finding, LesionType, View

__all__ = ["LesionNetworks", "LesionStage", "load_lesion_networks"]


class LesionNetworks(nn.Module):
    """The three networks that describe a finding."""

    def __init__(self, representation: int) -> None:
        super().__init__()
        self.quadrant = QuadrantNetwork()
        self.depth = DepthNetwork()
        self.character = CharacterNetwork(representation)


@dataclass(frozen=True, slots=True)
class Description:
    """What the networks say of a finding; nothing of it is known without them."""

    quadrant: str | None = None
    depth: float | None = None
    malignancy: float | None = None
    character: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LesionStage:
    """Makes findings of a batch's candidates, described where the bundle has networks for it."""

    networks: LesionNetworks | None
    grid_mm: float

    @torch.inference_mode()
    def __call__(self, batch: ExamBatch, candidates: list[Candidates]) -> tuple[Finding, ...]:
        """Findings of all present views, strongest first within a view."""
        canvases = batch.pixels.flatten(0, 2)[batch.present.flatten()]
        views = zip(batch.views, batch.grids, canvases, candidates, strict=True)
        return tuple(finding for view in views for finding in self._findings(*view))

    def _findings(self, view: View, grid: PixelGrid, canvas: Tensor, found: Candidates) -> list[Finding]:
        if found.boxes.shape[0] == 0:
            return []
        boxes_px = clipped(grid.to_native(found.boxes.numpy()), view.size_px).tolist()
        kinds = [LESION_TYPES[label - 1] for label in found.labels.tolist()]
        about = self._descriptions(view, canvas, found, kinds)
        return [
            Finding(
                sop_instance_uid=view.sop_instance_uid,
                laterality=view.laterality,
                position=view.position,
                box_px=tuple(boxes_px[k]),
                size_mm=_size_mm(boxes_px[k], view.spacing_mm),
                type=kind,
                score=float(found.scores[k]),
                flip_votes=int(found.votes[k]),
                embedding=found.embeddings[k].numpy(),
                quadrant=about[k].quadrant,
                depth=about[k].depth,
                malignancy=about[k].malignancy,
                character=about[k].character,
            )
            for k, kind in enumerate(kinds)
        ]

    def _descriptions(
        self, view: View, canvas: Tensor, found: Candidates, kinds: list[LesionType]
    ) -> list[Description]:
        if self.networks is None:
            return [Description()] * len(kinds)
        seen = view_and_mask(canvas, found.boxes, self.grid_mm)
        quadrants = quadrant_words(self.networks.quadrant(seen), view.position)
        depths = self.networks.depth(seen).tolist()
        character = self.networks.character(found.embeddings)
        malignancies = character[MALIGNANCY].sigmoid().tolist()
        return [
            Description(quadrants[k], depths[k], malignancies[k], character_words(character, k, kind))
            for k, kind in enumerate(kinds)
        ]


def _size_mm(box: list[float], spacing_mm: tuple[float, float]) -> tuple[float, float]:
    return (box[3] - box[1]) * spacing_mm[0], (box[2] - box[0]) * spacing_mm[1]


def load_lesion_networks(bundle: Bundle) -> LesionStage:
    """The bundle's networks, where it has any; BundleError when its weights do not fit."""
    if bundle.is_detector_only:
        return LesionStage(None, bundle.manifest.grid_mm)
    networks = LesionNetworks(bundle.manifest.detector.representation)
    try:
        networks.load_state_dict({k: v.float() for k, v in load_file(bundle.file(LESION)).items()})
    except RuntimeError as error:
        raise BundleError(f"bundle {bundle.folder}: {LESION} does not fit its networks: {error}") from None
    return LesionStage(networks.eval(), bundle.manifest.grid_mm)
