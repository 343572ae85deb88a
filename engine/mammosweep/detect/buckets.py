"""Canvases: an exam goes to the smallest bucket that holds its four crops, padded with air."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mammosweep.errors import GeometryError, Reason
from mammosweep.geometry import PixelGrid, Size
from mammosweep.pixels.normalise import GRAY_RANGE, NormalisedView
from mammosweep.records import SLOTS, View

__all__ = ["ExamBatch", "make_batch", "smallest_bucket"]


@dataclass(frozen=True, slots=True)
class ExamBatch:
    """B exams of one bucket, ready for the networks; view order is SLOTS, chest wall left."""

    pixels: Tensor = field(repr=False)  # (B, 4, 1, H, W) float32
    present: Tensor  # (B, 4) bool
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


def make_batch(views: Mapping[View, NormalisedView], buckets: Sequence[Size]) -> ExamBatch:
    """One exam's normalised views on one canvas each (B = 1)."""
    ordered = sorted(views, key=lambda v: SLOTS.index((v.laterality, v.position)))
    bucket = smallest_bucket([views[v].grid.net_size for v in ordered], buckets)
    pixels = torch.full((1, len(SLOTS), 1, bucket.rows, bucket.columns), GRAY_RANGE[0])
    present = torch.zeros((1, len(SLOTS)), dtype=torch.bool)
    for view in ordered:
        slot, gray = SLOTS.index((view.laterality, view.position)), views[view].gray
        pixels[0, slot, 0, : gray.shape[0], : gray.shape[1]] = torch.from_numpy(gray)
        present[0, slot] = True
    return ExamBatch(pixels, present, tuple(ordered), tuple(views[v].grid for v in ordered))
