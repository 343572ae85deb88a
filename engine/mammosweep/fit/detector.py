"""Fitting the four-view detector: batches of whole exams, flipped, shifted in gray, with views missing."""

# Shapes:  B exams   4 views   H, W network pixels   K boxes

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from mammosweep.bundle.manifest import STRIDE
from mammosweep.detect.flips import BOTH, HORIZONTAL, IDENTITY, VERTICAL, Flip
from mammosweep.detect.network import FourViewDetector
from mammosweep.fit.checkpoint import load_checkpoint, save_checkpoint
from mammosweep.fit.samples import ExamSample, ViewSample
from mammosweep.pixels.normalise import GRAY_RANGE
from mammosweep.records import SLOTS

__all__ = ["DetectorFit", "fit_detector"]

FLIPS: tuple[Flip, ...] = (IDENTITY, HORIZONTAL, VERTICAL, BOTH)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorFit:
    """How the detector is fitted."""

    steps: int
    exams_per_step: int = 2
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    weight_decay: float = 1e-4  # the paper's
    missing_view_rate: float = 0.1  # so that fusion learns to do without
    gray_gain: tuple[float, float] = (0.8, 1.25)
    gray_shift: float = 0.1
    max_gradient: float = 5.0
    checkpoint_every: int = 100
    seed: int = 0


def fit_detector(
    network: FourViewDetector,
    samples: Sequence[ExamSample],
    fit: DetectorFit,
    checkpoint: Path,
    log: Callable[[int, dict[str, float]], None],
) -> FourViewDetector:
    """Fit from the checkpoint on, if there is one; every step's randomness follows from seed and step."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=fit.learning_rate, weight_decay=fit.weight_decay)
    start = load_checkpoint(checkpoint, network, optimiser)
    network.train()
    for step in range(start, fit.steps):
        for group in optimiser.param_groups:
            group["lr"] = fit.learning_rate * _schedule(step, fit)
        rng = np.random.default_rng([fit.seed, step])
        torch.manual_seed(int(rng.integers(2**31)))  # RPN and box head sample with torch's generator
        losses = _losses(network, _draw(samples, fit, rng), fit, rng)
        total = torch.stack(list(losses.values())).sum()
        optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        clip_grad_norm_(network.parameters(), fit.max_gradient)
        optimiser.step()
        log(step, {name: float(value.detach()) for name, value in losses.items()})
        if (step + 1) % fit.checkpoint_every == 0 or step + 1 == fit.steps:
            save_checkpoint(checkpoint, network, optimiser, step + 1)
    return network.eval()


def _schedule(step: int, fit: DetectorFit) -> float:
    """Linear warm-up, then a cosine to 1 %."""
    if step < fit.warmup_steps:
        return (step + 1) / fit.warmup_steps
    done = (step - fit.warmup_steps) / max(fit.steps - fit.warmup_steps, 1)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done))


def _draw(samples: Sequence[ExamSample], fit: DetectorFit, rng: np.random.Generator) -> list[ExamSample]:
    return [samples[i] for i in rng.choice(len(samples), size=fit.exams_per_step, replace=False)]


def _losses(
    network: FourViewDetector, exams: list[ExamSample], fit: DetectorFit, rng: np.random.Generator
) -> dict[str, Tensor]:
    flip = FLIPS[int(rng.integers(len(FLIPS)))]
    pixels, present, views = _batch(exams, fit, rng)
    size = (int(pixels.shape[-2]), int(pixels.shape[-1]))
    targets = [
        {
            "boxes": flip.undo(torch.from_numpy(view.boxes_net), size),  # a flip is its own inverse
            "labels": torch.tensor([lesion.label for lesion in view.lesions], dtype=torch.int64),
        }
        for view in views
    ]
    losses: dict[str, Tensor] = network(flip.apply(pixels), present, targets)[1]
    return losses


def _batch(
    exams: list[ExamSample], fit: DetectorFit, rng: np.random.Generator
) -> tuple[Tensor, Tensor, list[ViewSample]]:
    """(B, 4, 1, H, W) canvases with augmented gray, (B, 4) presence, and the present views in order."""
    sizes = [view.gray.shape for exam in exams for view in exam.views]
    rows, columns = (-(-max(size[d] for size in sizes) // STRIDE) * STRIDE for d in (0, 1))
    pixels = torch.full((len(exams), len(SLOTS), 1, rows, columns), GRAY_RANGE[0])
    present = torch.zeros((len(exams), len(SLOTS)), dtype=torch.bool)
    kept: list[ViewSample] = []
    for b, exam in enumerate(exams):
        gain, shift = rng.uniform(*fit.gray_gain), rng.uniform(-fit.gray_shift, fit.gray_shift)
        stays = [rng.random() >= fit.missing_view_rate for _ in exam.views]
        for view, stay in zip(exam.views, stays, strict=True):
            if not (stay or (view is exam.views[0] and not any(stays))):
                continue
            slot = SLOTS.index((view.view.laterality, view.view.position))
            gray = np.clip(view.gray.astype(np.float32) * gain + shift, *GRAY_RANGE)
            pixels[b, slot, 0, : gray.shape[0], : gray.shape[1]] = torch.from_numpy(gray)
            present[b, slot] = True
            kept.append(view)
    return pixels, present, kept
