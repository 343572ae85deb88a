"""What fusion, flips and the way of merging looks change in what the phantom bundle finds.

Every variant is compared with the bundle as it is, on the same exams. Without fusion means the same weights
with what the other views add set to zero; the rest was fitted beside it and is not fitted again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.bundles import PHANTOM_BUNDLE, variant, without_fusion
from benchmarks.cases import FILMS, Case, film_cases, phantom_cases
from benchmarks.froc_pairs import NUM_BOOTSTRAPS, FloatArray, apart, figures
from benchmarks.harness import Row, failed_row, figure_row
from benchmarks.looks import Seen, look_at, merged
from benchmarks.plans import cpu, load_detector
from mammosweep.bundle import open_bundle
from mammosweep.bundle.manifest import FlipMerge
from mammosweep.config import FlipMode
from mammosweep.evaluate.boxes import iou_matrix
from mammosweep.evaluate.froc import ImageDetections, ImageTruth
from mammosweep.records import LesionType

__all__ = ["VARIANTS", "rows"]

NUM_PHANTOMS = 24
FILM_PATIENTS = 30
SEED = 20261130  # none of the fit's


@dataclass(frozen=True, slots=True)
class Variant:
    """How the bundle is run."""

    fusion: bool = True
    flips: FlipMode = FlipMode.ALL
    merge: FlipMerge | None = None  # None: as the manifest says


BASE = "as-it-is"
VARIANTS = {
    BASE: Variant(),
    "no-fusion": Variant(fusion=False),
    "flips-none": Variant(flips=FlipMode.NONE),
    "flips-h": Variant(flips=FlipMode.H),
    "flips-hv": Variant(flips=FlipMode.HV),
    "merge-suppression": Variant(merge=FlipMerge.SUPPRESSION),
    "merge-weighted": Variant(merge=FlipMerge.WEIGHTED),
}


def rows(
    num_phantoms: int = NUM_PHANTOMS,
    film_patients: int | None = FILM_PATIENTS,
    num_bootstraps: int = NUM_BOOTSTRAPS,
) -> list[Row]:
    """On phantoms, and on films where they are at hand."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        bundles = {True: PHANTOM_BUNDLE, False: _without_fusion(work / "no-fusion")}
        grid_mm = open_bundle(PHANTOM_BUNDLE).manifest.grid_mm
        phantoms = phantom_cases(work / "phantoms", grid_mm, exams=num_phantoms, seed=SEED)
        found = _effects("phantoms", phantoms, bundles, num_bootstraps)
        if not FILMS.is_dir():
            return [*found, failed_row("effects/films/as-it-is/sensitivity-at-1", "no films at hand")]
        films = film_cases(work, grid_mm, patients=film_patients)
        return found + _effects("films", films, bundles, num_bootstraps)


def _without_fusion(folder: Path) -> Path:
    return variant(PHANTOM_BUNDLE, folder, change=without_fusion)


def _effects(
    name: str, cases: Sequence[Case], bundles: Mapping[bool, Path], num_bootstraps: int
) -> list[Row]:
    seen = {fusion: _seen(cases, bundle) for fusion, bundle in bundles.items()}
    spec = open_bundle(bundles[True]).manifest.detector
    found = {
        which: [merged(one, how.flips, how.merge or spec.flip_merge, spec) for one in seen[how.fusion]]
        for which, how in VARIANTS.items()
    }
    truths = [one.truth for one in seen[True]]
    measured = {which: figures(marks, truths, num_bootstraps) for which, marks in found.items()}
    lesions = sum(len(truth.types) for truth in truths)
    rows = [
        figure_row(f"effects/{name}/images", "images", [float(len(truths))]),
        figure_row(f"effects/{name}/lesions", "lesions", [float(lesions)]),
    ]
    for which, marks in found.items():
        rows += _variant_rows(f"effects/{name}/{which}", which, measured)
        if counts := _boxes_on_clusters(marks, truths):
            rows.append(
                figure_row(f"effects/{name}/{which}/boxes-on-a-cluster", "boxes", [float(np.mean(counts))])
            )
    return rows


def _seen(cases: Sequence[Case], bundle: Path) -> list[Seen]:
    """Every view in every look; fp32, so that no number format has an effect of its own."""
    opened = open_bundle(bundle)
    detector = load_detector(opened, cpu("torch-fp32", FlipMode.NONE).detect)
    return [one for case in cases for one in look_at(detector, case, opened.manifest.detector)]


def _variant_rows(name: str, which: str, measured: Mapping[str, Mapping[str, FloatArray]]) -> list[Row]:
    """Both figures, and how far each is from that of the bundle as it is."""
    found = []
    for measure, values in measured[which].items():
        difference = apart(measured[BASE][measure], values)
        found += [
            figure_row(f"{name}/{measure}", "sensitivity", [float(values[0])]),
            figure_row(f"{name}/{measure}/difference", "sensitivity", [difference.difference]),
            figure_row(f"{name}/{measure}/difference-low", "sensitivity", [difference.low]),
            figure_row(f"{name}/{measure}/difference-high", "sensitivity", [difference.high]),
        ]
    return found


def _boxes_on_clusters(found: Sequence[ImageDetections], truths: Sequence[ImageTruth]) -> list[int]:
    """Of each true cluster that is hit at all, how many boxes that say calcification overlap it."""
    counts: list[int] = []
    for marks, truth in zip(found, truths, strict=True):
        clusters, said = (_calcifications(one.boxes_px, one.types) for one in (truth, marks))
        counts += (iou_matrix(clusters, said) > 0).sum(axis=1).tolist()
    return [count for count in counts if count]


def _calcifications(boxes_px: ArrayLike, types: Sequence[LesionType]) -> NDArray[np.float64]:
    """(K, 4) those of the boxes."""
    boxes = np.asarray(boxes_px, dtype=np.float64).reshape(-1, 4)
    return boxes[[kind is LesionType.CALCIFICATION for kind in types]]
