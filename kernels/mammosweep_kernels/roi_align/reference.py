"""The definition of what a region holds."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from mammosweep_kernels.roi_align.sampling import SAMPLES, SIDE, STRIDES

__all__ = ["roi_align_reference"]

# Shapes:  N canvases   R boxes a canvas   C channels   h, w cells of a level


def roi_align_reference(levels_NChw: Sequence[Tensor], boxes_NR4: Tensor) -> Tensor:
    """Pool by torchvision's `MultiScaleRoIAlign` in float32, and round once to the levels' dtype."""
    from torchvision.ops import MultiScaleRoIAlign  # nearly 2 s: not for processes that only read pixels
    from torchvision.ops.poolers import LevelMapper

    names = [str(index) for index in range(len(STRIDES))]
    pool = MultiScaleRoIAlign(names, output_size=SIDE, sampling_ratio=SAMPLES)
    # Otherwise inferred from the sizes of levels and images, which fails on the smallest canvases.
    pool.scales = [1 / stride for stride in STRIDES]
    pool.map_levels = LevelMapper(STRIDES[0].bit_length() - 1, STRIDES[-1].bit_length() - 1)

    num_canvases, num_boxes = boxes_NR4.shape[:2]
    channels = levels_NChw[0].shape[1]
    if boxes_NR4.numel() == 0:
        return levels_NChw[0].new_empty((num_canvases, num_boxes, channels, SIDE, SIDE))
    features = {name: level.float() for name, level in zip(names, levels_NChw, strict=True)}
    regions = pool(features, list(boxes_NR4), [])
    return regions.view(num_canvases, num_boxes, channels, SIDE, SIDE).to(levels_NChw[0].dtype)  # type: ignore[no-any-return]
