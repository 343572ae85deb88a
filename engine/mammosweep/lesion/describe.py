"""From candidates in network pixels to findings in stored pixels, with place and character."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from mammosweep.bundle import Bundle
from mammosweep.bundle.load import LESION
from mammosweep.bundle.manifest import CharacterSpec
from mammosweep.detect.buckets import ExamBatch
from mammosweep.detect.detector import Candidates
from mammosweep.errors import BundleError
from mammosweep.geometry import PixelGrid, clipped
from mammosweep.lesion.character import IS_LESION, MALIGNANCY, CharacterNetwork, character_words, word_scores
from mammosweep.lesion.depth import DepthNetwork
from mammosweep.lesion.geometry import Place, nipple_on_grid, places, settle
from mammosweep.lesion.quadrant import QuadrantNetwork, quadrant_words
from mammosweep.lesion.view_and_mask import view_and_mask
from mammosweep.pixels.detail import Detail
from mammosweep.pixels.normalise import NormalisedView
from mammosweep.records import LESION_TYPES, Finding, LesionType, View

__all__ = ["LesionNetworks", "LesionStage", "load_lesion_networks"]

Box = tuple[float, float, float, float]

CALCIFICATION_MARGIN_MM = 2.0
"""Around a finding of calcifications: a box may cut through its cluster's edge."""


class LesionNetworks(nn.Module):
    """The networks that describe a finding; those of its place only where they were fitted."""

    def __init__(self, representation: int, spec: CharacterSpec, *, with_place: bool = True) -> None:
        super().__init__()
        self.quadrant = QuadrantNetwork() if with_place else None
        self.depth = DepthNetwork() if with_place else None
        self.character = CharacterNetwork(representation, spec)


@dataclass(frozen=True, slots=True)
class Character:
    """What the character network says of a finding."""

    malignancy: float | None = None
    words: dict[str, str] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    second_look: float | None = None


@dataclass(frozen=True, slots=True)
class _Described:
    """One view's findings on their way."""

    view: View
    boxes_px: list[Box]
    kinds: list[LesionType]
    places: list[tuple[Place, str | None]]


