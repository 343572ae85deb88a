"""The reference: eager PyTorch in fp32, bf16 or fp16, channels last."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mammosweep.config import PlanChoice, Precision
from mammosweep.detect.flips import Flip
from mammosweep.detect.network import NUM_REGION_LEVELS, Dense, FourViewDetector, Head
from mammosweep.detect.plans.seam import DenseOutput, HeadOutput, PlanAbout
from mammosweep.detect.proposals import top_anchors

__all__ = ["DTYPES", "EagerPlan"]

DTYPES = {Precision.FP32: torch.float32, Precision.BF16: torch.bfloat16, Precision.FP16: torch.float16}


class EagerPlan:
    """What every other plan has to agree with."""

    def __init__(
        self, network: FourViewDetector, proposals_per_level: int, device: torch.device, precision: Precision
    ) -> None:
        self.about = PlanAbout(PlanChoice.TORCH, device, precision)
        self.looks_at_once = device.type == "cuda"
        self.skips_missing = True
        self._network = network.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._proposals_per_level = proposals_per_level
        self._head = Head(self._network)

    def exams_at_once(self, size: tuple[int, int]) -> int:
        """See `Plan`."""
        return 0

    def dense(self, pixels_BS1HW: Tensor, present_BS: Tensor, looks: Sequence[Flip]) -> DenseOutput:
        """See `Plan`."""
        with self._autocast():
            if bool(present_BS.all()):
                *levels, logits, deltas, anchors = Dense(self._network, looks, self._proposals_per_level)(
                    pixels_BS1HW, present_BS
                )
                return DenseOutput(tuple(levels), logits, deltas, anchors)
            seen = torch.cat([look.apply(pixels_BS1HW) for look in looks])
            pyramid = list(self._network.pyramid(seen, present_BS.repeat(len(looks), 1)).values())
            objectness, deltas = self._network.rpn.head(pyramid)
            return DenseOutput(
                tuple(pyramid[:NUM_REGION_LEVELS]),
                *top_anchors(objectness, deltas, self._proposals_per_level),
            )

    def head(self, regions_MC77: Tensor) -> HeadOutput:
        """See `Plan`."""
        with self._autocast():
            return HeadOutput(*self._head(regions_MC77))

    def _autocast(self) -> torch.autocast:
        enabled = self.about.precision is not Precision.FP32
        return torch.autocast(
            self.about.device.type, dtype=DTYPES[self.about.precision] if enabled else None, enabled=enabled
        )
