"""Checkpoints that survive a kill: everything a fit goes on from, written beside and renamed."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from mammosweep.errors import ConfigError
from mammosweep.fit.average import AveragedWeights

__all__ = ["Checkpoint"]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One file: network, optimiser, mean weights, steps done, and whose they are."""

    path: Path
    of: str = ""  # digest of recipe and data: a fit goes on only from its own checkpoint

    def save(
        self, network: nn.Module, optimiser: Optimizer, average: AveragedWeights | None, step: int
    ) -> None:
        """Write all of it, atomically."""
        tensors: dict[str, Tensor] = {f"network.{k}": v.contiguous() for k, v in network.state_dict().items()}
        for index, state in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{k}": torch.as_tensor(v).contiguous() for k, v in state.items()}
        if average is not None:
            tensors |= {f"average.{k}": v.contiguous() for k, v in average.weights.items()}
        beside = self.path.with_suffix(".tmp")
        save_file(tensors, beside, metadata={"step": json.dumps(step), "of": self.of})
        with beside.open("rb") as file:
            os.fsync(file.fileno())  # or a power cut may leave the name without the bytes
        beside.replace(self.path)

    def load(self, network: nn.Module, optimiser: Optimizer, average: AveragedWeights | None) -> int:
        """Fill them from the file; the number of steps done, 0 where there is none.

        Raises:
            ConfigError: the file is damaged, or another recipe's or other data's.
        """
        if not self.path.exists():
            return 0
        tensors, step = self._read()
        network.load_state_dict(_of("network.", tensors))
        state: dict[int, dict[str, Any]] = {}
        for name, value in _of("optimiser.", tensors).items():
            index, key = name.split(".", 1)
            state.setdefault(int(index), {})[key] = value
        optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
        if average is not None:
            average.weights = _of("average.", tensors)
        return step

    def _read(self) -> tuple[dict[str, Tensor], int]:
        try:
            with safe_open(self.path, framework="pt") as file:
                said = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        except (OSError, SafetensorError) as error:
            raise ConfigError(f"checkpoint {self.path} cannot be read: {error}; remove it") from None
        if said.get("of", "") != self.of:
            raise ConfigError(
                f"checkpoint {self.path} belongs to a fit with another recipe or other data; "
                "take another work folder, or remove it"
            )
        return tensors, int(json.loads(said["step"]))


def _of(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
