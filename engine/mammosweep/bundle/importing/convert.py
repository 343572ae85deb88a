"""The seam: from a published state dict to this engine's, and to what it says of the network's build."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from mammosweep.bundle.importing.settings import ImportSettings, default_buckets
from mammosweep.bundle.manifest import DetectorSpec

__all__ = ["Convert", "Converted", "detector_spec"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """A detector's weights under this engine's names, and those fields of its spec that follow from them."""

    weights: dict[str, Tensor] = field(repr=False)
    trunk: str
    channels: int
    representation: int
    input_mean: tuple[float, ...]
    input_std: tuple[float, ...]


class Convert(Protocol):
    """Turns a state dict of one layout into this engine's."""

    def __call__(self, published: dict[str, Tensor], settings: ImportSettings, /) -> Converted:
        """Rename, reorder and check; BundleError where the checkpoint is of another architecture."""
        ...


def detector_spec(converted: Converted, settings: ImportSettings) -> DetectorSpec:
    """How the detector is built and run: what the weights imply, and what whoever imports them says."""
    return DetectorSpec(
        trunk=converted.trunk,
        channels=converted.channels,
        representation=converted.representation,
        anchor_sizes=settings.anchor_sizes,
        aspect_ratios=settings.aspect_ratios,
        buckets=settings.buckets or default_buckets(settings.grid_mm),
        score_floor=settings.score_floor,
        merge_iou=settings.merge_iou,
        candidates_per_view=settings.candidates,
        proposals_per_level=settings.proposals_per_level,
        proposals=settings.proposals,
        input_mean=converted.input_mean,
        input_std=converted.input_std,
        fusion=settings.fusion,
    )
