"""The feature combination network: what the other three views add to each view's features.

Two parts, as in the method. Left/right: canvases have the chest wall at the left, so the same position of
the other breast lies at the same place of its feature map. MLO/CC: tissue keeps its distance from the chest
wall under both compressions, so features averaged over height give a profile over depth that the other view
of the same breast can read. Both parts are residual, start at zero, and add nothing for a missing view.
"""

# Shapes:  B exams   4 views in SLOTS order   C channels   H, W of one pyramid level

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["FourViewFusion"]

OTHER_SIDE = (1, 0, 3, 2)  # LCC<->RCC, LMLO<->RMLO
OTHER_POSITION = (2, 3, 0, 1)  # LCC<->LMLO, RCC<->RMLO

# The profile is read within +-4 cells: a lesion's distance differs by about 1 cm between views.
PROFILE_KERNEL = 9


class FourViewFusion(nn.Module):
    """Adds the other views' features to each view's; shared by all pyramid levels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.sides = nn.Sequential(
            nn.Conv2d(2 * channels, channels, 1), nn.ReLU(), _zero(nn.Conv2d(channels, channels, 1))
        )
        self.profile = nn.Sequential(
            nn.Conv1d(channels, channels, PROFILE_KERNEL, padding=PROFILE_KERNEL // 2),
            nn.ReLU(),
            _zero(nn.Conv1d(channels, channels, 1)),
        )

    def forward(self, views_B4CHW: Tensor, present_B4: Tensor) -> Tensor:
        """Features of all views with the other views' added; same shape."""
        present = present_B4.to(views_B4CHW.dtype)
        pair = torch.cat([views_B4CHW, views_B4CHW[:, OTHER_SIDE]], dim=2)
        sides = self.sides(pair.flatten(0, 1)).unflatten(0, views_B4CHW.shape[:2])
        profile = self.profile(views_B4CHW[:, OTHER_POSITION].mean(dim=3).flatten(0, 1))
        depth = profile.unflatten(0, views_B4CHW.shape[:2]).unsqueeze(3)
        has_side = present[:, OTHER_SIDE, None, None, None]
        has_position = present[:, OTHER_POSITION, None, None, None]
        fused: Tensor = views_B4CHW + has_side * sides + has_position * depth
        return fused


def _zero(layer: nn.Conv1d | nn.Conv2d) -> nn.Module:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer
