"""What leaving out wavelet levels does to a normalised view, to where boxes lie and to scores.

JPEG 2000 phantoms at 0.07 mm, decoded once at the lowest resolution that their grid needs and once in full.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

import mammosweep
from benchmarks.harness import Row, figure_row
from mammosweep.archive.catalog import index
from mammosweep.archive.source import open_source
from mammosweep.config import ArchiveConfig, DetectConfig, FlipMode, PixelsConfig, Precision, SweepConfig
from mammosweep.phantom import PhantomConfig, Syntax, write_phantoms
from mammosweep.pixels.normalise import NormalisedView, normalise
from mammosweep.pixels.reader import FrameReader
from mammosweep.records import View

__all__ = ["rows"]

NUM_EXAMS = 8
SEED = 11
SPACING_MM = 0.07
GRIDS_MM = (0.15, 0.4)  # one level and two are left out
SAME_FINDING_MM = 5.0  # a finding that lies farther from another is another
REDUCED, FULL = PixelsConfig(reduced_resolution=True), PixelsConfig(reduced_resolution=False)


def rows(num_exams: int = NUM_EXAMS) -> list[Row]:
    """Of every view: gray and displacement for each grid; of every exam: its score and its boxes."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder, "archive")
        write_phantoms(
            archive,
            exams=num_exams,
            seed=SEED,
            syntaxes=[Syntax.JPEG2000],
            config=PhantomConfig(spacing_mm=SPACING_MM, lesion_rate=1.0),
        )
        views = _views(archive)
        pictures = [row for grid_mm in GRIDS_MM for row in _picture_rows(archive, views, grid_mm)]
        return pictures + _sweep_rows(archive, Path(folder))


@dataclass(frozen=True, slots=True)
class Difference:
    """Of a view decoded at a lower resolution from the same decoded in full, inside the breast."""

    largest: float  # of normalised gray, where 0 to 1 holds 90 % of the breast
    rms: float
    noise_rms: float  # of the full view's own gray about its 3 x 3 mean: what the rms is to be compared with
    shift_mm: float  # by phase correlation


def _picture_rows(archive: Path, views: list[View], grid_mm: float) -> list[Row]:
    found = [_difference(archive, view, grid_mm) for view in views]
    name = f"reduced/grid-{grid_mm:g}"
    return [
        figure_row(f"{name}/largest-gray-difference", "gray", [d.largest for d in found]),
        figure_row(f"{name}/rms-gray-difference", "gray", [d.rms for d in found]),
        figure_row(f"{name}/own-noise", "gray", [d.noise_rms for d in found]),
        figure_row(f"{name}/shift", "mm", [d.shift_mm for d in found]),
        figure_row(f"{name}/largest-shift", "mm", [max(d.shift_mm for d in found)]),
    ]


def _difference(archive: Path, view: View, grid_mm: float) -> Difference:
    full, reduced = (_normalised(archive, view, config, grid_mm) for config in (FULL, REDUCED))
    moved = _on_grid_of(full, reduced)
    breast = ~np.isnan(moved) & (full.gray > 0)
    difference = np.where(breast, moved - full.gray, 0.0)[breast]
    noise = (full.gray - cv2.blur(full.gray, (3, 3)))[breast]
    (x, y), _ = cv2.phaseCorrelate(*(_textured(gray, breast) for gray in (full.gray, moved)))
    return Difference(
        largest=float(np.abs(difference).max()),
        rms=float(np.sqrt(np.mean(difference**2))),
        noise_rms=float(np.sqrt(np.mean(noise**2))),
        shift_mm=float(np.hypot(x, y)) * grid_mm,
    )


def _normalised(archive: Path, view: View, config: PixelsConfig, grid_mm: float) -> NormalisedView:
    with FrameReader(config, grid_mm) as reader, reader.request(open_source(archive), view) as frame:
        return normalise(frame, view.spacing_mm, grid_mm)


def _on_grid_of(target: NormalisedView, other: NormalisedView) -> NDArray[np.float32]:
    """``other`` at the centres of the target's pixels, by both grids' own geometry; NaN outside it."""
    rows, columns = target.gray.shape
    x, y = np.meshgrid(np.arange(columns) + 0.5, np.arange(rows) + 0.5)
    points = np.stack([x, y, x, y], axis=-1).reshape(-1, 4)
    centres = other.grid.to_network(target.grid.to_native(points)) - 0.5
    at = [np.clip(centres[:, i].reshape(rows, columns).astype(np.float32), 0, None) for i in (0, 1)]
    moved: NDArray[np.float32] = cv2.remap(
        other.gray, at[0], at[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=float("nan")
    )
    return moved


def _textured(gray: NDArray[np.float32], breast: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The breast's fine structure, which shows a displacement that outlines would hide."""
    filled = np.where(breast, np.nan_to_num(gray), 0.0)
    return (filled - cv2.GaussianBlur(filled, (0, 0), 3)) * cv2.erode(
        breast.astype(np.uint8), np.ones((15, 15))
    )


def _sweep_rows(archive: Path, folder: Path) -> list[Row]:
    """Scores and boxes of two sweeps; and what the number format alone does to scores, as a measure."""
    sweeps = {
        "reduced": (REDUCED, Precision.AUTO),
        "full": (FULL, Precision.AUTO),
        "bf16": (FULL, Precision.BF16),
        "fp32": (FULL, Precision.FP32),
    }
    for name, (pixels, precision) in sweeps.items():
        detect = DetectConfig(flips=FlipMode.NONE, precision=precision)
        mammosweep.sweep_to(folder / name, archive, config=SweepConfig(pixels=pixels, detect=detect))
    scores = {name: _scores(folder / name) for name in sweeps}
    differences = [abs(scores["reduced"][exam] - score) for exam, score in scores["full"].items()]
    of_format = [abs(scores["bf16"][exam] - score) for exam, score in scores["fp32"].items()]
    pairs = _pairs(folder / "full", folder / "reduced")
    return [
        figure_row("reduced/score-difference", "score", differences),
        figure_row("reduced/largest-score-difference", "score", [max(differences)]),
        figure_row("reduced/score-difference-bf16-fp32", "score", of_format),
        figure_row("reduced/largest-score-difference-bf16-fp32", "score", [max(of_format)]),
        figure_row("reduced/box-shift", "mm", pairs.shifts_mm),
        figure_row("reduced/largest-box-shift", "mm", [max(pairs.shifts_mm)]),
        figure_row("reduced/findings-of-one-sweep-only", "findings", [pairs.num_alone]),
        figure_row("reduced/findings-of-both", "findings", [len(pairs.shifts_mm)]),
    ]


def _scores(out: Path) -> dict[str, float]:
    exams = mammosweep.read_table(out, "exams").to_pylist()
    return {exam["exam_id"]: exam["score"] for exam in exams}


def _views(archive: Path) -> list[View]:
    return [view for exam in index(archive, config=ArchiveConfig()).exams() for view in exam.views]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Findings of two sweeps, brought together."""

    shifts_mm: list[float]  # between the centres of two findings that are one
    num_alone: int  # findings that only one of the sweeps has


def _pairs(full: Path, reduced: Path) -> Pairs:
    """Each finding of the one sweep with the nearest of its type and image in the other."""
    left, right = ([Mark.of(row) for row in _findings(out)] for out in (full, reduced))
    shifts = []
    for mark in left:
        distances = [mark.distance_mm(other) for other in right]
        if not distances or min(distances) > SAME_FINDING_MM:
            continue
        shifts.append(min(distances))
        right.pop(int(np.argmin(distances)))
    return Pairs(shifts, len(left) - len(shifts) + len(right))


@dataclass(frozen=True, slots=True)
class Mark:
    """A finding: its kind in its image, and its centre."""

    what: tuple[str, str]
    xy_px: tuple[float, float]

    @staticmethod
    def of(row: dict[str, Any]) -> Mark:
        """From a row of findings.parquet."""
        centre = ((row["x1"] + row["x2"]) / 2, (row["y1"] + row["y2"]) / 2)
        return Mark((row["sop_instance_uid"], row["type"]), centre)

    def distance_mm(self, other: Mark) -> float:
        """Between centres; infinite for another image or type."""
        if self.what != other.what:
            return math.inf
        return math.dist(self.xy_px, other.xy_px) * SPACING_MM


def _findings(out: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = mammosweep.read_table(out, "findings").to_pylist()
    return sorted(rows, key=lambda row: -float(row["score"]))
