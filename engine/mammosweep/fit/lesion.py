"""Fitting what describes a finding: quadrant and depth on annotated boxes, character on findings."""

# Shapes:  K findings   D representation   S pixels of a crop's side

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from mammosweep.bundle.manifest import CharacterSpec
from mammosweep.fit.augment import Augmentation, augmented
from mammosweep.fit.average import AveragedWeights
from mammosweep.fit.checkpoint import Checkpoint
from mammosweep.fit.depthwise import quicken_depthwise
from mammosweep.fit.pretrained import begin_trunk
from mammosweep.fit.samples import ExamSample, TrueLesion, ViewSample
from mammosweep.lesion.character import IS_LESION, MALIGNANCY, CharacterNetwork
from mammosweep.lesion.depth import DepthNetwork
from mammosweep.lesion.quadrant import CLASSES, QuadrantNetwork
from mammosweep.lesion.view_and_mask import box_masks, coarse_view
from mammosweep.pixels.normalise import GRAY_RANGE

__all__ = [
    "CharacterFit",
    "CharacterSample",
    "PlaceFit",
    "fit_character",
    "fit_place",
    "has_place",
    "packed",
    "unpacked",
]

BOX_JITTER = 0.15  # of a box's side: detected boxes are never quite the annotated ones
MAX_GRADIENT = 5.0

CROP_MARGIN = 1.4
"""Samples keep so much more than the crop's side, so that turned and shifted crops have tissue
in their corners."""

GRAY_STEPS = 255  # a sample's gray is kept in 8 bits, as validation views are


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceFit:
    """How quadrant and depth are fitted."""

    steps: int = 1500
    batch: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    gain: tuple[float, float] = (0.8, 1.25)
    checkpoint_every: int = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class CharacterFit:
    """How the character network is fitted."""

    steps: int = 600
    batch: int = 32
    learning_rate: float = 1e-3
    trunk_rate: float = 1.0  # the crop trunk's share of it: less where it comes pretrained
    warmup_steps: int = 50
    weight_decay: float = 1e-2
    false_share: float = 0.3  # of a batch: findings that are nothing, taught as benign
    word_weight: float = 0.3  # of the words' losses beside malignancy's
    smoothing: float = 0.05  # of labels (Szegedy et al. 2016): readers err too
    frozen: tuple[str, ...] = ()  # parameters of the crop's trunk that begin so stay as they are
    frozen_norms: bool = True
    bf16: bool = False
    average_decay: float = 0.99
    augmentation: Augmentation = field(
        default_factory=lambda: Augmentation(
            scale=(0.85, 1.18), rotation_degrees=30.0, gain=(0.85, 1.18), shift=0.1, gamma=(0.85, 1.18)
        )
    )
    checkpoint_every: int = 100


@dataclass(frozen=True, slots=True)
class CharacterSample:
    """A finding's representation and crop, and what is really there (None: nothing)."""

    embedding: Tensor  # (D,)
    crop: NDArray[np.uint8] | None = field(repr=False)  # `packed` gray, CROP_MARGIN times the crop's side
    lesion: TrueLesion | None
    group: str = ""  # its patient


def fit_place(
    samples: Sequence[ExamSample], grid_mm: float, fit: PlaceFit, checkpoint: Checkpoint, *, seed: int
) -> tuple[QuadrantNetwork, DepthNetwork] | None:
    """Fit quadrant and depth on every annotated lesion whose place is known; None where none is.

    Each step's randomness follows from seed and step, so a fit that was killed ends with the same weights.
    """
    views = [view for exam in samples for view in exam.views]
    every = [(v, k) for v, view in enumerate(views) for k, les in enumerate(view.lesions) if has_place(les)]
    if not every:
        return None
    torch.manual_seed(seed)
    both = nn.ModuleDict({"quadrant": QuadrantNetwork(), "depth": DepthNetwork()})
    coarse = {v: coarse_view(torch.from_numpy(views[v].gray.astype(np.float32)), grid_mm) for v, _ in every}

    def loss_of(step: int) -> Tensor:
        rng = np.random.default_rng([seed, step])
        chosen = [every[i] for i in rng.integers(len(every), size=fit.batch)]
        gray = torch.stack([coarse[v] * float(rng.uniform(*fit.gain)) for v, _ in chosen])
        boxes = torch.stack([_jittered(views[v].boxes_net[k], rng) for v, k in chosen])
        seen = torch.stack([gray, box_masks(boxes, grid_mm)], dim=1)
        classes = torch.tensor([_quadrant_class(views[v], k) for v, k in chosen])
        depths = torch.tensor([_depth(views[v].lesions[k]) for v, k in chosen])
        return functional.cross_entropy(both["quadrant"](seen), classes) + 10 * functional.smooth_l1_loss(
            both["depth"](seen), depths.clamp(0, 1), beta=0.05
        )

    optimiser = torch.optim.AdamW(both.parameters(), lr=fit.learning_rate, weight_decay=fit.weight_decay)
    warmup = fit.steps * 3 // 10
    _run(both, optimiser, None, checkpoint, loss_of, fit.steps, warmup, fit.checkpoint_every)
    quadrant, depth = both.eval().values()
    assert isinstance(quadrant, QuadrantNetwork)
    assert isinstance(depth, DepthNetwork)
    return quadrant, depth


