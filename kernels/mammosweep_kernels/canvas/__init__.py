"""From stored pixels to the network's canvas in one pass."""

from __future__ import annotations

import torch
from torch import Tensor

from mammosweep_kernels.canvas.cpu import to_canvas_cpu
from mammosweep_kernels.canvas.layout import CanvasLayout

__all__ = ["to_canvas"]


def to_canvas(
    stored: Tensor,
    table: Tensor,
    *,
    crop_px: tuple[int, int, int, int],
    net_size: tuple[int, int],
    canvas_size: tuple[int, int],
    mirrored: bool,
    low: float = 0.0,
    high: float = 1.0,
    clip: tuple[float, float] | None = None,
    pad_value: float,
    dtype: torch.dtype,
) -> Tensor:
    """Crop, map, resample, normalise, mirror and pad one image.

    Every pixel of the network's grid is the exact mean of ``table[stored]`` over its footprint, a
    rectangle of the crop with fractional edges, in which each stored pixel is a constant square. This
    one definition holds for every scale: it is cv2.INTER_AREA where the grid is coarser than the image
    (without OpenCV's neglect of overlaps below a thousandth of a pixel), and repeats pixels where it
    is finer. Scales across and down may differ.

    Args:
        stored: (H, W) uint16, as decoded.
        table: (65536,) float32 on the same device: the gray level of each stored value. Entries of
            values that do not occur in the crop are never read into a result.
        crop_px: x1, y1, x2, y2 in stored pixels, half open.
        net_size: rows and columns of the crop on the network's grid.
        canvas_size: rows and columns of the result; the crop lies at its top left.
        mirrored: reverse the crop left to right (within ``net_size``, not within the canvas).
        low: the level that becomes 0.
        high: the level that becomes 1.
        clip: bounds of the normalised values; None leaves them as they are.
        pad_value: what the rest of the canvas holds, neither normalised nor clipped.
        dtype: float32, float16 or bfloat16. All arithmetic before the final rounding is float32.

    Returns:
        (canvas rows, canvas columns) of ``dtype``, on the device of ``stored``.

    Raises:
        TypeError: ``stored``, ``table`` or ``dtype`` has the wrong type.
        ValueError: shapes, devices, crop, sizes or levels do not fit together.
    """
    layout = CanvasLayout(
        crop_px=crop_px,
        net_size=net_size,
        canvas_size=canvas_size,
        mirrored=mirrored,
        low=low,
        high=high,
        clip=clip,
        pad_value=pad_value,
        dtype=dtype,
    )
    layout.check_inputs(stored, table)
    if not stored.is_cuda:
        return to_canvas_cpu(stored, table, layout)
    from mammosweep_kernels.canvas.fused import to_canvas_fused

    return to_canvas_fused(stored, table, layout)
