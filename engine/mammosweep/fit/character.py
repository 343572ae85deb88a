"""What the character network learns from: annotated lesions, and what a detector takes for one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from mammosweep.bundle.manifest import CharacterSpec, DetectorSpec
from mammosweep.detect.buckets import make_batches
from mammosweep.detect.detector import Candidates, PlannedDetector
from mammosweep.fit.found import Found
from mammosweep.fit.lesion import CROP_MARGIN, CharacterSample, packed
from mammosweep.fit.outcome import lesion_at
from mammosweep.fit.samples import ExamSample, ViewSample

__all__ = ["character_samples"]

FALSE_PER_VIEW = 4
"""The surest false findings of each view; weaker ones look like tissue, which is soon learned."""


def character_samples(
    sample: ExamSample, found: Found, embedder: PlannedDetector, spec: DetectorSpec, character: CharacterSpec
) -> Iterator[CharacterSample]:
    """An exam's findings, and its annotated boxes themselves: some lesions are not found.

    Args:
        sample: an annotated exam, with detail where the character network sees crops.
        found: what was found in it.
        embedder: the bundle's detector; annotated boxes get their embedding from it.
        spec: of the detector.
        character: of the network that shall learn.
    """
    views = {view.view.sop_instance_uid: view for view in sample.views}
    for batch in make_batches({view.view: view.normalised for view in sample.views}, spec):
        ordered = [views[view.sop_instance_uid] for view in batch.views]
        marked = embedder.embed(batch, [torch.from_numpy(view.boxes_net) for view in ordered])
        for view, embeddings in zip(ordered, marked, strict=True):
            boxes = [lesion.box_px for lesion in view.lesions]
            for box, embedding, lesion in zip(boxes, embeddings, view.lesions, strict=True):
                yield CharacterSample(embedding, _crop(view, box, character), lesion, sample.patient)
            yield from _findings(view, found[view.view.sop_instance_uid], character, sample.patient)


def _findings(
    view: ViewSample, candidates: Candidates, character: CharacterSpec, patient: str
) -> Iterator[CharacterSample]:
    boxes_px = view.grid.to_native(candidates.boxes.numpy())
    num_false = 0
    for box, embedding in zip(boxes_px.tolist(), candidates.embeddings, strict=True):
        lesion = lesion_at(view, box)
        num_false += lesion is None
        if lesion is not None or num_false <= FALSE_PER_VIEW:
            yield CharacterSample(_own(embedding), _crop(view, tuple(box), character), lesion, patient)


def _own(embedding: Tensor) -> Tensor:
    return embedding.clone()


def _crop(
    view: ViewSample, box_px: tuple[float, float, float, float], character: CharacterSpec
) -> np.ndarray | None:
    if not character.crop_px:
        return None
    detail = view.normalised.detail
    assert detail is not None, "views are read with detail where crops are seen"
    side = round(character.crop_px * CROP_MARGIN)
    return packed(detail.crop(box_px, character.crop_mm * side / character.crop_px, side))
