"""From phantoms to a bundle, in order: detector, place, character, matching, decision, figures, files.

Four series of phantoms, told apart by their seed: one to fit the networks on, one to fit what judges the
networks' findings (so that it meets findings on exams that the detector has not seen), one held out, and two
exams that go with the bundle as its validation views.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from mammosweep.bundle.load import (
    AFTER_DETECTION,
    CARD,
    DECISION,
    DETECTOR,
    LESION,
    MATCHER,
    VIEWS,
    Bundle,
    file_digest,
    open_bundle,
)
from mammosweep.bundle.manifest import BundleManifest, DetectorSpec, write_manifest
from mammosweep.bundle.views import write_views
from mammosweep.config import DetectConfig, FlipMode
from mammosweep.detect.buckets import make_batches
from mammosweep.detect.detector import Detector
from mammosweep.detect.load import load_detector
from mammosweep.detect.network import FourViewDetector
from mammosweep.exam.assess import ExamModels
from mammosweep.exam.score import BI_RADS_THRESHOLDS, Aggregation
from mammosweep.fit.card import model_card
from mammosweep.fit.detector import DetectorFit, fit_detector
from mammosweep.fit.exam import fit_decision, fit_matcher
from mammosweep.fit.lesion import LabelledEmbedding, fit_character, fit_place
from mammosweep.fit.outcome import (
    ExamFindings,
    Figures,
    candidates_of,
    findings_of,
    labelled,
    lesion_at,
    measure,
)
from mammosweep.fit.samples import ExamSample, read_samples
from mammosweep.geometry import Size
from mammosweep.lesion.describe import LesionNetworks, load_lesion_networks
from mammosweep.phantom import PhantomConfig, Syntax, write_phantoms
from mammosweep.pixels.normalise import GRAY_RANGE
from mammosweep.records import LESION_TYPES

__all__ = ["Recipe", "fit_phantom_bundle", "write_validation_views"]

NUM_KEPT = 2
"""Validation exams that go with the bundle: each adds half a megabyte to what is installed."""

Log = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides what the fitted bundle is."""

    name: str = "phantom-regnetx-002"
    version: str = "1.1"
    grid_mm: float = 0.4
    phantom: PhantomConfig = field(default_factory=lambda: PhantomConfig(spacing_mm=0.2, lesion_rate=0.9))
    held_out_phantom: PhantomConfig = field(default_factory=PhantomConfig)
    num_fit: int = 400
    num_judge: int = 240
    num_held_out: int = 100
    num_validation: int = 12  # of which two go with the bundle
    seed: int = 20261122
    detector: DetectorFit = field(default_factory=lambda: DetectorFit(steps=700))
    place_steps: int = 1500
    character_epochs: int = 60
    spec: DetectorSpec = field(
        default_factory=lambda: DetectorSpec(
            trunk="regnetx_002",
            channels=64,
            representation=192,
            anchor_sizes=(16.0, 32.0, 56.0, 88.0, 128.0),  # 6 to 51 mm at 0.4 mm
            aspect_ratios=(0.5, 1.0, 2.0),
            buckets=(Size(448, 256), Size(512, 320), Size(640, 384), Size(768, 640)),
            score_floor=0.05,
            merge_iou=0.3,
            candidates_per_view=12,
        )
    )


def fit_phantom_bundle(recipe: Recipe, work: Path, out: Path, log: Log) -> Figures:
    """Fit and write a bundle; ``work`` keeps phantoms and checkpoints, so that a killed fit goes on."""
    fit_series, judge_series, held_out, validation = (
        _series(recipe, work, name, config, count, offset, log)
        for offset, (name, config, count) in enumerate(
            [
                ("fit", recipe.phantom, recipe.num_fit),
                ("judge", recipe.phantom, recipe.num_judge),
                ("held-out", recipe.held_out_phantom, recipe.num_held_out),
                ("validation", replace(recipe.held_out_phantom, lesion_rate=1.0), recipe.num_validation),
            ]
        )
    )
    out.mkdir(parents=True, exist_ok=True)
    files = dict.fromkeys((DETECTOR, *AFTER_DETECTION), "")  # they are to come
    draft = Bundle(out, _manifest(recipe, match_threshold=0.5, files=files), digest="")
    _fit_detector(recipe, fit_series, work, out, log)
    detector = load_detector(draft, DetectConfig())
    log("fitting quadrant, depth and character")
    _fit_lesion_networks(recipe, fit_series, judge_series, draft)
    describe = load_lesion_networks(draft)
    log("fitting matching and decision")
    judged = [findings_of(s, detector, describe, recipe.spec) for s in judge_series[1::2]]
    models = _fit_exam_models(recipe, judged, out)
    log("measuring on held-out phantoms")
    found = [findings_of(s, detector, describe, recipe.spec) for s in held_out]
    figures = measure(found, models)
    write_validation_views(validation, recipe.spec, out / VIEWS)
    _finish(recipe, out, models, figures)
    return figures


