"""Bundles that only benchmarks need: variants of one, with another spec or other weights."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from mammosweep.bundle.load import CARD, DETECTOR, VIEWS, file_digest, open_bundle
from mammosweep.bundle.manifest import MANIFEST_NAME, BundleManifest, DetectorSpec, write_manifest
from mammosweep.bundle.views import write_views
from mammosweep.detect.network import FourViewDetector
from mammosweep.exam.score import BI_RADS_THRESHOLDS, Aggregation
from mammosweep.geometry import Size
from mammosweep.pixels.normalise import GRAY_RANGE
from mammosweep.records import LESION_TYPES, SLOTS

__all__ = ["PHANTOM_BUNDLE", "canvases", "random_bundle", "variant", "without_fusion"]

Weights = dict[str, Tensor]

PHANTOM_BUNDLE = Path(__file__).parent.parent / "tests" / "bundles" / "phantom-regnetx-002"
"""The small bundle that knows phantoms."""

SEED = 408

FUSION_OUTPUTS = ("fusion.sides.2.", "fusion.profile.2.")
"""Its last layers: what they give is added to each view's features."""


def variant(
    bundle: Path,
    folder: Path,
    spec: Mapping[str, Any] | None = None,
    change: Callable[[Weights], None] | None = None,
) -> Path:
    """A copy of a bundle, some fields of its detector's spec replaced and its detector's weights changed.

    Its digest is another, so that no plan made for the one is taken for the other.
    """
    manifest = open_bundle(bundle).manifest
    shutil.copytree(bundle, folder, ignore=shutil.ignore_patterns(MANIFEST_NAME))
    if change is not None:
        weights = load_file(folder / DETECTOR)
        change(weights)
        save_file(weights, folder / DETECTOR)
    write_manifest(
        folder,
        replace(
            manifest,
            detector=replace(manifest.detector, **(spec or {})),
            files=manifest.files | {DETECTOR: file_digest(folder / DETECTOR)},
        ),
    )
    open_bundle(folder)
    return folder


def without_fusion(weights: Weights) -> None:
    """Zero what the other views add; the rest of the network stays as it was fitted beside it."""
    for name, tensor in weights.items():
        if name.startswith(FUSION_OUTPUTS):
            weights[name] = torch.zeros_like(tensor)


def canvases(rows: tuple[int, int], columns: tuple[int, int], step: int = 64) -> tuple[Size, ...]:
    """Every canvas between two sizes, smallest first: a crop is padded by less than a step."""
    sizes = [
        Size(r, c) for r in range(rows[0], rows[1] + 1, step) for c in range(columns[0], columns[1] + 1, step)
    ]
    return tuple(sorted(sizes, key=lambda size: (size.area, size.rows)))


def random_bundle(folder: Path, spec: DetectorSpec, grid_mm: float) -> Path:
    """A detector with random weights, and noise for validation views: as fast as a fitted one."""
    folder.mkdir(parents=True)
    torch.manual_seed(SEED)
    save_file(
        {name: t.contiguous() for name, t in FourViewDetector(spec).state_dict().items()}, folder / DETECTOR
    )
    rows, columns = spec.buckets[0].rows, spec.buckets[0].columns
    exams = [
        (torch.rand(len(SLOTS), 1, rows, columns), torch.ones(len(SLOTS), dtype=torch.bool)) for _ in range(2)
    ]
    write_views(folder / VIEWS, exams, GRAY_RANGE)
    (folder / CARD).write_text("Random weights, for benchmarks of speed.\n", encoding="utf-8")
    manifest = BundleManifest(
        name=f"random-{spec.trunk}",
        version="1",
        fitted_on="nothing",
        note="Random weights.",
        lesion_types=LESION_TYPES,
        grid_mm=grid_mm,
        allow_for_processing=False,
        detector=spec,
        match_threshold=1.0,
        aggregation=str(Aggregation.MAX),
        category_thresholds=BI_RADS_THRESHOLDS.lower_bounds,
        files={name: file_digest(folder / name) for name in (DETECTOR, CARD, VIEWS)},
    )
    write_manifest(folder, manifest)
    return folder
