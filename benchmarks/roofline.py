"""Operations and bytes of the detector's two plans, and the least time that they can take on a device.

Networks are built without memory for their weights; nothing is computed.
"""

# Shapes:  B exams   S slots   M regions   C channels   H, W network pixels

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mammosweep.bundle.manifest import DetectorSpec
from mammosweep.config import FlipMode
from mammosweep.detect.flips import LOOKS
from mammosweep.detect.network import FourViewDetector, Head, Maps
from mammosweep.geometry import Size
from mammosweep.records import SLOTS

__all__ = [
    "H100",
    "NUM_CANVASES",
    "Device",
    "Work",
    "floor_s",
    "head_work",
    "layers_floor_s",
    "maps_work",
    "network_of",
]

NUM_LOOKS = len(LOOKS[FlipMode.ALL])
NUM_CANVASES = NUM_LOOKS * len(SLOTS)
"""Of a whole exam, in all looks."""

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Linear)
BYTES = {"fp32": 4, "fp16": 2, "bf16": 2, "int8": 1}


@dataclass(frozen=True, slots=True)
class Device:
    """What a device reaches."""

    operations_per_s: Mapping[str, float]  # by number format, dense
    bytes_per_s: float


# NVIDIA H100 Tensor Core GPU data sheet, SXM: with sparsity 1,979 TFLOP/s in fp16 and 3,958 TOP/s in int8, of
# which dense matrices get half; 3.35 TB/s.
H100 = Device({"fp16": 989.5e12, "int8": 1979e12}, 3.35e12)


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution or a linear layer."""

    operations: float  # a multiplication and an addition are two
    elements: float  # that it reads and writes, its weights among them


@dataclass(frozen=True, slots=True)
class Work:
    """What one exam asks of a plan. Elements: a number format says how many bytes one has."""

    operations: float
    layers: tuple[Layer, ...]
    compulsory: float  # what the plan as a whole reads and writes: inputs, weights, outputs

    @property
    def elements(self) -> float:
        """What its layers read and write."""
        return sum(layer.elements for layer in self.layers)


def floor_s(work: Work, form: str, device: Device) -> float:
    """Seconds, if nothing between the plan's inputs and outputs touches memory."""
    moved = BYTES[form] * work.compulsory
    return max(work.operations / device.operations_per_s[form], moved / device.bytes_per_s)


def layers_floor_s(work: Work, form: str, device: Device) -> float:
    """Seconds, if each layer takes its input from memory and leaves its output there; the rest is free."""
    return sum(
        max(
            layer.operations / device.operations_per_s[form],
            BYTES[form] * layer.elements / device.bytes_per_s,
        )
        for layer in work.layers
    )


def network_of(spec: DetectorSpec) -> FourViewDetector:
    """The network's shapes."""
    with torch.device("meta"):
        return FourViewDetector(spec).eval()


def maps_work(network: FourViewDetector, spec: DetectorSpec, size: Size) -> Work:
    """Trunk, pyramid, fusion and proposal head on an exam's canvases of one size, all looks at once."""
    exams, slots = (NUM_LOOKS, len(SLOTS)) if spec.fusion else (NUM_CANVASES, 1)
    pixels = torch.empty(exams, slots, 1, size.rows, size.columns, device="meta")
    present = torch.empty(exams, slots, dtype=torch.bool, device="meta")
    return _work(Maps(network), (pixels, present))


def head_work(network: FourViewDetector, spec: DetectorSpec) -> Work:
    """The box head on an exam's regions of all looks. What candidates add, some percent, is left out."""
    return _work(
        Head(network), (torch.empty(NUM_CANVASES * spec.proposals, spec.channels, 7, 7, device="meta"),)
    )


def _work(module: nn.Module, inputs: tuple[Tensor, ...]) -> Work:
    layers: list[Layer] = []

    def hook(layer: Any, given: tuple[Tensor, ...], made: Tensor) -> None:
        weights = sum(p.numel() for p in layer.parameters())
        # Each output is a product of one row of the weights with as many inputs.
        per_output = layer.weight[0].numel()
        layers.append(Layer(2.0 * made.numel() * per_output, given[0].numel() + made.numel() + weights))

    handles = [m.register_forward_hook(hook) for m in module.modules() if isinstance(m, LAYERS)]
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        outputs = module(*inputs)
    for handle in handles:
        handle.remove()
    weights = sum(p.numel() for p in module.parameters())
    return Work(
        operations=float(counter.get_total_flops()),
        layers=tuple(layers),
        compulsory=float(weights + sum(t.numel() for t in (*inputs, *_tensors(outputs)))),
    )


def _tensors(outputs: Any) -> Iterable[Tensor]:
    if isinstance(outputs, Tensor):
        yield outputs
        return
    for one in outputs:
        yield from _tensors(one)
