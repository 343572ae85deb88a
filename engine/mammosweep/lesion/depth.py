"""The depth network: 0 at the nipple, 1 at the pectoralis major."""

from __future__ import annotations

from torch import Tensor, nn

from mammosweep.lesion.view_and_mask import ViewAndMaskTrunk

__all__ = ["DepthNetwork"]


class DepthNetwork(nn.Module):
    """A regression on two channels: the whole view and the lesion's mask."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = ViewAndMaskTrunk()
        self.depth = nn.Linear(128, 1)

    def forward(self, view_and_mask_K2hw: Tensor) -> Tensor:
        """(K,) depth in 0..1."""
        return self.depth(self.trunk(view_and_mask_K2hw)).squeeze(1).sigmoid()  # type: ignore[no-any-return]
