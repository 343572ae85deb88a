"""Which device, which plan, which number format: from a bundle and the settings to a detector."""

from __future__ import annotations

import torch
from safetensors.torch import load_file

from mammosweep.bundle import Bundle
from mammosweep.bundle.load import DETECTOR
from mammosweep.config import DetectConfig, Device, PlanChoice, Precision
from mammosweep.detect.detector import PlannedDetector
from mammosweep.detect.network import FourViewDetector, load_detector_weights
from mammosweep.detect.plans.eager import EagerPlan
from mammosweep.detect.plans.seam import Plan
from mammosweep.detect.plans.store import store_folder
from mammosweep.detect.plans.stored import is_built, open_openvino, open_tensorrt
from mammosweep.errors import BundleError, ConfigError, DeviceError

__all__ = [
    "choose_device",
    "choose_precision",
    "load_detector",
    "load_network",
    "load_plan",
]


def load_detector(bundle: Bundle, config: DetectConfig) -> PlannedDetector:
    """The bundle's detector on the device and the plan that the settings ask for.

    Raises:
        BundleError: the bundle's weights do not fit its manifest.
        DeviceError: CUDA is asked for and absent, or a plan is asked for that this machine cannot run.
        ConfigError: the plan is not built, or cannot compute in the number format asked for.
        PlanRefused: the plan did not agree with fp32 PyTorch when it was built.
    """
    manifest = bundle.manifest
    return PlannedDetector(load_plan(bundle, config), manifest.detector, manifest.lesion_types, config.flips)


def load_plan(bundle: Bundle, config: DetectConfig) -> Plan:
    """The plan that the settings ask for; with "auto" the compiled one that was built, else PyTorch's.

    Raises what `load_detector` does.
    """
    device = choose_device(config.device)
    precision = choose_precision(config.precision, device)
    kind = _kind(bundle, config, device, precision)
    if kind is PlanChoice.TENSORRT:
        return open_tensorrt(bundle, config, precision)
    if kind is PlanChoice.OPENVINO:
        return open_openvino(bundle, config, precision)
    if precision is Precision.INT8:
        raise ConfigError(
            "detect.precision is 'int8', which PyTorch does not compute in; build OpenVINO's plan: "
            "mammosweep plan build --device cpu --precision int8, or take 'bf16'"
        )
    per_level = bundle.manifest.detector.proposals_per_level
    return EagerPlan(load_network(bundle), per_level, device, precision)


def _kind(bundle: Bundle, config: DetectConfig, device: torch.device, precision: Precision) -> PlanChoice:
    compiled = PlanChoice.TENSORRT if device.type == "cuda" else PlanChoice.OPENVINO
    if config.plan is not PlanChoice.AUTO:
        if config.plan not in (PlanChoice.TORCH, compiled):
            raise DeviceError(
                f"detect.plan is {str(config.plan)!r}, which does not run on {device.type}; use 'auto', "
                f"'torch' or {str(compiled)!r}, or another detect.device"
            )
        return config.plan
    # A folder that is not there holds no plan, and a sweep that needs none does not make it.
    is_there = store_folder(config.plan_store).is_dir()
    return compiled if is_there and is_built(bundle, config, compiled, precision) else PlanChoice.TORCH


def load_network(bundle: Bundle) -> FourViewDetector:
    """The detector's network with the bundle's weights; BundleError where they do not fit."""
    network = FourViewDetector(bundle.manifest.detector)
    try:
        load_detector_weights(network, load_file(bundle.file(DETECTOR)))
    except RuntimeError as error:
        raise BundleError(f"bundle {bundle.folder}: {DETECTOR} does not fit its manifest: {error}") from None
    return network.eval()


def choose_device(device: Device) -> torch.device:
    """The device that the settings ask for.

    Raises:
        DeviceError: CUDA is asked for and absent.
    """
    if device is Device.CUDA and not torch.cuda.is_available():
        raise DeviceError("detect.device is 'cuda', and PyTorch finds no CUDA device; use 'auto' or 'cpu'")
    return torch.device("cuda" if device is not Device.CPU and torch.cuda.is_available() else "cpu")


def choose_precision(precision: Precision, device: torch.device) -> Precision:
    """The number format: what was asked for, or the fastest that the device computes in natively.

    A CPU without bf16 instructions emulates them: measured 6 times slower than fp32 (AVX2;
    EfficientNet-Lite0, ResNet-18 and ResNet-50), so such a CPU gets fp32.
    """
    if precision is not Precision.AUTO:
        return precision
    if device.type == "cuda":
        return Precision.FP16
    has_bf16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return Precision.BF16 if has_bf16 else Precision.FP32
