"""Fitting what describes a finding: quadrant and depth on annotated boxes, character on findings."""

# Shapes:  K findings   D representation

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from mammosweep.fit.samples import ExamSample, TrueLesion, ViewSample
from mammosweep.lesion.character import ATTRIBUTES, MALIGNANCY, CharacterNetwork
from mammosweep.lesion.depth import DepthNetwork
from mammosweep.lesion.quadrant import CLASSES, QuadrantNetwork
from mammosweep.lesion.view_and_mask import box_masks, coarse_view

__all__ = ["LabelledEmbedding", "fit_character", "fit_place"]

BATCH = 32
BOX_JITTER = 0.15  # of a box's side: detected boxes are never quite the annotated ones


@dataclass(frozen=True, slots=True)
class LabelledEmbedding:
    """A finding's representation and what is really there (None: nothing)."""

    embedding: Tensor  # (D,)
    lesion: TrueLesion | None


def fit_place(
    samples: Sequence[ExamSample], grid_mm: float, *, steps: int, seed: int
) -> tuple[QuadrantNetwork, DepthNetwork]:
    """Fit quadrant and depth on every annotated lesion, each step with freshly jittered boxes."""
    torch.manual_seed(seed)
    quadrant, depth = QuadrantNetwork(), DepthNetwork()
    views = [view for exam in samples for view in exam.views if view.lesions]
    coarse = [coarse_view(torch.from_numpy(view.gray.astype(np.float32)), grid_mm) for view in views]
    every = [(v, k) for v, view in enumerate(views) for k in range(len(view.lesions))]
    optimiser = torch.optim.AdamW([*quadrant.parameters(), *depth.parameters()], lr=1e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=2e-3, total_steps=steps)
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        chosen = [every[i] for i in rng.integers(len(every), size=BATCH)]
        gray = torch.stack([coarse[v] * float(rng.uniform(0.8, 1.25)) for v, _ in chosen])
        boxes = torch.stack([_jittered(views[v].boxes_net[k], rng) for v, k in chosen])
        seen = torch.stack([gray, box_masks(boxes, grid_mm)], dim=1)
        classes = torch.tensor([_quadrant_class(views[v], k) for v, k in chosen])
        depths = torch.tensor([views[v].lesions[k].depth for v, k in chosen], dtype=torch.float32)
        loss = functional.cross_entropy(quadrant(seen), classes) + 10 * functional.smooth_l1_loss(
            depth(seen), depths.clamp(0, 1), beta=0.05
        )
        _step(optimiser, loss)
        schedule.step()
    return quadrant.eval(), depth.eval()


def _jittered(box: NDArray[np.float32], rng: np.random.Generator) -> Tensor:
    sides = np.tile(box[2:] - box[:2], 2)
    return torch.from_numpy((box + rng.normal(0, BOX_JITTER, size=4) * sides).astype(np.float32))


def _quadrant_class(view: ViewSample, k: int) -> int:
    return CLASSES.index((view.view.position, view.lesions[k].quadrant))


def fit_character(findings: Sequence[LabelledEmbedding], *, epochs: int, seed: int) -> CharacterNetwork:
    """Fit malignancy (what is nothing is benign) and each attribute on the lesions that have it."""
    torch.manual_seed(seed)
    network = CharacterNetwork(findings[0].embedding.shape[0])
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-2)
    rng = np.random.default_rng(seed)
    network.train()
    for _ in range(epochs):
        for chosen in np.array_split(rng.permutation(len(findings)), max(len(findings) // BATCH, 1)):
            _step(optimiser, _character_loss(network, [findings[i] for i in chosen]))
    return network.eval()


def _character_loss(network: CharacterNetwork, findings: Sequence[LabelledEmbedding]) -> Tensor:
    logits = network(torch.stack([f.embedding for f in findings]))
    malignant = torch.tensor([float(f.lesion is not None and f.lesion.malignant) for f in findings])
    losses = [functional.binary_cross_entropy_with_logits(logits[MALIGNANCY], malignant)]
    for name, (_, words) in ATTRIBUTES.items():
        known = [
            i for i, f in enumerate(findings) if f.lesion is not None and f.lesion.words.get(name) in words
        ]
        if known:
            truth = torch.tensor([words.index(_word(findings[i], name)) for i in known])
            losses.append(functional.cross_entropy(logits[name][known], truth))
    return torch.stack(losses).sum()


def _word(finding: LabelledEmbedding, attribute: str) -> str:
    assert finding.lesion is not None
    return finding.lesion.words[attribute]


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_([p for g in optimiser.param_groups for p in g["params"]], 5.0)
    optimiser.step()
