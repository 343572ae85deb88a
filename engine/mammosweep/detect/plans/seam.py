"""The seam between the detector and whatever computes its networks: two compiled parts of one network."""

# Shapes:  B exams   S slots   N = looks * B * S canvases, look by look   K top anchors   M regions
#          D representation

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from mammosweep.config import PlanChoice, Precision
from mammosweep.detect.flips import Flip

__all__ = ["DenseOutput", "HeadOutput", "Plan", "PlanAbout"]


@dataclass(frozen=True, slots=True)
class DenseOutput:
    """What `Plan.dense` gives."""

    levels: tuple[Tensor, ...] = field(repr=False)  # strides 4 to 32: (N, C, h, w); until the next call
    logits: Tensor  # (N, K) objectness, strongest first within a level
    deltas: Tensor  # (N, K, 4)
    anchors: Tensor  # (N, K) int64, index among the canvas's anchors


@dataclass(frozen=True, slots=True)
class HeadOutput:
    """What `Plan.head` gives."""

    logits: Tensor  # (M, classes), background first
    deltas: Tensor  # (M, 4 * classes)
    representation: Tensor = field(repr=False)  # (M, D)


@dataclass(frozen=True, slots=True)
class PlanAbout:
    """What a plan is."""

    kind: PlanChoice
    device: torch.device
    precision: Precision


class Plan(Protocol):
    """The detector's networks, ready for one device."""

    about: PlanAbout
    looks_at_once: bool
    """Whether all looks go through `dense` in one call; else one after another, which takes less memory."""
    skips_missing: bool
    """Whether rows of missing views are left out of `dense`'s output."""

    def exams_at_once(self, size: tuple[int, int]) -> int:
        """How many exams (views, without fusion) a call on canvases of (H, W) was compiled for; 0: any."""

    def dense(self, pixels_BS1HW: Tensor, present_BS: Tensor, looks: Sequence[Flip]) -> DenseOutput:
        """Trunk, pyramid, fusion, proposal head, top anchors."""

    def head(self, regions_MC77: Tensor) -> HeadOutput:
        """Box head and box predictor."""