def _run(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    average: AveragedWeights | None,
    checkpoint: Checkpoint,
    loss_of: Callable[[int], Tensor],
    steps: int,
    warmup: int,
    checkpoint_every: int,
) -> None:
    """Take all steps that the checkpoint does not have: linear warm-up, then a cosine to 0."""
    for group in optimiser.param_groups:
        group["base"] = group["lr"]
    for step in range(checkpoint.load(network, optimiser, average), steps):
        for group in optimiser.param_groups:
            group["lr"] = group["base"] * _schedule(step, warmup, steps)
        optimiser.zero_grad(set_to_none=True)
        loss_of(step).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), MAX_GRADIENT)
        optimiser.step()
        if average is not None:
            average.update(network, step)
        if (step + 1) % checkpoint_every == 0 or step + 1 == steps:
            checkpoint.save(network, optimiser, average, step + 1)
    if average is not None:
        average.copy_to(network)


def _schedule(step: int, warmup: int, steps: int) -> float:
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))


def has_place(lesion: TrueLesion) -> bool:
    """Whether the table says where a lesion lies."""
    return lesion.quadrant is not None and lesion.depth is not None


def _depth(lesion: TrueLesion) -> float:
    assert lesion.depth is not None
    return lesion.depth


def _jittered(box: NDArray[np.float32], rng: np.random.Generator) -> Tensor:
    sides = np.tile(box[2:] - box[:2], 2)
    return torch.from_numpy((box + rng.normal(0, BOX_JITTER, size=4) * sides).astype(np.float32))


def _quadrant_class(view: ViewSample, k: int) -> int:
    quadrant = view.lesions[k].quadrant
    assert quadrant is not None
    return CLASSES.index((view.view.position, quadrant))


def fit_character(
    samples: Sequence[CharacterSample],
    spec: CharacterSpec,
    fit: CharacterFit,
    checkpoint: Checkpoint,
    *,
    seed: int,
    start: str = "",
) -> CharacterNetwork:
    """Fit malignancy and each attribute on the findings that have it.

    Args:
        samples: findings of annotated exams, true and false ones.
        spec: of the network.
        fit: how.
        checkpoint: where the fit is kept.
        seed: each step's randomness follows from it.
        start: what the crop's trunk begins from, see `pretrained.begin_trunk`; empty: random weights.
    """
    torch.manual_seed(seed)
    network = CharacterNetwork(samples[0].embedding.shape[0], spec)
    if start and network.crop is not None:
        begin_trunk(network.crop.body, start, spec.trunk)
    if fit.bf16:
        quicken_depthwise(network)
    network = network.to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(_character_groups(network, fit), weight_decay=fit.weight_decay)
    average = AveragedWeights(network, fit.average_decay)
    draw = _Draw(samples, spec, fit, seed)

    def loss_of(step: int) -> Tensor:
        torch.manual_seed(seed * 1_000_003 + step)  # for dropout
        chosen, crops = draw(step)
        with torch.autocast("cpu", torch.bfloat16, enabled=fit.bf16):
            logits = network(torch.stack([one.embedding for one in chosen]), crops)
        return _character_loss({name: value.float() for name, value in logits.items()}, chosen, spec, fit)

    network.train()
    # The small trunk of our own begins with norms that know nothing: frozen, they would stay so.
    for module in network.modules() if fit.frozen_norms and start else ():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    _run(network, optimiser, average, checkpoint, loss_of, fit.steps, fit.warmup_steps, fit.checkpoint_every)
    return network.eval()