@dataclass(frozen=True, slots=True)
class LesionStage:
    """Makes findings of a batch's candidates, described where the bundle has networks for it."""

    networks: LesionNetworks | None
    grid_mm: float
    spec: CharacterSpec = field(default_factory=CharacterSpec)
    measure_calcifications: bool = False

    @torch.inference_mode()
    def __call__(
        self,
        batch: ExamBatch,
        candidates: Sequence[Candidates],
        views: Mapping[View, NormalisedView] | None = None,
    ) -> tuple[Finding, ...]:
        """Findings of all present views, strongest first within a view.

        Args:
            batch: what the detector saw.
            candidates: what it found, one entry for each present view.
            views: the views as they were normalised, with landmarks and detail; without them nothing is
                known of nipples, and no crop can be cut.
        """
        views = views or {}
        canvases = batch.pixels.flatten(0, 2)[batch.present.flatten()]
        described = [
            self._placed(view, grid, canvas, found, views.get(view))
            for view, grid, canvas, found in zip(batch.views, batch.grids, canvases, candidates, strict=True)
        ]
        characters = self._characters(described, candidates, views)
        return tuple(
            self._finding(one, k, found, characters[v][k], views.get(one.view))
            for v, (one, found) in enumerate(zip(described, candidates, strict=True))
            for k in range(len(one.boxes_px))
        )

    def _placed(
        self, view: View, grid: PixelGrid, canvas: Tensor, found: Candidates, read: NormalisedView | None
    ) -> _Described:
        boxes_px = clipped(grid.to_native(found.boxes.numpy()), view.size_px).tolist()
        kinds = [LESION_TYPES[label - 1] for label in found.labels.tolist()]
        return _Described(
            view, [_box(box) for box in boxes_px], kinds, self._places(view, grid, canvas, found.boxes, read)
        )

    def _places(
        self, view: View, grid: PixelGrid, canvas: Tensor, boxes: Tensor, read: NormalisedView | None
    ) -> list[tuple[Place, str | None]]:
        if not len(boxes):
            return []
        crop = canvas[: grid.net_size.rows, : grid.net_size.columns].numpy()
        nipple = None if read is None else read.landmarks
        seen = places(
            crop,
            self.grid_mm,
            None if nipple is None else nipple_on_grid(nipple.nipple_px, grid),
            0.0 if nipple is None else nipple.nipple_confidence,
            view.laterality,
            view.position,
            boxes.numpy(),
        )
        return [
            settle(told, shown) for told, shown in zip(self._told(view, canvas, boxes), seen, strict=True)
        ]

    def _told(self, view: View, canvas: Tensor, boxes: Tensor) -> list[Place | None]:
        """What the networks say of places; nothing where the bundle has none."""
        if self.networks is None or self.networks.quadrant is None or self.networks.depth is None:
            return [None] * len(boxes)
        seen = view_and_mask(canvas, boxes, self.grid_mm).to(next(self.networks.parameters()).device)
        quadrants = quadrant_words(self.networks.quadrant(seen), view.position)
        depths = self.networks.depth(seen).tolist()
        return [
            Place(depth=depth, quadrant=quadrant, nipple_mm=None, confidence=1.0)
            for depth, quadrant in zip(depths, quadrants, strict=True)
        ]

    def _characters(
        self,
        described: Sequence[_Described],
        candidates: Sequence[Candidates],
        views: Mapping[View, NormalisedView],
    ) -> list[list[Character]]:
        """Of every finding of the batch at once: a network is quicker on many crops than on one."""
        counts = [len(one.boxes_px) for one in described]
        if self.networks is None or not sum(counts):
            return [[Character()] * count for count in counts]
        device = next(self.networks.parameters()).device
        embeddings = torch.cat([found.embeddings for found in candidates]).to(device)
        logits = self.networks.character(embeddings, self._crops(described, views, device))
        logits = {name: values.float().cpu() for name, values in logits.items()}
        malignancies = logits[MALIGNANCY].sigmoid().tolist()
        looks = logits[IS_LESION].sigmoid().tolist() if IS_LESION in logits else [None] * len(malignancies)
        words = self.spec.words
        kinds = [kind for one in described for kind in one.kinds]
        every = [
            Character(
                malignancies[k],
                character_words(logits, k, kind, words),
                word_scores(logits, k, kind, words),
                looks[k],
            )
            for k, kind in enumerate(kinds)
        ]
        ends = np.cumsum(counts)
        return [every[end - count : end] for end, count in zip(ends, counts, strict=True)]

    def _crops(
        self, described: Sequence[_Described], views: Mapping[View, NormalisedView], device: torch.device
    ) -> Tensor | None:
        if not self.spec.crop_px:
            return None
        crops = [
            _detail_of(one.view, views).crop(box, self.spec.crop_mm, self.spec.crop_px)
            for one in described
            for box in one.boxes_px
        ]
        return torch.from_numpy(np.stack(crops))[:, None].to(device)

    def _finding(
        self, one: _Described, k: int, found: Candidates, character: Character, read: NormalisedView | None
    ) -> Finding:
        place, gave = one.places[k]
        return Finding(
            sop_instance_uid=one.view.sop_instance_uid,
            laterality=one.view.laterality,
            position=one.view.position,
            box_px=one.boxes_px[k],
            size_mm=_size_mm(one.boxes_px[k], one.view.spacing_mm),
            type=one.kinds[k],
            score=float(found.scores[k]),
            flip_votes=int(found.votes[k]),
            embedding=found.embeddings[k].numpy(),
            quadrant=place.quadrant,
            depth=place.depth,
            nipple_mm=place.nipple_mm,
            place=gave,
            malignancy=character.malignancy,
            character=character.words,
            character_scores=character.scores,
            second_look=character.second_look,
            calcification=self._calcification(one.boxes_px[k], one.kinds[k], read),
        )

    def _calcification(self, box_px: Box, kind: LesionType, read: NormalisedView | None) -> dict[str, float]:
        if not self.measure_calcifications or kind is not LesionType.CALCIFICATION:
            return {}
        if read is None or read.detail is None:
            return {}
        from mammosweep.lesion.calcification import measured

        native = read.detail.native(box_px, CALCIFICATION_MARGIN_MM)
        return {} if native is None else measured(native)


def _box(corners: Sequence[float]) -> Box:
    x1, y1, x2, y2 = corners
    return x1, y1, x2, y2


def _detail_of(view: View, views: Mapping[View, NormalisedView]) -> Detail:
    read = views.get(view)
    if read is None or read.detail is None:
        raise ValueError("the bundle's character network sees crops, and the views were read without detail")
    return read.detail


def _size_mm(box: Box, spacing_mm: tuple[float, float]) -> tuple[float, float]:
    return (box[3] - box[1]) * spacing_mm[0], (box[2] - box[0]) * spacing_mm[1]


def load_lesion_networks(bundle: Bundle, device: torch.device | None = None) -> LesionStage:
    """The bundle's networks on a device, where it has any; BundleError when its weights do not fit."""
    manifest = bundle.manifest
    if bundle.is_detector_only:
        return LesionStage(None, manifest.grid_mm)
    weights = {k: v.float() for k, v in load_file(bundle.file(LESION)).items()}
    try:
        networks = LesionNetworks(
            manifest.detector.representation,
            manifest.character,
            with_place=any(name.startswith("depth.") for name in weights),
        )
        networks.load_state_dict(weights)
    except RuntimeError as error:
        raise BundleError(f"bundle {bundle.folder}: {LESION} does not fit its networks: {error}") from None
    ready = networks.eval().to(device or torch.device("cpu"))
    return LesionStage(ready, manifest.grid_mm, manifest.character, manifest.measure_calcifications)
