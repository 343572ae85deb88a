"""Fitting the detector: batches of exams (of views, without fusion), each a fresh variant of its films."""

# Shapes:  B exams   S slots an exam   H, W network pixels   K boxes

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from mammosweep.bundle.manifest import STRIDE, DetectorSpec
from mammosweep.detect.network import FourViewDetector
from mammosweep.fit.augment import Augmentation, augmented
from mammosweep.fit.average import AveragedWeights
from mammosweep.fit.checkpoint import Checkpoint
from mammosweep.fit.depthwise import quicken_depthwise
from mammosweep.fit.samples import ExamSample, ViewSample
from mammosweep.pixels.normalise import GRAY_RANGE
from mammosweep.records import SLOTS

__all__ = ["DetectorFit", "OptimiserChoice", "Schedule", "fit_detector"]

SORTED_BATCHES = 16
"""Exams of so many batches are sorted by size before they are told apart: canvases hold less air then."""

LEAST_VISIBLE = 0.5
"""Of a box that an augmentation pushes out of the canvas, so much must stay for it to be taught."""

Log = Callable[[int, dict[str, float]], None]


class OptimiserChoice(StrEnum):
    """What turns gradients into steps."""

    ADAMW = "adamw"  # Loshchilov and Hutter 2019
    SGD = "sgd"  # with momentum 0.9, the paper's


class Schedule(StrEnum):
    """How the learning rate goes on after its linear warm-up."""

    COSINE = "cosine"  # down to 1 %
    CONSTANT = "constant"


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorFit:
    """How the detector is fitted."""

    steps: int
    exams_per_step: int = 2  # views, without fusion
    optimiser: OptimiserChoice = OptimiserChoice.ADAMW
    schedule: Schedule = Schedule.COSINE
    learning_rate: float = 1e-3
    trunk_rate: float = 1.0  # the trunk's share of the learning rate: less where it comes pretrained
    warmup_steps: int = 100
    restarts: tuple[int, ...] = ()  # steps at which the cosine begins anew (Loshchilov and Hutter 2017)
    restart_rate: float = 0.5  # of the peak before, at each
    weight_decay: float = 1e-4  # the paper's
    frozen: tuple[str, ...] = ()  # parameters of backbone.body that begin so stay as they are
    frozen_norms: bool = False  # batch norms keep their statistics: batches are small
    missing_view_rate: float = 0.1  # so that fusion learns to do without
    augmentation: Augmentation = field(default_factory=lambda: Augmentation(gain=(0.8, 1.25), shift=0.1))
    bf16: bool = False
    average_decay: float = 0.0  # of the exponential mean of weights that is kept instead of the last ones
    max_gradient: float = 5.0
    checkpoint_every: int = 100
    seed: int = 0


def fit_detector(
    network: FourViewDetector,
    spec: DetectorSpec,
    samples: Sequence[ExamSample],
    fit: DetectorFit,
    grid_mm: float,
    checkpoint: Checkpoint,
    log: Log,
) -> FourViewDetector:
    """Fit from the checkpoint on, if there is one; every step's randomness follows from seed and step.

    Args:
        network: with the weights to begin from.
        spec: what it was built from.
        samples: annotated exams.
        fit: how.
        grid_mm: side of a network pixel.
        checkpoint: where the fit is kept.
        log: is told step and losses.

    Returns:
        The network with its averaged weights, in evaluation mode.
    """
    if fit.bf16:
        quicken_depthwise(network)
    network = network.to(memory_format=torch.channels_last)
    optimiser = _optimiser(_parameters(network, fit), fit)
    average = AveragedWeights(network, fit.average_decay)
    start = checkpoint.load(network, optimiser, average)
    _train_mode(network, fit)
    units = samples if spec.fusion else _views_alone(samples)
    for step, batch in _batches(units, spec, fit, grid_mm, start):
        for group in optimiser.param_groups:
            group["lr"] = group["base"] * _schedule(step, fit)
        torch.manual_seed(fit.seed * 1_000_003 + step)  # RPN and box head sample with torch's generator
        with torch.autocast("cpu", torch.bfloat16, enabled=fit.bf16):
            losses: dict[str, Tensor] = network(*batch)[1]
        total = torch.stack([loss.float() for loss in losses.values()]).sum()
        optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        clip_grad_norm_(network.parameters(), fit.max_gradient)
        optimiser.step()
        average.update(network, step)
        log(step, {name: float(value.detach()) for name, value in losses.items()})
        if (step + 1) % fit.checkpoint_every == 0 or step + 1 == fit.steps:
            checkpoint.save(network, optimiser, average, step + 1)
    average.copy_to(network)
    return network.eval()


def _optimiser(groups: list[dict[str, object]], fit: DetectorFit) -> torch.optim.Optimizer:
    if fit.optimiser is OptimiserChoice.SGD:
        return torch.optim.SGD(groups, lr=fit.learning_rate, momentum=0.9, weight_decay=fit.weight_decay)
    return torch.optim.AdamW(groups, lr=fit.learning_rate, weight_decay=fit.weight_decay)


