"""What this machine reaches at its best: operations a second by number format, and bytes a second."""

# Shapes:  N side of a square matrix   C channels

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import nn

from benchmarks.harness import Row, figure_row

__all__ = ["FORMATS", "rate_rows"]

REPEATS = 5
SIDE = 2048
CHANNELS, CANVAS, CHAIN = 256, (192, 88), 6  # a pyramid's convolution, several behind each other
COPY_BYTES = 256 << 20  # far beyond any cache

FORMATS = ("fp32", "bf16", "int8")

Work = Callable[[], object]
Kernel = tuple[Work, float]
"""A computation and its operations; a multiplication and an addition are two."""


def rate_rows() -> list[Row]:
    """The fastest kernel of each number format, on all cores; and a copy."""
    rows = []
    for name in FORMATS:
        kernels = [_product(name), *_torch_chain(name), *_openvino_chain(name)]
        rates = [_rates(work, operations / 1e9) for work, operations in kernels]
        rows.append(figure_row(f"roofline/rate/{name}", "GFLOP/s", max(rates, key=np.median)))
    return [*rows, figure_row("roofline/copy", "GB/s", _copy_rates())]


def _rates(work: Work, amount: float) -> list[float]:
    found = []
    for turn in range(1 + REPEATS):
        start = time.perf_counter()
        work()
        if turn:
            found.append(amount / (time.perf_counter() - start))
    return found


def _product(name: str) -> Kernel:
    """A product of two square matrices."""
    operations = 2.0 * SIDE**3
    if name == "int8":
        numbers = torch.randint(-127, 128, (2, SIDE, SIDE), dtype=torch.int8)
        return partial(torch._int_mm, *numbers), operations
    matrices = torch.rand(2, SIDE, SIDE).to(torch.bfloat16 if name == "bf16" else torch.float32)
    return partial(torch.matmul, *matrices), operations


def _chain_operations() -> float:
    return 2.0 * CHAIN * CHANNELS * CHANNELS * 9 * CANVAS[0] * CANVAS[1]


def _torch_chain(name: str) -> list[Kernel]:
    if name == "int8":
        return []
    dtype = torch.bfloat16 if name == "bf16" else torch.float32
    layers = [nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1) for _ in range(CHAIN)]
    chain = nn.Sequential(*layers).to(dtype).to(memory_format=torch.channels_last)
    image = torch.rand(1, CHANNELS, *CANVAS).to(dtype).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def work() -> object:
        return chain(image)

    return [(work, _chain_operations())]


def _openvino_chain(name: str) -> list[Kernel]:
    """The same convolutions by OpenVINO, whose int8 is fastest here; nothing where it is not installed."""
    try:
        import openvino  # noqa: TID251 - what its plans can reach at best is measured without them
        from openvino import opset13 as ops  # noqa: TID251
    except ImportError:
        return []
    numbers = np.random.default_rng(0)
    image = ops.parameter([1, CHANNELS, *CANVAS], np.float32)

    def in_steps(node: openvino.Node, low: float, high: float, levels: int) -> openvino.Node:
        bounds = [np.float32(low), np.float32(high)]
        return ops.fake_quantize(node, *bounds, *bounds, levels) if name == "int8" else node

    node = image
    for _ in range(CHAIN):
        weights = numbers.normal(0, 0.02, (CHANNELS, CHANNELS, 3, 3)).astype(np.float32)
        steps = in_steps(ops.constant(weights), -0.1, 0.1, 255)
        sides = [[1, 1]] * 4  # strides, padding before and behind, dilations
        node = ops.relu(ops.convolution(in_steps(node, 0.0, 4.0, 256), steps, *sides))
    settings = {"INFERENCE_PRECISION_HINT": "f32" if name == "fp32" else "bf16", "NUM_STREAMS": "1"}
    settings["INFERENCE_NUM_THREADS"] = str(torch.get_num_threads())
    model = openvino.Model([node], [image])
    request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
    given = numbers.random((1, CHANNELS, *CANVAS), dtype=np.float32)
    return [(partial(request.infer, [given], share_inputs=True), _chain_operations())]


def _copy_rates() -> list[float]:
    """Bytes read and bytes written by a copy on all cores."""
    source = torch.ones(COPY_BYTES, dtype=torch.uint8)
    target = torch.zeros_like(source)
    return _rates(lambda: target.copy_(source), 2 * COPY_BYTES / 1e9)
