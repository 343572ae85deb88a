"""Validation views: a few exams that travel with a bundle, as its networks see them.

Compiled plans are checked on them, and 8-bit ones calibrated. They are stored in 8 bits: a step is a
hundredth of the breast's own range of gray, finer than the noise of a film.
"""

# Shapes:  4 views in SLOTS order   H, W network pixels of the exam's canvas

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mammosweep.bundle.load import VIEWS, Bundle
from mammosweep.errors import BundleError
from mammosweep.records import SLOTS

__all__ = ["ExamViews", "validation_views", "write_views"]

ExamViews = tuple[Tensor, Tensor]
"""One exam: gray (4, 1, H, W) float32, and (4,) bool, which of its views are there."""

STEPS = 255
RANGE = "gray_range"  # in the file's metadata: the gray of 0 and of 255


def validation_views(bundle: Bundle) -> list[ExamViews]:
    """The bundle's validation exams, on the canvas that each goes to; none where it brings none.

    Raises:
        BundleError: the file is not one that `write_views` wrote.
    """
    if VIEWS not in bundle.manifest.files:
        return []
    try:
        with safe_open(bundle.file(VIEWS), framework="pt") as file:
            said = file.metadata() or {}
            low, high = _gray_range(said)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        exams = [(tensors[f"exam{i}/pixels"], tensors[f"exam{i}/present"]) for i in range(len(tensors) // 2)]
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise BundleError(f"bundle {bundle.folder}: {VIEWS} holds no validation views: {error}") from None
    for pixels, present in exams:
        _check(bundle, pixels, present)
    return [(low + pixels.float() / STEPS * (high - low), present) for pixels, present in exams]


def _check(bundle: Bundle, pixels: Tensor, present: Tensor) -> None:
    num = len(SLOTS)
    is_exam = pixels.ndim == 4 and pixels.shape[:2] == (num, 1) and present.shape == (num,)
    if not is_exam or pixels.dtype is not torch.uint8 or present.dtype is not torch.bool:
        raise BundleError(
            f"bundle {bundle.folder}: an exam of {VIEWS} is {pixels.dtype} {tuple(pixels.shape)} and "
            f"{present.dtype} {tuple(present.shape)}; expected uint8 ({num}, 1, H, W) and bool ({num},)"
        )


def write_views(path: Path, exams: Sequence[ExamViews], gray_range: tuple[float, float]) -> None:
    """Write validation exams, their gray in 255 steps over its range."""
    low, high = gray_range
    tensors: dict[str, Tensor] = {}
    for i, (gray, present) in enumerate(exams):
        steps = ((gray - low) / (high - low) * STEPS).round().clamp(0, STEPS)
        tensors |= {f"exam{i}/pixels": steps.to(torch.uint8), f"exam{i}/present": present}
    # One entry: safetensors writes several in no order, and a bundle fitted twice shall be the same twice.
    save_file(tensors, path, metadata={RANGE: f"{low} {high}"})


def _gray_range(said: dict[str, str]) -> tuple[float, float]:
    if RANGE in said:
        low, high = said[RANGE].split()
        return float(low), float(high)
    return float(said["gray_low"]), float(said["gray_high"])  # bundles of before 2026-11-24