def _parameters(network: FourViewDetector, fit: DetectorFit) -> list[dict[str, object]]:
    trunk: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        in_trunk = name.startswith("backbone.body.")
        if in_trunk and name.removeprefix("backbone.body.").startswith(fit.frozen):
            parameter.requires_grad_(False)
        if parameter.requires_grad:
            (trunk if in_trunk else rest).append(parameter)
    return [
        {"params": trunk, "base": fit.learning_rate * fit.trunk_rate},
        {"params": rest, "base": fit.learning_rate},
    ]


def _train_mode(network: FourViewDetector, fit: DetectorFit) -> None:
    network.train()
    if fit.frozen_norms:
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


def _views_alone(samples: Sequence[ExamSample]) -> list[ExamSample]:
    return [ExamSample(exam_id=exam.exam_id, views=(view,)) for exam in samples for view in exam.views]


def _schedule(step: int, fit: DetectorFit) -> float:
    """The learning rate's share of its peak."""
    if step < fit.warmup_steps:
        return (step + 1) / fit.warmup_steps
    if fit.schedule is Schedule.CONSTANT:
        return 1.0
    starts = [fit.warmup_steps, *(at for at in fit.restarts if at < fit.steps), fit.steps]
    cycle = sum(at <= step for at in starts[1:-1])
    done = (step - starts[cycle]) / max(starts[cycle + 1] - starts[cycle], 1)
    return fit.restart_rate**cycle * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


Batch = tuple[Tensor, Tensor, list[dict[str, Tensor]]]


def _batches(
    exams: Sequence[ExamSample], spec: DetectorSpec, fit: DetectorFit, grid_mm: float, start: int
) -> Iterator[tuple[int, Batch]]:
    """Every step's batch; the next one is made while one is learned from."""

    def make(step: int) -> Batch:
        rng = np.random.default_rng([fit.seed, step])
        return _batch([exams[i] for i in _chosen(exams, fit, step)], spec, fit, grid_mm, rng)

    with ThreadPoolExecutor(1, thread_name_prefix="augment") as thread:
        ahead = thread.submit(make, start) if start < fit.steps else None
        for step in range(start, fit.steps):
            assert ahead is not None
            batch = ahead.result()
            ahead = thread.submit(make, step + 1) if step + 1 < fit.steps else None
            yield step, batch


def _chosen(exams: Sequence[ExamSample], fit: DetectorFit, step: int) -> list[int]:
    """Which exams a step sees: each once an epoch, beside exams of its size."""
    per_step = min(fit.exams_per_step, len(exams))
    steps_an_epoch = len(exams) // per_step
    epoch, place = divmod(step, steps_an_epoch)
    rng = np.random.default_rng([fit.seed, 1, epoch])
    order = rng.permutation(len(exams))[: steps_an_epoch * per_step]
    parts = [
        sorted(order[i : i + SORTED_BATCHES * per_step], key=lambda k: _columns(exams[k]))
        for i in range(0, len(order), SORTED_BATCHES * per_step)
    ]
    batches = np.array([k for part in parts for k in part]).reshape(steps_an_epoch, per_step)
    return [int(k) for k in batches[rng.permutation(steps_an_epoch)[place]]]


def _columns(exam: ExamSample) -> int:
    return max(int(view.gray.shape[1]) for view in exam.views)


def _batch(
    exams: list[ExamSample], spec: DetectorSpec, fit: DetectorFit, grid_mm: float, rng: np.random.Generator
) -> Batch:
    """(B, S, 1, H, W) canvases, (B, S) presence, and the present views' targets in order."""
    sizes = [view.gray.shape for exam in exams for view in exam.views]
    rows, columns = (-(-max(size[d] for size in sizes) // STRIDE) * STRIDE for d in (0, 1))
    slots = len(SLOTS) if spec.fusion else 1
    pixels = torch.full((len(exams), slots, 1, rows, columns), GRAY_RANGE[0])
    present = torch.zeros((len(exams), slots), dtype=torch.bool)
    targets = []
    for b, exam in enumerate(exams):
        for view in _kept(exam, fit, rng):
            slot = SLOTS.index((view.view.laterality, view.view.position)) if spec.fusion else 0
            gray, boxes = augmented(
                view.gray.astype(np.float32), view.boxes_net, fit.augmentation, grid_mm, rng
            )
            pixels[b, slot, 0, : gray.shape[0], : gray.shape[1]] = torch.from_numpy(gray)
            present[b, slot] = True
            targets.append(_target(view, boxes, gray.shape))
    return pixels, present, targets


def _kept(exam: ExamSample, fit: DetectorFit, rng: np.random.Generator) -> list[ViewSample]:
    kept = [view for view in exam.views if rng.random() >= fit.missing_view_rate]
    return kept or [exam.views[0]]


def _target(view: ViewSample, boxes: np.ndarray, shape: tuple[int, ...]) -> dict[str, Tensor]:
    limits = [shape[1], shape[0], shape[1], shape[0]]
    inside = np.clip(boxes, 0, limits)
    areas = [(b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]) for b in (boxes, inside)]
    seen = areas[1] >= LEAST_VISIBLE * areas[0]
    labels = torch.tensor([lesion.label for lesion in view.lesions], dtype=torch.int64)
    return {
        "boxes": torch.from_numpy(inside[seen].astype(np.float32)),
        "labels": labels[torch.from_numpy(seen)],
    }
