"""Which level of the pyramid a box is read from, and how finely: the numbers that all paths share."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["BINS", "LEVEL_AREAS", "SAMPLES", "SIDE", "STRIDES", "level_of"]

SIDE = 7  # bins across, and bins down
BINS = SIDE * SIDE
SAMPLES = 2  # points across a bin, and down
STRIDES = (4, 8, 16, 32)  # network pixels a cell

# Area in network pixels from which on a box belongs to the second, third and fourth level. Equation 1 of Lin
# et al. (Feature Pyramid Networks, CVPR 2017) puts these at 112**2, 224**2 and 448**2; torchvision adds 1e-6
# to the level, in float32. These are the first float32 at which its rounded logarithm steps, so that no
# device's own logarithm can put a box on another level.
LEVEL_AREAS = (12543.98046875, 50175.9296875, 200703.65625)


def level_of(boxes: Tensor) -> Tensor:
    """(M,) index of the level that each of (M, 4) boxes is read from; -1 if its area is negative or NaN."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    area = (x2 - x1) * (y2 - y1)
    return (area[:, None] >= torch.tensor((0.0, *LEVEL_AREAS))).sum(dim=1) - 1
