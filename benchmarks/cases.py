"""Annotated exams to measure a detector on: held-out phantoms, and real films where they are at hand."""

from __future__ import annotations

import csv
import hashlib
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mammosweep.archive.catalog import index
from mammosweep.archive.source import open_source
from mammosweep.config import SweepConfig
from mammosweep.errors import ImageError
from mammosweep.evaluate.froc import ImageTruth
from mammosweep.fit.samples import read_samples
from mammosweep.phantom import Syntax, write_phantoms
from mammosweep.pixels.normalise import NormalisedView, normalise
from mammosweep.pixels.reader import FrameReader
from mammosweep.records import LesionType, View

__all__ = ["FILMS", "Case", "film_cases", "phantom_cases"]

SHARED = Path(os.environ.get("MAMMOSWEEP_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
FILMS = SHARED / "cbis_mass_train"
"""CBIS-DDSM's mass training split as 800 x 800 JPEG, which does not keep the aspect (CC BY 3.0)."""

FILM_MM = "0.29 x 0.17"  # a pixel of these films, down and across, on the average
SPLIT = 4  # every fourth patient is one of the validation
KINDS = {"ARCHITECTURAL_DISTORTION": LesionType.DISTORTION, "ASYMMETRY": LesionType.ASYMMETRY}


@dataclass(frozen=True, slots=True)
class Case:
    """An exam's views, and what is in each."""

    views: Mapping[View, NormalisedView]
    truths: Mapping[View, ImageTruth]


def phantom_cases(archive: Path, grid_mm: float, *, exams: int, seed: int) -> list[Case]:
    """Phantoms as they come by default, written into ``archive``."""
    write_phantoms(archive, exams=exams, seed=seed, syntaxes=[Syntax.JPEG_LS])
    return [
        Case(
            {sample.view: sample.normalised for sample in exam.views},
            {
                sample.view: ImageTruth(
                    group=exam.exam_id,
                    boxes_px=[lesion.box_px for lesion in sample.lesions],
                    types=[lesion.type for lesion in sample.lesions],
                )
                for sample in exam.views
            },
        )
        for exam in read_samples(archive, grid_mm)
    ]


def film_cases(work: Path, grid_mm: float, *, patients: int | None = None) -> list[Case]:
    """Real films of every fourth patient, each patient's an exam; films that cannot be used are left out."""
    truths = _lesions()
    manifest = _manifest(work / "films.csv", [film for film in truths if _is_held_out(film)])
    source, config = open_source(FILMS / "images"), SweepConfig()
    exams = [e for e in index(FILMS / "images", config=config.archive, manifest=manifest).exams() if e.views]
    cases = []
    with FrameReader(config.pixels, grid_mm) as reader:
        for exam in exams[:patients]:
            asked = [(view, reader.request(source, view)) for view in exam.views]
            views = {}
            for view, pending in asked:
                try:
                    with pending as frame:
                        views[view] = normalise(frame, view.spacing_mm, grid_mm)
                except ImageError:
                    continue
            if views:
                cases.append(Case(views, {view: truths[view.path] for view in views}))
    return cases


def _is_held_out(film: str) -> bool:
    patient = film.split("_")[0]
    return hashlib.sha256(patient.encode()).digest()[0] % SPLIT == 0


def _lesions() -> dict[str, ImageTruth]:
    """What boxes.csv says of each film; stored pixels are those of the 800 x 800 frame."""
    marked: dict[str, list[tuple[LesionType, list[float]]]] = defaultdict(list)
    with (FILMS / "boxes.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            x, y, w, h = (float(row[name]) for name in "xywh")
            kind = next((KINDS[word] for word in KINDS if word in row["mass shape"]), LesionType.MASS)
            marked[row["file"]].append((kind, [x, y, x + w, y + h]))
    return {
        film: ImageTruth(
            group=film.split("_")[0], boxes_px=[box for _, box in boxes], types=[kind for kind, _ in boxes]
        )
        for film, boxes in marked.items()
    }


def _manifest(path: Path, films: list[str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "patient_id", "exam_id", "laterality", "view", "spacing_mm"))
        writer.writerows(_manifest_rows(films))
    return path


def _manifest_rows(films: list[str]) -> Iterator[tuple[str, ...]]:
    for film in sorted(films):
        patient, side, view = Path(film).stem.split("_")
        yield film, patient, patient, side, view, FILM_MM