def _character_groups(network: CharacterNetwork, fit: CharacterFit) -> list[dict[str, object]]:
    trunk, of_trunk = [], set()
    for name, parameter in [] if network.crop is None else list(network.crop.body.named_parameters()):
        of_trunk.add(id(parameter))
        if name.startswith(fit.frozen):
            parameter.requires_grad_(False)
        else:
            trunk.append(parameter)
    rest = [parameter for parameter in network.parameters() if id(parameter) not in of_trunk]
    return [
        {"params": trunk, "lr": fit.learning_rate * fit.trunk_rate},
        {"params": rest, "lr": fit.learning_rate},
    ]


class _Draw:
    """A step's samples: malignant, other true and false findings in fixed shares, each a fresh variant."""

    def __init__(
        self, samples: Sequence[CharacterSample], spec: CharacterSpec, fit: CharacterFit, seed: int
    ) -> None:
        self._samples, self._spec, self._fit, self._seed = samples, spec, fit, seed
        self._malignant = [i for i, s in enumerate(samples) if s.lesion is not None and s.lesion.malignant]
        self._other = [i for i, s in enumerate(samples) if s.lesion is not None and not s.lesion.malignant]
        self._false = [i for i, s in enumerate(samples) if s.lesion is None]

    def __call__(self, step: int) -> tuple[list[CharacterSample], Tensor | None]:
        rng = np.random.default_rng([self._seed, step])
        num_false = round(self._fit.batch * self._fit.false_share) if self._false else 0
        num_malignant = (self._fit.batch - num_false) // 2
        sizes = (num_malignant, self._fit.batch - num_false - num_malignant, num_false)
        groups = zip((self._malignant, self._other, self._false), sizes, strict=True)
        index = [int(i) for group, size in groups if group for i in rng.choice(group, size=size)]
        chosen = [self._samples[i] for i in index]
        if not self._spec.crop_px:
            return chosen, None
        crops = [self._variant(one, rng) for one in chosen]
        return chosen, torch.from_numpy(np.stack(crops))[:, None]

    def _variant(self, sample: CharacterSample, rng: np.random.Generator) -> NDArray[np.float32]:
        assert sample.crop is not None
        side = self._spec.crop_px
        gray, _ = augmented(
            unpacked(sample.crop),
            np.zeros((0, 4), np.float32),
            self._fit.augmentation,
            self._spec.detail_mm or 1.0,
            rng,
        )
        spare = gray.shape[0] - side
        reach = max(int(side * BOX_JITTER / 2), 0)
        y, x = np.clip(spare // 2 + rng.integers(-reach, reach + 1, size=2), 0, spare)
        return np.ascontiguousarray(gray[y : y + side, x : x + side])


def packed(gray: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Normalised gray in 8 bits."""
    low, high = GRAY_RANGE
    steps = np.rint(np.clip((gray - low) / (high - low), 0, 1) * GRAY_STEPS)
    return np.asarray(steps, dtype=np.uint8)


def unpacked(crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    """And back."""
    low, high = GRAY_RANGE
    return np.asarray(low + crop.astype(np.float32) * ((high - low) / GRAY_STEPS), dtype=np.float32)


def _character_loss(
    logits: dict[str, Tensor], chosen: Sequence[CharacterSample], spec: CharacterSpec, fit: CharacterFit
) -> Tensor:
    known = [i for i, s in enumerate(chosen) if s.lesion is None or s.lesion.malignant is not None]
    malignant = torch.tensor([_is_malignant(chosen[i]) for i in known])
    smooth = malignant * (1 - fit.smoothing) + 0.5 * fit.smoothing
    losses = [functional.binary_cross_entropy_with_logits(logits[MALIGNANCY][known], smooth)] if known else []
    if IS_LESION in logits:
        truth = torch.tensor([float(one.lesion is not None) for one in chosen])
        smooth = truth * (1 - fit.smoothing) + 0.5 * fit.smoothing
        losses.append(functional.binary_cross_entropy_with_logits(logits[IS_LESION], smooth))
    for name, words in spec.words.items():
        told = [i for i, s in enumerate(chosen) if s.lesion is not None and s.lesion.words.get(name) in words]
        if told:
            truth = torch.tensor([words.index(_word(chosen[i], name)) for i in told])
            loss = functional.cross_entropy(logits[name][told], truth, label_smoothing=fit.smoothing)
            losses.append(fit.word_weight * loss)
    return torch.stack(losses).sum() if losses else logits[MALIGNANCY].sum() * 0.0


def _is_malignant(sample: CharacterSample) -> float:
    return float(sample.lesion is not None and bool(sample.lesion.malignant))


def _word(sample: CharacterSample, attribute: str) -> str:
    assert sample.lesion is not None
    return sample.lesion.words[attribute]
