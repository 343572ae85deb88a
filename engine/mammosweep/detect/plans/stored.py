"""From a bundle and the settings to plans in the store: which there should be, and opening them."""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import Any

from mammosweep.bundle import Bundle
from mammosweep.config import DetectConfig, PlanChoice, Precision
from mammosweep.detect.plans.key import PlanKey, plan_key
from mammosweep.detect.plans.programs import batch_of
from mammosweep.detect.plans.seam import Plan
from mammosweep.detect.plans.store import PlanStore, StoredPlan, open_store
from mammosweep.detect.plans.tensorrt import TensorRTPlan
from mammosweep.errors import ConfigError, DeviceError
from mammosweep.geometry import Size

__all__ = [
    "is_built",
    "keys_of",
    "load_openvino",
    "open_openvino",
    "open_tensorrt",
    "opened",
    "openvino_adapter",
    "reports",
]


def keys_of(
    bundle: Bundle, config: DetectConfig, kind: PlanChoice, precision: Precision
) -> dict[Size | None, PlanKey]:
    """Every plan that a sweep needs on this machine: TensorRT's, one for each canvas; OpenVINO's, for all."""
    if kind is PlanChoice.OPENVINO:
        return {None: plan_key(bundle, kind, precision)}
    spec = bundle.manifest.detector
    return {
        bucket: plan_key(
            bundle,
            kind,
            precision,
            bucket=bucket,
            batch=batch_of(spec, bucket, config.flips, config.batch_exams),
            flips=config.flips,
        )
        for bucket in spec.buckets
    }


def is_built(bundle: Bundle, config: DetectConfig, kind: PlanChoice, precision: Precision) -> bool:
    """Whether every plan that a sweep needs is there and was accepted.

    Raises:
        ConfigError: the store cannot be used, or holds what is no plan.
    """
    store = open_store(config.plan_store)
    found = (store.find(key) for key in keys_of(bundle, config, kind, precision).values())
    return all(plan is not None and plan.agreement.get("accepted", False) for plan in found)


def reports(bundle: Bundle, config: DetectConfig, kind: PlanChoice, precision: Precision) -> dict[str, Any]:
    """By plan, how each that a sweep needs agreed with fp32 PyTorch; empty where nothing is compiled."""
    if kind not in (PlanChoice.OPENVINO, PlanChoice.TENSORRT):
        return {}
    store = open_store(config.plan_store)
    found = [store.find(key) for key in keys_of(bundle, config, kind, precision).values()]
    return {plan.name: plan.agreement for plan in found if plan is not None}


def opened(store: PlanStore, bundle: Bundle, key: PlanKey) -> StoredPlan:
    """The plan of a key, each file of it as it was built.

    Raises:
        ConfigError: there is none, or it was changed.
        PlanRefused: it did not agree with fp32 PyTorch.
    """
    plan = store.find(key)
    if plan is None:
        canvas = f" --buckets {key.bucket.rows}x{key.bucket.columns}" if key.bucket is not None else ""
        device = "cuda" if key.kind is PlanChoice.TENSORRT else "cpu"
        raise ConfigError(
            f"plan store {store.folder} holds no {key.name}; run: mammosweep plan build --bundle "
            f"{bundle.folder} --device {device} --precision {key.precision}{canvas}, with the sweep's "
            "--config"
        )
    plan.verified()
    return plan


def open_openvino(bundle: Bundle, config: DetectConfig, precision: Precision) -> Plan:
    """OpenVINO's plan of a bundle, from the store.

    Raises:
        ConfigError: there is none, it was changed, or the store cannot be used.
        DeviceError: OpenVINO is not installed.
        PlanRefused: it did not agree with fp32 PyTorch.
    """
    store, key = open_store(config.plan_store), plan_key(bundle, PlanChoice.OPENVINO, precision)
    return load_openvino(bundle, config, opened(store, bundle, key), precision)


def load_openvino(bundle: Bundle, config: DetectConfig, stored: StoredPlan, precision: Precision) -> Plan:
    """A plan that lies in the store, whether it was accepted or not."""
    for name in stored.files:
        stored.read(name)
    per_level = bundle.manifest.detector.proposals_per_level
    plan: Plan = openvino_adapter().OpenVinoPlan(stored.folder, precision, per_level, config.threads)
    return plan


def openvino_adapter() -> ModuleType:
    """The adapter, imported where it is used, for OpenVINO is an extra.

    Raises:
        DeviceError: OpenVINO is not installed.
    """
    try:
        from mammosweep.detect.plans import openvino
    except ImportError as error:
        raise DeviceError(
            f"OpenVINO's plans need OpenVINO, and {error.name or error} cannot be imported; run: pip install "
            "'mammosweep[openvino]'"
        ) from None
    return openvino


def open_tensorrt(bundle: Bundle, config: DetectConfig, precision: Precision) -> TensorRTPlan:
    """TensorRT's plan of a bundle, each canvas loaded from the store when it first comes.

    Not yet run on a GPU.

    Raises:
        ConfigError: the store cannot be used. What one canvas lacks is said when it first comes.
    """
    store = open_store(config.plan_store)
    keys = keys_of(bundle, config, PlanChoice.TENSORRT, precision)
    return TensorRTPlan(partial(_of_canvas, store, bundle, keys), config.flips, precision)


def _of_canvas(store: PlanStore, bundle: Bundle, keys: dict[Size | None, PlanKey], size: Size) -> StoredPlan:
    if size not in keys:
        raise ConfigError(f"the bundle has no canvas of {size.rows} x {size.columns}; take one of its own")
    return opened(store, bundle, keys[size])
