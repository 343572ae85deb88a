"""What an exam asks of the detector's two plans, what this CPU reaches at its best, and what the plans take.

Three networks: the benchmarks' ResNet-50 at 0.15 mm, the phantom bundle, and an EfficientNet-Lite0 at 0.3 mm
with random weights, which cost as much as fitted ones.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from benchmarks.bundles import PHANTOM_BUNDLE, random_bundle
from benchmarks.harness import Row, failed_row, figure_row, interleaved_seconds
from benchmarks.plans import IDENTITY, PLANS, load_plan, unjudged_plan
from benchmarks.rates import FORMATS, rate_rows
from benchmarks.resnet50_bundle import resnet50_bundle
from benchmarks.roofline import (
    H100,
    NUM_CANVASES,
    Device,
    floor_s,
    head_work,
    layers_floor_s,
    maps_work,
    network_of,
)
from mammosweep.bundle import Bundle, open_bundle
from mammosweep.bundle.manifest import DetectorSpec
from mammosweep.detect.plans.seam import Plan
from mammosweep.errors import SweepError
from mammosweep.geometry import Size
from mammosweep.records import SLOTS

__all__ = ["rows"]

REPEATS = 5

LITE0 = DetectorSpec(
    trunk="tf_efficientnet_lite0",
    channels=128,
    representation=256,
    anchor_sizes=(20.0, 40.0, 80.0, 120.0, 180.0),
    aspect_ratios=(0.5, 1.0, 2.0),
    buckets=(Size(576, 320), Size(704, 384), Size(832, 512)),
    score_floor=0.05,
    merge_iou=0.3,
    candidates_per_view=12,
)
"""At 0.3 mm: 173 x 96 mm, 211 x 115, 250 x 154."""

RESNET50_CANVASES = (Size(1024, 576), Size(1280, 640), Size(1536, 704))
"""Of its many: 154 x 86 mm, 192 x 96, 230 x 106."""


@dataclass(frozen=True, slots=True)
class Network:
    """A bundle, its name in rows, the canvases that are looked at, and how to load one of its plans."""

    name: str
    bundle: Bundle
    sizes: Sequence[Size]
    load: Callable[[Bundle, str], Plan] = load_plan


def rows(repeats: int = REPEATS, plans: Sequence[str] = tuple(PLANS)) -> list[Row]:
    """Rates of this machine; work and floors by network and canvas; seconds of each plan."""
    found = rate_rows()
    rates = {row.what.removeprefix("roofline/"): row.median * 1e9 for row in found}
    cpu = Device({form: rates[f"rate/{form}"] for form in FORMATS}, rates["copy"])
    with tempfile.TemporaryDirectory() as folder:
        for network in _networks(Path(folder)):
            found += _work_rows(network, cpu)
            for plan in plans:
                found += _plan_rows(network, plan, repeats)
    return found


def _networks(work: Path) -> Iterator[Network]:
    yield Network("resnet50-0.15mm", open_bundle(resnet50_bundle()), RESNET50_CANVASES)
    lite0 = open_bundle(random_bundle(work / "lite0", LITE0, grid_mm=0.3))
    yield Network("lite0-0.3mm", lite0, LITE0.buckets, partial(unjudged_plan, work=work / "plans"))
    shipped = open_bundle(PHANTOM_BUNDLE)
    manifest = shipped.manifest
    yield Network(f"shipped-{manifest.grid_mm:g}mm", shipped, manifest.detector.buckets)


def _work_rows(network: Network, cpu: Device) -> list[Row]:
    """What an exam asks of both plans together, and floors, by canvas."""
    spec = network.bundle.manifest.detector
    shapes = network_of(spec)
    head = head_work(shapes, spec)
    found = []
    for size in network.sizes:
        name = f"roofline/{network.name}/{size.rows}x{size.columns}"
        maps = maps_work(shapes, spec, size)
        found += [
            figure_row(f"{name}/maps-operations", "GFLOP", [maps.operations / 1e9]),
            figure_row(f"{name}/head-operations", "GFLOP", [head.operations / 1e9]),
            figure_row(f"{name}/layers-move", "M elements", [(maps.elements + head.elements) / 1e6]),
            figure_row(f"{name}/plans-move", "M elements", [(maps.compulsory + head.compulsory) / 1e6]),
        ]
        for device_name, device in (("h100", H100), ("cpu", cpu)):
            for form in device.operations_per_s:
                floor, layers = (
                    sum(least(work, form, device) for work in (maps, head))
                    for least in (floor_s, layers_floor_s)
                )
                found.append(figure_row(f"{name}/floor/{device_name}-{form}", "s", [floor]))
                found.append(figure_row(f"{name}/layers-floor/{device_name}-{form}", "s", [layers]))
    return found


@torch.inference_mode()
def _plan_rows(network: Network, plan_name: str, repeats: int) -> list[Row]:
    """Seconds an exam takes, from one look at what is detected together: a view, or with fusion all four."""
    spec, name = network.bundle.manifest.detector, f"roofline/{network.name}/plan/{plan_name}"
    slots = len(SLOTS) if spec.fusion else 1
    try:
        plan = network.load(network.bundle, plan_name)
    except (SweepError, ImportError) as error:
        return [failed_row(f"{name}/head", f"no such plan here: {type(error).__name__}")]
    regions = torch.rand(slots * spec.proposals, spec.channels, 7, 7)
    works: dict[str, Callable[[], object]] = {"head": partial(plan.head, regions)}
    for size in network.sizes:
        pixels = torch.rand(1, slots, 1, size.rows, size.columns)
        present = torch.ones(1, slots, dtype=torch.bool)
        works[f"{size.rows}x{size.columns}"] = partial(plan.dense, pixels, present, IDENTITY)
    times = NUM_CANVASES // slots
    return [
        figure_row(f"{name}/{what}", "s", [times * s for s in seconds])
        for what, work in works.items()
        for seconds in interleaved_seconds([work], repeats)
    ]
