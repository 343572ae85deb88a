"""Which library computes the dense part fastest on this CPU: one canvas, one look, and what compiling costs.

torch.compile has its compile time counted beside it: it pays that for every bucket, in every process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.harness import Row, failed_row, figure_row, interleaved_seconds
from benchmarks.plans import IDENTITY, PLANS, load_plan
from benchmarks.resnet50_bundle import resnet50_bundle
from mammosweep.bundle import Bundle, open_bundle
from mammosweep.detect.load import load_network
from mammosweep.detect.network import Dense
from mammosweep.errors import SweepError

__all__ = ["rows"]

CANVAS = (1536, 704)
REPEATS = 5

Work = Callable[[], object]


def rows(canvas: tuple[int, int] = CANVAS, repeats: int = REPEATS) -> list[Row]:
    """Seconds of the dense part on one canvas, and seconds until it had run for the first time."""
    with torch.inference_mode():
        bundle = open_bundle(resnet50_bundle())
        works, found = _ready(_makers(bundle, torch.rand(1, 1, 1, *canvas)))
        taken = interleaved_seconds(list(works.values()), repeats)
    return found + [figure_row(f"plans/{n}", "s", seconds) for n, seconds in zip(works, taken, strict=True)]


def _makers(bundle: Bundle, pixels: Tensor) -> dict[str, Callable[[], Work]]:
    present = torch.ones(1, 1, dtype=torch.bool)
    return {
        **{name: partial(_plan, name, bundle, pixels, present) for name in PLANS},
        "inductor-bf16": partial(_inductor, {}, bundle, pixels, present),
        "inductor-frozen-bf16": partial(_inductor, {"freezing": True}, bundle, pixels, present),
    }


def _ready(makers: Mapping[str, Callable[[], Work]]) -> tuple[dict[str, Work], list[Row]]:
    """Whatever can be loaded, compiled and run here; and how long that took."""
    works, rows = {}, []
    for name, make in makers.items():
        start = time.perf_counter()
        try:
            work = make()
            work()
        except (SweepError, RuntimeError) as error:  # no such library, or no C++ compiler
            rows.append(failed_row(f"plans/{name}", f"not here: {type(error).__name__}"))
            continue
        works[name] = work
        rows.append(figure_row(f"plans/{name}/until-first", "s", [time.perf_counter() - start]))
    return works, rows


def _plan(name: str, bundle: Bundle, pixels: Tensor, present: Tensor) -> Work:
    plan = load_plan(bundle, name)
    return lambda: plan.dense(pixels, present, IDENTITY)


def _inductor(options: dict[str, Any], bundle: Bundle, pixels: Tensor, present: Tensor) -> Work:
    network = load_network(bundle).to(memory_format=torch.channels_last)
    dense = Dense(network, IDENTITY, bundle.manifest.detector.proposals_per_level).eval()
    compiled = torch.compile(dense, options=options)

    def work() -> object:
        with torch.autocast("cpu", torch.bfloat16):
            return compiled(pixels, present)

    return work
