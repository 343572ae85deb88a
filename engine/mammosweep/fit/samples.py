"""Annotated exams as the networks see them: the sweep's own way through headers and pixels, plus truth."""

from __future__ import annotations

import csv
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mammosweep.archive.catalog import index
from mammosweep.archive.source import open_source
from mammosweep.config import SweepConfig
from mammosweep.errors import ImageError
from mammosweep.fit.table import Annotations, Problem, TrueLesion, read_table
from mammosweep.geometry import PixelGrid
from mammosweep.pixels.normalise import NormalisedView
from mammosweep.pixels.views import PendingView, ViewReader
from mammosweep.records import ExamRef, ImageRecord, View

__all__ = ["AnnotatedArchive", "ExamSample", "TrueLesion", "ViewSample", "open_annotated", "read_samples"]

EXAMS_AHEAD = 3

BEYOND_PX = 1.0
"""Boxes may end so far outside their image: tables round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewSample:
    """One view on the network's grid, with what is in it."""

    view: View
    gray: NDArray[np.float16] = field(repr=False)
    grid: PixelGrid
    lesions: tuple[TrueLesion, ...]
    read: NormalisedView | None = field(default=None, repr=False)  # as the sweep's stages take it, while kept

    @property
    def boxes_net(self) -> NDArray[np.float32]:
        """(K, 4) xyxy network pixels."""
        boxes = [lesion.box_px for lesion in self.lesions]
        return self.grid.to_network(np.asarray(boxes, dtype=np.float64)).astype(np.float32)

    @property
    def normalised(self) -> NormalisedView:
        """The view as the sweep's stages take it."""
        return self.read or NormalisedView(self.gray.astype(np.float32), self.grid)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamSample:
    """One annotated exam."""

    exam_id: str
    views: tuple[ViewSample, ...]
    patient: str = ""  # the smallest exam id of its patient's exams

    @property
    def light(self) -> ExamSample:
        """The same without what only the stages after detection need: the breasts' own pixels."""
        return replace(self, views=tuple(replace(view, read=None) for view in self.views))


@dataclass(frozen=True, slots=True)
class AnnotatedArchive:
    """Images and what is in them, before any pixel is read."""

    images: Path
    exams: tuple[ExamRef, ...]
    patients: dict[str, str]  # exam id -> the smallest exam id of its patient's exams
    annotations: Annotations
    problems: tuple[Problem, ...]  # of the table's rows, then of images

    @property
    def digest(self) -> str:
        """SHA-256 over what the table says."""
        said = sorted((path, [str(one) for one in found]) for path, found in self.annotations.lesions.items())
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()

    def samples(
        self,
        exams: Sequence[ExamRef],
        grid_mm: float,
        detail_mm: float | None = None,
        refused: Callable[[Problem], None] | None = None,
    ) -> Iterator[ExamSample]:
        """Read exams, in their order; views that a sweep would not use are left out, as are empty exams.

        Args:
            exams: of this archive.
            grid_mm: side of a network pixel.
            detail_mm: see `ViewReader`.
            refused: is told of views that are left out, and why.
        """
        config = SweepConfig()
        source = open_source(self.images, config=config.archive)
        with closing(ViewReader(config.pixels, grid_mm, detail_mm=detail_mm)) as reader:
            asked: list[tuple[ExamRef, list[tuple[View, PendingView]]]] = []
            for exam in exams:
                asked.append((exam, [(view, reader.request(source, view)) for view in exam.views]))
                if len(asked) > EXAMS_AHEAD:
                    yield from self._sample(*asked.pop(0), refused)
            for pending in asked:
                yield from self._sample(*pending, refused)

    def _sample(
        self,
        exam: ExamRef,
        asked: list[tuple[View, PendingView]],
        refused: Callable[[Problem], None] | None,
    ) -> Iterator[ExamSample]:
        views = tuple(view for pair in asked for view in self._view(*pair, refused))
        if views:
            yield ExamSample(exam_id=exam.exam_id, views=views, patient=self.patients[exam.exam_id])

    def _view(
        self, view: View, pending: PendingView, refused: Callable[[Problem], None] | None
    ) -> Iterator[ViewSample]:
        try:
            read = pending.read().normalised
        except ImageError as error:
            if refused is not None:
                refused(Problem(f"image {view.path}", str(error)))
            return
        yield ViewSample(
            view=view,
            gray=read.gray.astype(np.float16),
            grid=read.grid,
            lesions=self.annotations.lesions.get(view.path, ()),
            read=read,
        )


