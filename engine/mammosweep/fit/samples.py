"""Annotated exams as the networks see them: the sweep's own way through headers and pixels, plus truth.

An annotated archive is a folder of DICOM with a ``truth.parquet`` as `mammosweep phantom` writes it: a row
for each lesion in each view, boxes in stored pixels.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mammosweep.archive.catalog import index
from mammosweep.archive.source import open_source
from mammosweep.config import SweepConfig
from mammosweep.errors import ImageError
from mammosweep.geometry import PixelGrid
from mammosweep.pixels.normalise import NormalisedView, normalise
from mammosweep.pixels.reader import FrameReader, PendingFrame
from mammosweep.records import LESION_TYPES, LesionType, View

__all__ = ["ExamSample", "TrueLesion", "ViewSample", "read_samples"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueLesion:
    """One annotated lesion in one view."""

    lesion_id: str
    box_px: tuple[float, float, float, float]
    type: LesionType
    quadrant: str
    depth: float
    malignant: bool
    words: dict[str, str]  # attribute -> BI-RADS word

    @property
    def label(self) -> int:
        """The detector's class, 1 + index in LESION_TYPES."""
        return 1 + LESION_TYPES.index(self.type)


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewSample:
    """One view on the network's grid, with what is in it."""

    view: View
    gray: NDArray[np.float16] = field(repr=False)
    grid: PixelGrid
    lesions: tuple[TrueLesion, ...]

    @property
    def boxes_net(self) -> NDArray[np.float32]:
        """(K, 4) xyxy network pixels."""
        boxes = [lesion.box_px for lesion in self.lesions]
        return self.grid.to_network(np.asarray(boxes, dtype=np.float64)).astype(np.float32)

    @property
    def normalised(self) -> NormalisedView:
        """The view as the sweep's stages take it."""
        return NormalisedView(self.gray.astype(np.float32), self.grid)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamSample:
    """One annotated exam."""

    exam_id: str
    views: tuple[ViewSample, ...]


def read_samples(archive: Path, grid_mm: float, config: SweepConfig | None = None) -> list[ExamSample]:
    """Every exam of an annotated archive that can be read, ordered by exam id.

    Raises:
        SourceError: the archive or its truth.parquet cannot be read.
    """
    config = config or SweepConfig()
    source = open_source(archive, config=config.archive)
    truth = _truth(archive / "truth.parquet")
    exams = index(archive, config=config.archive).exams()
    with FrameReader(config.pixels, grid_mm) as frames:
        asked = [(exam, [(view, frames.request(source, view)) for view in exam.views]) for exam in exams]
        samples = [
            ExamSample(exam_id=exam.exam_id, views=tuple(_views(pending, truth, grid_mm)))
            for exam, pending in asked
        ]
    return [sample for sample in samples if sample.views]


def _views(
    asked: list[tuple[View, PendingFrame]], truth: dict[str, list[TrueLesion]], grid_mm: float
) -> Iterator[ViewSample]:
    for view, pending in asked:
        try:
            with pending as frame:
                normalised = normalise(frame, view.spacing_mm, grid_mm)
        except ImageError:
            continue  # a view that a sweep would not use either
        yield ViewSample(
            view=view,
            gray=normalised.gray.astype(np.float16),
            grid=normalised.grid,
            lesions=tuple(truth.get(view.sop_instance_uid, ())),
        )


def _truth(path: Path) -> dict[str, list[TrueLesion]]:
    lesions: dict[str, list[TrueLesion]] = defaultdict(list)
    for row in pq.read_table(path).to_pylist():
        lesions[row["sop_instance_uid"]].append(_lesion(row))
    return lesions


def _lesion(row: dict[str, Any]) -> TrueLesion:
    words = {name: row[name] for name in ("shape", "margin", "morphology", "distribution") if row.get(name)}
    return TrueLesion(
        lesion_id=row["lesion_id"],
        box_px=(row["x1"], row["y1"], row["x2"], row["y2"]),
        type=LesionType(row["type"]),
        quadrant=row["quadrant"],
        depth=float(row["depth"]),
        malignant=bool(row["malignant"]),
        words=words,
    )
