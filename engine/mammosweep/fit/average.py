"""The exponential mean of a network's weights: it generalises better than where the last step left them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["AveragedWeights"]


class AveragedWeights:
    """A running mean of every floating-point weight (Polyak and Juditsky 1992)."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        """Begin with the network's own weights; a decay of 0 keeps the last ones."""
        self.decay = decay
        self.weights: dict[str, Tensor] = {k: v.clone() for k, v in _floats(network).items()} if decay else {}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the weights after a step; early ones count for less, as they were far from their goal."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, weight in _floats(network).items() if self.weights else ():
            self.weights[name].lerp_(weight, 1 - decay)

    def copy_to(self, network: nn.Module) -> None:
        """Give the network the mean, where one is kept."""
        network.load_state_dict(self.weights, strict=False)


def _floats(network: nn.Module) -> dict[str, Tensor]:
    return {k: v for k, v in network.state_dict().items() if v.is_floating_point()}