def _series(
    recipe: Recipe, work: Path, name: str, config: PhantomConfig, count: int, offset: int, log: Log
) -> list[ExamSample]:
    folder = work / name
    if not (folder / "truth.parquet").exists():  # written last
        log(f"drawing {count} phantoms: {name}")
        shutil.rmtree(folder, ignore_errors=True)
        write_phantoms(
            folder, exams=count, seed=recipe.seed + offset, syntaxes=[Syntax.JPEG_LS], config=config
        )
    log(f"reading phantoms: {name}")
    return read_samples(folder, recipe.grid_mm)


def _fit_detector(recipe: Recipe, samples: list[ExamSample], work: Path, out: Path, log: Log) -> None:
    torch.manual_seed(recipe.seed)
    detector = FourViewDetector(recipe.spec)
    curve = work / "detector.csv"

    def log_step(step: int, losses: dict[str, float]) -> None:
        with curve.open("a", encoding="utf-8") as file:
            file.write(f"{step}," + ",".join(f"{v:.5f}" for v in losses.values()) + "\n")
        if step % 50 == 0:
            log(f"detector step {step}: " + " ".join(f"{k} {v:.3f}" for k, v in losses.items()))

    fit_detector(detector, samples, recipe.detector, work / "detector.checkpoint.safetensors", log_step)
    _save(detector, out / DETECTOR)


def _fit_lesion_networks(
    recipe: Recipe, samples: list[ExamSample], judge: list[ExamSample], draft: Bundle
) -> None:
    networks = LesionNetworks(recipe.spec.representation)
    networks.quadrant, networks.depth = fit_place(
        samples + judge, recipe.grid_mm, steps=recipe.place_steps, seed=recipe.seed
    )
    finder = load_detector(draft, DetectConfig(flips=FlipMode.NONE))
    findings = _embeddings(judge[::2], finder, recipe)
    networks.character = fit_character(findings, epochs=recipe.character_epochs, seed=recipe.seed)
    _save(networks, draft.file(LESION))


def _embeddings(samples: list[ExamSample], finder: Detector, recipe: Recipe) -> list[LabelledEmbedding]:
    found: list[LabelledEmbedding] = []
    for sample in samples:
        every = candidates_of(sample, finder, recipe.spec)
        for view, candidates in zip(sample.views, every, strict=True):
            boxes_px = view.grid.to_native(candidates.boxes.numpy())
            found += [
                LabelledEmbedding(e.clone(), lesion_at(view, box.tolist()))
                for e, box in zip(candidates.embeddings, boxes_px, strict=True)
            ]
    return found


def _save(network: nn.Module, path: Path) -> None:
    """Weights in half precision: twice as small, and far finer than the fit is certain of."""
    tensors = {k: v.half() if v.is_floating_point() else v for k, v in network.state_dict().items()}
    save_file({k: v.contiguous() for k, v in tensors.items()}, path)


def _fit_exam_models(recipe: Recipe, judged: list[ExamFindings], out: Path) -> ExamModels:
    exams = [labelled(exam) for exam in judged]
    matcher, threshold = fit_matcher(exams, seed=recipe.seed)
    decision = fit_decision(exams, matcher, threshold, seed=recipe.seed)
    matcher.save(out / MATCHER)
    decision.save(out / DECISION)
    return ExamModels(
        matcher=matcher,
        decision=decision,
        match_threshold=threshold,
        thresholds=BI_RADS_THRESHOLDS,
        aggregation=Aggregation.MAX,
    )


def write_validation_views(samples: list[ExamSample], spec: DetectorSpec, path: Path) -> None:
    """Keep the exams on the smallest canvases with the bundle, as its networks see them."""
    batches = [make_batches({v.view: v.normalised for v in sample.views}, spec)[0] for sample in samples]
    smallest = sorted(batches, key=lambda batch: batch.pixels.numel())[:NUM_KEPT]
    write_views(path, [(batch.pixels[0], batch.present[0]) for batch in smallest], GRAY_RANGE)


def _finish(recipe: Recipe, out: Path, models: ExamModels, figures: Figures) -> None:
    (out / CARD).write_text(model_card(recipe, figures), encoding="utf-8")
    files = {name: file_digest(out / name) for name in (DETECTOR, *AFTER_DETECTION, VIEWS, CARD)}
    write_manifest(out, _manifest(recipe, match_threshold=models.match_threshold, files=files))
    open_bundle(out)


def _manifest(recipe: Recipe, *, match_threshold: float, files: dict[str, str]) -> BundleManifest:
    return BundleManifest(
        name=recipe.name,
        version=recipe.version,
        fitted_on=f"mammosweep phantoms, seeds {recipe.seed} and {recipe.seed + 1}; no patient's image",
        note="Fitted on synthetic phantoms only: its findings and scores on real mammograms mean nothing.",
        lesion_types=LESION_TYPES,
        grid_mm=recipe.grid_mm,
        allow_for_processing=False,
        detector=recipe.spec,
        match_threshold=match_threshold,
        aggregation=str(Aggregation.MAX),
        category_thresholds=BI_RADS_THRESHOLDS.lower_bounds,
        files=files,
    )
