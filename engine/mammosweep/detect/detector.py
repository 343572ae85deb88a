"""The detector seam, and its plain PyTorch implementation.

`Detector` takes a batch and gives each present view its candidates in network pixels. The PyTorch one is the
reference that every compiled plan has to agree with.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch
from safetensors.torch import load_file
from torch import Tensor

from mammosweep.bundle import Bundle
from mammosweep.bundle.load import DETECTOR
from mammosweep.config import DetectConfig, Device, Precision
from mammosweep.detect.buckets import ExamBatch
from mammosweep.detect.flips import LOOKS, Boxes, Flip, merge_looks
from mammosweep.detect.network import FourViewDetector, Pyramid, load_detector_weights
from mammosweep.errors import BundleError, DeviceError
from mammosweep.records import LESION_TYPES

__all__ = ["Candidates", "Detector", "TorchDetector", "choose_device", "choose_precision"]


@dataclass(frozen=True, slots=True)
class Candidates:
    """What the detector found in one view."""

    boxes: Tensor  # (K, 4) xyxy network pixels, float32 on the CPU
    labels: Tensor  # (K,) int64, 1 + index in LESION_TYPES
    scores: Tensor  # (K,) float32
    votes: Tensor  # (K,) int64
    embeddings: Tensor = field(repr=False)  # (K, D) float32


class Detector(Protocol):
    """Finds lesion candidates in normalised views."""

    def __call__(self, batch: ExamBatch) -> list[Candidates]:
        """One entry for each present view of the batch, in its order."""


def choose_device(device: Device) -> torch.device:
    """The device that the settings ask for.

    Raises:
        DeviceError: CUDA is asked for and absent.
    """
    if device is Device.CUDA and not torch.cuda.is_available():
        raise DeviceError("detect.device is 'cuda', and PyTorch finds no CUDA device; use 'auto' or 'cpu'")
    return torch.device("cuda" if device is not Device.CPU and torch.cuda.is_available() else "cpu")


def choose_precision(precision: Precision, device: torch.device) -> Precision:
    """The number format: what was asked for, or the fastest that the device computes in natively.

    A CPU without bf16 instructions emulates them: measured 6 times slower than fp32 (AVX2;
    EfficientNet-Lite0, ResNet-18 and ResNet-50), so such a CPU gets fp32.
    """
    if precision is not Precision.AUTO:
        return precision
    if device.type == "cuda":
        return Precision.FP16
    has_bf16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return Precision.BF16 if has_bf16 else Precision.FP32


DTYPES = {Precision.FP32: torch.float32, Precision.BF16: torch.bfloat16, Precision.FP16: torch.float16}


class TorchDetector:
    """The reference plan: eager PyTorch, channels last, one exam at a time, every look of it in turn."""

    def __init__(self, bundle: Bundle, config: DetectConfig) -> None:
        """Load the bundle's detector onto the device; BundleError when the weights do not fit."""
        self._spec = bundle.manifest.detector
        self._known = [1 + LESION_TYPES.index(t) for t in bundle.manifest.lesion_types]
        self._looks = LOOKS[config.flips]
        self.device = choose_device(config.device)
        self.precision = choose_precision(config.precision, self.device)
        network = FourViewDetector(self._spec)
        try:
            load_detector_weights(network, load_file(bundle.file(DETECTOR)))
        except RuntimeError as error:
            raise BundleError(
                f"bundle {bundle.folder}: {DETECTOR} does not fit its manifest: {error}"
            ) from None
        self._network = network.eval().to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def __call__(self, batch: ExamBatch) -> list[Candidates]:
        """Candidates of each present view: all looks, merged, the strongest kept, with their embeddings."""
        pixels, present = batch.pixels.to(self.device), batch.present.to(self.device)
        looks = []
        plain: Pyramid | None = None
        for flip in self._looks:
            boxes, pyramid = self._look(pixels, present, flip, batch.size)
            looks.append(boxes)
            plain = pyramid if plain is None else plain  # the first look is the image alone
        assert plain is not None
        merged = [self._kept(merge_looks(list(view), self._spec.merge_iou, self._spec.candidates_per_view))
                  for view in zip(*looks, strict=True)]  # fmt: skip
        return self._with_embeddings(plain, merged, batch.size)

    def _look(
        self, pixels: Tensor, present: Tensor, flip: Flip, size: tuple[int, int]
    ) -> tuple[list[Boxes], Pyramid]:
        with self._autocast():
            found, _, pyramid = self._network(flip.apply(pixels), present)
        boxes = [
            Boxes(
                flip.undo(view["boxes"].float(), size),
                view["labels"],
                view["scores"].float(),
                torch.ones_like(view["labels"]),
            )
            for view in found
        ]
        return boxes, pyramid

    def _kept(self, boxes: Boxes) -> Boxes:
        """Only types that the bundle was fitted for, and only what still reaches the floor."""
        keep = torch.isin(boxes.labels, torch.tensor(self._known, device=boxes.labels.device))
        keep &= boxes.scores >= self._spec.score_floor
        return Boxes(boxes.boxes[keep], boxes.labels[keep], boxes.scores[keep], boxes.votes[keep])

    def _with_embeddings(
        self, pyramid: Pyramid, views: list[Boxes], size: tuple[int, int]
    ) -> list[Candidates]:
        with self._autocast():
            every = self._network.represent(pyramid, [v.boxes for v in views], size)
        embeddings = every.float().split([v.boxes.shape[0] for v in views])
        return [
            Candidates(v.boxes.cpu(), v.labels.cpu(), v.scores.cpu(), v.votes.cpu(), e.cpu())
            for v, e in zip(views, embeddings, strict=True)
        ]

    def _autocast(self) -> torch.autocast:
        enabled = self.precision is not Precision.FP32
        return torch.autocast(
            self.device.type, dtype=DTYPES[self.precision] if enabled else None, enabled=enabled
        )
