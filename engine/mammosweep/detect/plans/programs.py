"""What TensorRT compiles: both plans as exported programs with fixed shapes, in the plan's number format."""

# Shapes:  B exams in a call   S slots   N = looks * B * S canvases   C channels   K top anchors   M regions

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from mammosweep.bundle.manifest import DetectorSpec
from mammosweep.config import FlipMode
from mammosweep.detect.flips import LOOKS
from mammosweep.detect.network import Dense, FourViewDetector, Head
from mammosweep.geometry import Size
from mammosweep.records import SLOTS

__all__ = [
    "DENSE",
    "HEAD",
    "HEAD_REGIONS",
    "PRESENT",
    "Names",
    "batch_of",
    "dense_program",
    "head_program",
    "names_of",
    "slots_of",
]


@dataclass(frozen=True, slots=True)
class Names:
    """What a plan's inputs and outputs are called, in their order."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


DENSE, HEAD = "dense", "head"
PIXELS, PRESENT = "pixels", "present"

DENSE_OUTPUTS = ("level4", "level8", "level16", "level32", "objectness", "deltas", "anchors")
HEAD_NAMES = Names(("regions",), ("class_logits", "box_deltas", "representation"))

HEAD_REGIONS = 1024
"""Regions in a call of the head: 16 canvases of 60 fill one, and a matrix product of so many rows fills a
GPU."""

PIXELS_A_CALL = 2**25
"""Pixels of all canvases of a call, by default: a GPU is full with fewer, and more only take memory. Not yet
measured on a GPU."""

MOST_EXAMS_A_CALL = 16


def names_of(plan: str, slots: int) -> Names:
    """Of the dense or the head plan; views that keep no company need not say which are present."""
    if plan == HEAD:
        return HEAD_NAMES
    return Names((PIXELS, PRESENT) if slots > 1 else (PIXELS,), DENSE_OUTPUTS)


def slots_of(spec: DetectorSpec) -> int:
    """S: views that keep company."""
    return len(SLOTS) if spec.fusion else 1


def batch_of(spec: DetectorSpec, bucket: Size, flips: FlipMode, batch_exams: int) -> int:
    """Exams in a call, or views where the bundle has no fusion: as set, else what `PIXELS_A_CALL` holds."""
    slots, views_alone = slots_of(spec), 4 if not spec.fusion else 1
    if batch_exams:
        return batch_exams * views_alone
    exam_pixels = bucket.area * slots * len(LOOKS[flips])
    return max(1, min(PIXELS_A_CALL // exam_pixels, MOST_EXAMS_A_CALL * views_alone))


class _DenseOnFloat32(nn.Module):
    """`Dense` fed with float32. TensorRT 11 is strongly typed: the network's own dtype is the precision."""

    def __init__(self, dense: Dense, dtype: torch.dtype) -> None:
        super().__init__()
        self.dense = dense
        self.dtype = dtype

    def forward(self, pixels_BS1HW: Tensor, present_BS: Tensor | None = None) -> tuple[Tensor, ...]:
        if present_BS is None:  # nobody asks
            present_BS = pixels_BS1HW.new_ones(pixels_BS1HW.shape[:2], dtype=torch.bool)
        found: tuple[Tensor, ...] = self.dense(pixels_BS1HW.to(self.dtype), present_BS)
        return found


def dense_program(
    network: FourViewDetector, spec: DetectorSpec, bucket: Size, batch: int, flips: FlipMode
) -> ExportedProgram:
    """The dense plan for one canvas and one number of exams.

    Args:
        network: on the device and in the number format that the plan is for.
        spec: what it was built from.
        bucket: the canvas.
        batch: exams in a call.
        flips: the looks that are in it.
    """
    weight, slots = next(network.parameters()), slots_of(spec)
    pixels = torch.zeros(batch, slots, 1, bucket.rows, bucket.columns, device=weight.device)
    present = torch.ones(batch, slots, dtype=torch.bool, device=weight.device)
    dense = Dense(network, LOOKS[flips], spec.proposals_per_level)
    inputs = (pixels, present) if slots > 1 else (pixels,)
    return _exported(_DenseOnFloat32(dense, weight.dtype), *inputs)


def head_program(
    network: FourViewDetector, spec: DetectorSpec, regions: int = HEAD_REGIONS
) -> ExportedProgram:
    """The head plan for a fixed number of regions, in the network's number format."""
    weight = next(network.parameters())
    return _exported(Head(network), weight.new_zeros(regions, spec.channels, 7, 7))


def _exported(module: nn.Module, *inputs: Tensor) -> ExportedProgram:
    with torch.no_grad():
        return torch.export.export(module.eval(), inputs)
