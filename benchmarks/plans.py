"""The CPU's plans by the names that rows have: built where they are not yet, then loaded."""

from __future__ import annotations

import importlib
from pathlib import Path

import torch

from mammosweep.bundle import Bundle
from mammosweep.bundle.views import validation_views
from mammosweep.config import DetectConfig, Device, FlipMode, PlanChoice, Precision, ReportConfig, SweepConfig
from mammosweep.detect import load
from mammosweep.detect.detector import Detector
from mammosweep.detect.flips import LOOKS, Flip
from mammosweep.detect.plans.agreement import TOLERANCES, Tolerance
from mammosweep.detect.plans.manage import build_plans
from mammosweep.detect.plans.seam import Plan
from mammosweep.detect.plans.stored import is_built

__all__ = ["IDENTITY", "PLANS", "build", "cpu", "load_detector", "load_plan", "unjudged_plan"]

PLANS: dict[str, tuple[PlanChoice, Precision]] = {
    "torch-fp32": (PlanChoice.TORCH, Precision.FP32),
    "torch-bf16": (PlanChoice.TORCH, Precision.BF16),
    "openvino-bf16": (PlanChoice.OPENVINO, Precision.BF16),
    "openvino-int8": (PlanChoice.OPENVINO, Precision.INT8),
}

IDENTITY: tuple[Flip, ...] = LOOKS[FlipMode.NONE]

STORE = Path(__file__).parent.parent / "runs" / "plans"
"""Plans of bundles that only benchmarks have shall not fill the user's cache."""


def cpu(name: str, flips: FlipMode = FlipMode.ALL, batch_exams: int = 0) -> SweepConfig:
    """Settings for one of `PLANS`, without pages."""
    plan, precision = PLANS[name]
    detect = DetectConfig(
        device=Device.CPU,
        plan=plan,
        precision=precision,
        flips=flips,
        batch_exams=batch_exams,
        plan_store=str(STORE),
    )
    return SweepConfig(detect=detect, report=ReportConfig(pages=False))


def build(bundle: Bundle, config: DetectConfig) -> None:
    """Build the plan that the settings name, where the store lacks it.

    What the engine would refuse is measured all the same; what it finds is compared in rows of its own.

    Raises:
        SweepError: this machine or this bundle cannot have it.
    """
    if config.plan is PlanChoice.TORCH or is_built(bundle, config, config.plan, config.precision):
        return
    judged = dict(TOLERANCES)
    TOLERANCES.update(dict.fromkeys(judged, Tolerance(matched=0.0, score_difference=1.0)))
    try:
        build_plans(bundle, config, (), print)
    finally:
        TOLERANCES.update(judged)


def load_detector(bundle: Bundle, config: DetectConfig) -> Detector:
    """A detector, its plan built first; raises as `build`."""
    build(bundle, config)
    return load.load_detector(bundle, config)


def load_plan(bundle: Bundle, name: str) -> Plan:
    """One of `PLANS`, built first; raises as `build`."""
    config = cpu(name).detect
    build(bundle, config)
    return load.load_plan(bundle, config)


def unjudged_plan(bundle: Bundle, name: str, work: Path) -> Plan:
    """One of `PLANS` for a bundle with random weights, which find nothing that could agree.

    Raises:
        ImportError: OpenVINO is not installed.
    """
    kind, precision = PLANS[name]
    if kind is PlanChoice.TORCH:
        return load_plan(bundle, name)
    openvino = importlib.import_module("mammosweep.detect.plans.openvino")
    spec, folder = bundle.manifest.detector, work / name
    folder.mkdir(parents=True)
    canvases = [(gray[None], present[None]) for gray, present in validation_views(bundle)]
    regions = [torch.rand(64, spec.channels, 7, 7)]
    openvino.save_models(load.load_network(bundle), folder, precision, canvases, regions)
    plan: Plan = openvino.OpenVinoPlan(folder, precision, spec.proposals_per_level, 0)
    return plan
