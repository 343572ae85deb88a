"""Canvases: an exam goes to the smallest bucket that holds its four crops, padded with air.

A bundle without fusion has no need of that: its views keep no company, so each goes to a bucket of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mammosweep.bundle.manifest import DetectorSpec
from mammosweep.errors import GeometryError, Reason
from mammosweep.geometry import PixelGrid, Size
from mammosweep.pixels.normalise import GRAY_RANGE, NormalisedView
from mammosweep.records import SLOTS, View

__all__ = ["ExamBatch", "joined", "make_batches", "smallest_bucket"]


@dataclass(frozen=True, slots=True)
class ExamBatch:
    """B exams of one bucket, ready for the networks; chest wall left.

    S is 4, in SLOTS order, or 1 where the bundle has no fusion; B then counts views.
    """

    pixels: Tensor = field(repr=False)  # (B, S, 1, H, W) float32
    present: Tensor  # (B, S) bool
    views: tuple[View, ...]  # the present ones, in exam and SLOTS order
    grids: tuple[PixelGrid, ...]  # one for each present view

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the canvas."""
        return int(self.pixels.shape[-2]), int(self.pixels.shape[-1])


def smallest_bucket(sizes: Sequence[Size], buckets: Sequence[Size]) -> Size:
    """The first bucket that holds every crop.

    Raises:
        GeometryError: a crop is larger than the largest bucket.
    """
    rows, columns = max(s.rows for s in sizes), max(s.columns for s in sizes)
    for bucket in buckets:
        if rows <= bucket.rows and columns <= bucket.columns:
            return bucket
    raise GeometryError(
        Reason.CROP_TOO_LARGE,
        f"a breast's rectangle takes {rows} x {columns} network pixels; the bundle's largest canvas is "
        f"{buckets[-1].rows} x {buckets[-1].columns}: check the pixel spacing",
    )


def make_batches(views: Mapping[View, NormalisedView], spec: DetectorSpec) -> list[ExamBatch]:
    """One exam's normalised views: on four canvases of one size, or each on its own."""
    ordered = sorted(views, key=lambda v: SLOTS.index((v.laterality, v.position)))
    if spec.fusion:
        slots = [SLOTS.index((v.laterality, v.position)) for v in ordered]
        return [
            _batch({slot: (v, views[v]) for slot, v in zip(slots, ordered, strict=True)}, len(SLOTS), spec)
        ]
    return [_batch({0: (view, views[view])}, 1, spec) for view in ordered]


def _batch(views: Mapping[int, tuple[View, NormalisedView]], num_slots: int, spec: DetectorSpec) -> ExamBatch:
    bucket = smallest_bucket([normalised.grid.net_size for _, normalised in views.values()], spec.buckets)
    pixels = torch.full((1, num_slots, 1, bucket.rows, bucket.columns), GRAY_RANGE[0])
    present = torch.zeros((1, num_slots), dtype=torch.bool)
    for slot, (_, normalised) in views.items():
        gray = normalised.gray
        pixels[0, slot, 0, : gray.shape[0], : gray.shape[1]] = torch.from_numpy(gray)
        present[0, slot] = True
    of_views = tuple(view for view, _ in views.values())
    return ExamBatch(pixels, present, of_views, tuple(normalised.grid for _, normalised in views.values()))


def joined(batches: Iterable[ExamBatch]) -> ExamBatch:
    """Several batches of one bucket as one."""
    every = list(batches)
    return ExamBatch(
        torch.cat([batch.pixels for batch in every]),
        torch.cat([batch.present for batch in every]),
        tuple(view for batch in every for view in batch.views),
        tuple(grid for batch in every for grid in batch.grids),
    )
