"""Checkpoints that survive a kill: network and optimiser as safetensors, written beside and renamed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

__all__ = ["load_checkpoint", "save_checkpoint"]


def save_checkpoint(path: Path, network: nn.Module, optimiser: Optimizer, step: int) -> None:
    """Write weights, optimiser state and the number of steps done, atomically."""
    tensors: dict[str, Tensor] = {f"network.{k}": v.contiguous() for k, v in network.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{k}": torch.as_tensor(v).contiguous() for k, v in state.items()}
    beside = path.with_suffix(".tmp")
    save_file(tensors, beside, metadata={"step": json.dumps(step)})
    beside.replace(path)


def load_checkpoint(path: Path, network: nn.Module, optimiser: Optimizer) -> int:
    """Fill network and optimiser from a checkpoint; the number of steps done, 0 where there is none."""
    if not path.exists():
        return 0
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        step = int(json.loads(file.metadata()["step"]))
    network.load_state_dict(
        {k.removeprefix("network."): v for k, v in tensors.items() if k.startswith("network.")}
    )
    state: dict[int, dict[str, Any]] = {}
    for name, value in tensors.items():
        if name.startswith("optimiser."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
    return step