def open_annotated(
    table: Path, images: Path, spacing_mm: str = "", *, allow_lossy_jpeg: bool = True
) -> AnnotatedArchive:
    """Read the table and the images' headers.

    Args:
        table: boxes, see `fit.table`.
        images: the folder that the table's paths are relative to.
        spacing_mm: of images whose header does not say it, in a manifest's words ("0.29 x 0.17").
        allow_lossy_jpeg: whether DICOM in lossy JPEG is learned from.

    Raises:
        ConfigError: the table cannot be read.
        SourceError: the folder cannot be read.
    """
    annotations = read_table(table)
    with tempfile.TemporaryDirectory() as folder:
        manifest = _manifest(annotations, Path(folder) / "manifest.csv", spacing_mm)
        catalog = index(images, config=SweepConfig().archive, manifest=manifest)
    exams = tuple(exam for exam in catalog.exams(allow_lossy_jpeg=allow_lossy_jpeg) if exam.views)
    records = catalog.images(allow_lossy_jpeg=allow_lossy_jpeg)
    firsts: dict[str, str] = {}
    for exam in exams:
        key = exam.patient_key or exam.exam_id
        firsts[key] = min(firsts.get(key, exam.exam_id), exam.exam_id)
    return AnnotatedArchive(
        images=images,
        exams=exams,
        patients={exam.exam_id: firsts[exam.patient_key or exam.exam_id] for exam in exams},
        annotations=annotations,
        problems=(*annotations.problems, *_problems(annotations, exams, records, images)),
    )


def _manifest(annotations: Annotations, path: Path, spacing_mm: str) -> Path | None:
    if not annotations.manifest:
        return None
    with path.open("w", newline="", encoding="utf-8") as file:
        columns = [*annotations.manifest[0], *(["spacing_mm"] if spacing_mm else [])]
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(
            {**row, **({"spacing_mm": spacing_mm} if spacing_mm else {})} for row in annotations.manifest
        )
    return path


def _problems(
    annotations: Annotations, exams: Sequence[ExamRef], files: Sequence[ImageRecord], images: Path
) -> Iterator[Problem]:
    """What keeps a table's images from being learned from, and boxes that are not in their image."""
    views = {view.path: view for exam in exams for view in exam.views}
    records = {image.path: image for image in files}
    for path, lesions in annotations.lesions.items():
        rows = ", ".join(str(row) for row in annotations.rows[path])
        where = f"image {path} (row {rows})"
        view = views.get(path)
        if view is None:
            record = records.get(path)
            missing = (
                "it is not in the folder of images"
                if not (images / path).exists()
                else "it shows no exam's view"
            )
            yield Problem(where, (record.message if record else "") or missing)
            continue
        right, lower = view.size_px.columns + BEYOND_PX, view.size_px.rows + BEYOND_PX
        for lesion in lesions:
            if lesion.box_px[2] > right or lesion.box_px[3] > lower:
                yield Problem(
                    where,
                    f"a box ends at x {lesion.box_px[2]:g}, y {lesion.box_px[3]:g}; the image has "
                    f"{view.size_px.columns} x {view.size_px.rows} pixels",
                )


def read_samples(archive: Path, grid_mm: float, table: Path | None = None) -> list[ExamSample]:
    """Every exam of a folder with a ``truth.parquet``, as `mammosweep phantom` writes it, ordered by exam id.

    Raises:
        ConfigError: the table cannot be read.
        SourceError: the folder cannot be read.
    """
    opened = open_annotated(table or archive / "truth.parquet", archive)
    return [sample.light for sample in opened.samples(opened.exams, grid_mm)]
