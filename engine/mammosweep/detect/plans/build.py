"""Building a plan into the store: compile, compare with fp32 PyTorch, keep it or refuse it."""

# Shapes:  B exams   S slots   F looks   C channels   M regions

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from mammosweep.bundle import Bundle
from mammosweep.config import DetectConfig, FlipMode, PlanChoice, Precision
from mammosweep.detect.buckets import ExamBatch
from mammosweep.detect.detector import PlannedDetector
from mammosweep.detect.flips import LOOKS
from mammosweep.detect.network import FourViewDetector
from mammosweep.detect.plans import tensorrt
from mammosweep.detect.plans.agreement import Agreement, check, loosened
from mammosweep.detect.plans.eager import EagerPlan
from mammosweep.detect.plans.fixed_batch import fixed_batches
from mammosweep.detect.plans.key import PlanKey
from mammosweep.detect.plans.seam import Plan
from mammosweep.detect.plans.store import PlanStore, StoredPlan
from mammosweep.detect.plans.stored import load_openvino, openvino_adapter
from mammosweep.detect.proposals import propose
from mammosweep.errors import ConfigError
from mammosweep_kernels import roi_align

__all__ = ["build_plan", "judge"]

TIMING_CACHE = ".timing-cache"
CALIBRATION_REGIONS = 400

ROUNDED = (Precision.BF16, Precision.FP16)
"""Formats in which PyTorch's own rounding says what the format costs a bundle."""


def build_plan(
    store: PlanStore, bundle: Bundle, network: FourViewDetector, config: DetectConfig, key: PlanKey
) -> StoredPlan:
    """Compile a plan, compare it with fp32 PyTorch on the fixed batch, and keep it in the store.

    Args:
        store: where it goes; what was there of the same key is replaced.
        bundle: whose plan it is.
        network: the bundle's, in fp32.
        config: flips and threads that it is compared with.
        key: what it is, see `keys_of`.

    Raises:
        PlanRefused: it does not agree; the report is kept.
        DeviceError: it cannot be compiled here.
        ConfigError: it cannot be compiled from this bundle, or the store cannot be written.
    """
    writers: dict[PlanChoice, Callable[[Path], None]] = {
        PlanChoice.TENSORRT: partial(_write_tensorrt, bundle, network, store.folder / TIMING_CACHE, key),
        PlanChoice.OPENVINO: partial(_write_openvino, bundle, network, key),
    }
    return store.save(key, writers[key.kind], partial(judge, bundle, network, config, key))


def _write_tensorrt(
    bundle: Bundle, network: FourViewDetector, timing_cache: Path, key: PlanKey, folder: Path
) -> None:
    assert key.bucket is not None
    assert key.flips is not None
    tensorrt.build(
        network,
        bundle.manifest.detector,
        folder,
        bucket=key.bucket,
        batch=key.batch,
        flips=key.flips,
        precision=key.precision,
        timing_cache=timing_cache,
    )


def _write_openvino(bundle: Bundle, network: FourViewDetector, key: PlanKey, folder: Path) -> None:
    openvino = openvino_adapter()
    if key.precision not in openvino.HINTS:
        raise ConfigError(
            f"OpenVINO's plans compute in {', '.join(openvino.HINTS)}; detect.precision is "
            f"{str(key.precision)!r}"
        )
    network = network.to("cpu")
    if key.precision is not Precision.INT8:
        openvino.save_models(network, folder, key.precision)
        return
    if not key.views:
        raise ConfigError(
            f"bundle {bundle.folder} brings no validation views, and int8 is calibrated on them; take "
            "another detect.precision"
        )
    batches = _calibration(fixed_batches(bundle)[0])
    openvino.save_models(
        network,
        folder,
        key.precision,
        [one for batch in batches for one in _one_by_one(batch)],
        [_regions(bundle, network, batch) for batch in batches],
    )


def _calibration(batches: list[ExamBatch]) -> list[ExamBatch]:
    """Every second: the others judge."""
    return batches[::2]


def _one_by_one(batch: ExamBatch) -> list[tuple[Tensor, Tensor]]:
    """Each exam (or view, without fusion) of a batch by itself, as it is and with both flips.

    NNCF takes statistics of a batch as of one sample: views that go in together calibrate worse than alone.
    """
    return [
        (look.apply(pixels[None]), present[None])
        for pixels, present in zip(batch.pixels, batch.present, strict=True)
        for look in (LOOKS[FlipMode.ALL][0], LOOKS[FlipMode.ALL][-1])
    ]


def _regions(bundle: Bundle, network: FourViewDetector, batch: ExamBatch) -> Tensor:
    """(M, C, 7, 7) what the head sees of a batch: what fp32 PyTorch proposes, evenly taken."""
    spec = bundle.manifest.detector
    plan = EagerPlan(network, spec.proposals_per_level, torch.device("cpu"), Precision.FP32)
    with torch.inference_mode():
        dense = plan.dense(batch.pixels, batch.present, LOOKS[FlipMode.NONE])
        boxes, valid = propose(dense.logits, dense.deltas, dense.anchors, batch.size, spec)
        regions = roi_align(dense.levels, boxes)[valid]
    return regions[:: max(1, len(regions) // CALIBRATION_REGIONS)].clone()


def judge(
    bundle: Bundle, network: FourViewDetector, config: DetectConfig, key: PlanKey, stored: StoredPlan
) -> Agreement:
    """Compare a plan that was written, accepted or not, with fp32 PyTorch on the same device."""
    batches, what = fixed_batches(bundle, key.bucket)
    if key.precision is Precision.INT8 and len(batches) > 1:
        batches, what = batches[1::2], f"{what}, every second one; the others calibrated it"
    plan = _loaded(bundle, config, key, stored)
    spec = bundle.manifest.detector
    per_level, device = spec.proposals_per_level, plan.about.device
    reference = EagerPlan(network, per_level, device, Precision.FP32)
    rounded = EagerPlan(network, per_level, device, key.precision) if key.precision in ROUNDED else None
    # A plan that takes looks one by one is judged on one: four would only be the mean of such.
    flips = key.flips or FlipMode.NONE

    def detector(one: Plan) -> PlannedDetector:
        return PlannedDetector(one, loosened(spec), bundle.manifest.lesion_types, flips)

    eager = None if rounded is None else detector(rounded)
    return check(detector(plan), detector(reference), batches, key.precision, what, eager)


def _loaded(bundle: Bundle, config: DetectConfig, key: PlanKey, stored: StoredPlan) -> Plan:
    if key.kind is PlanChoice.TENSORRT:
        assert key.flips is not None
        return tensorrt.TensorRTPlan(lambda _: stored, key.flips, key.precision)
    return load_openvino(bundle, config, stored, key.precision)
