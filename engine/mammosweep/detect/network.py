"""The four-view Faster R-CNN with a feature pyramid, as plain PyTorch.

Names follow torchvision's ``fasterrcnn_resnet50_fpn`` (``backbone.body``, ``backbone.fpn``, ``rpn``,
``roi_heads``), so that a plain checkpoint fits; ``fusion`` is what four views add.
"""

# Shapes:  B exams   N = B * 4 views   C channels   H, W network pixels   K boxes   D representation

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from mammosweep.bundle.manifest import DetectorSpec
from mammosweep.detect.fusion import FourViewFusion
from mammosweep.records import LESION_TYPES, SLOTS

__all__ = ["FourViewDetector", "Pyramid"]

Pyramid = OrderedDict[str, Tensor]
"""Levels "0".."3" at strides 4..32 and "pool" at 64, each (views, C, H / stride, W / stride)."""

TRUNK_STRIDES = (4, 8, 16, 32)
NUM_CLASSES = 1 + len(LESION_TYPES)  # background first


def _feature_info(trunk: nn.Module) -> Any:
    """What timm says of a trunk's levels: channels and strides."""
    return trunk.feature_info


class TrunkWithPyramid(nn.Module):
    """A timm trunk and the feature pyramid on its strides 4 to 32."""

    def __init__(self, trunk: str, channels: int) -> None:
        super().__init__()
        options: dict[str, Any] = {"features_only": True, "in_chans": 1, "pretrained": False}
        strides = _feature_info(timm.create_model(trunk, **options)).reduction()
        indices = tuple(i for i, stride in enumerate(strides) if stride in TRUNK_STRIDES)
        self.body = timm.create_model(trunk, **options, out_indices=indices)
        self.fpn = FeaturePyramidNetwork(_feature_info(self.body).channels(), channels, LastLevelMaxPool())

    def forward(self, pixels_N1HW: Tensor) -> Pyramid:
        levels = self.body(pixels_N1HW)
        return self.fpn(OrderedDict((str(i), level) for i, level in enumerate(levels)))  # type: ignore[no-any-return]


class FourViewDetector(nn.Module):
    """Lesion candidates in the present views of B exams."""

    def __init__(self, spec: DetectorSpec) -> None:
        super().__init__()
        self.backbone = TrunkWithPyramid(spec.trunk, spec.channels)
        self.fusion = FourViewFusion(spec.channels)
        self.rpn = _proposals(spec)
        self.roi_heads = _box_heads(spec)

    def pyramid(self, pixels_B41HW: Tensor, present_B4: Tensor) -> Pyramid:
        """Fused features of the present views, in exam order and SLOTS order within an exam."""
        present = present_B4.flatten()
        levels = self.backbone(pixels_B41HW.flatten(0, 1)[present])
        return OrderedDict((name, self._fused(level, present_B4)) for name, level in levels.items())

    def _fused(self, level: Tensor, present_B4: Tensor) -> Tensor:
        present = present_B4.flatten()
        every = level.new_zeros((present.numel(), *level.shape[1:]))
        every[present] = level
        views_B4 = every.view(-1, len(SLOTS), *level.shape[1:])
        return self.fusion(views_B4, present_B4).flatten(0, 1)[present]  # type: ignore[no-any-return]

    def forward(
        self, pixels_B41HW: Tensor, present_B4: Tensor, targets: list[dict[str, Tensor]] | None = None
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor], Pyramid]:
        """Detections and losses of the present views.

        Args:
            pixels_B41HW: normalised canvases, chest wall left.
            present_B4: bool, which views exist.
            targets: when training, one per present view: ``boxes`` (K, 4) xyxy pixels, ``labels`` (K,).

        Returns:
            Per present view ``boxes`` (K, 4), ``labels`` (K,), ``scores`` (K,); the losses (empty unless
            training); and the pyramid.
        """
        pyramid = self.pyramid(pixels_B41HW, present_B4)
        size = (int(pixels_B41HW.shape[-2]), int(pixels_B41HW.shape[-1]))
        pixels = pixels_B41HW.flatten(0, 1)[present_B4.flatten()]
        images = ImageList(pixels, [size] * pixels.shape[0])
        proposals, proposal_losses = self.rpn(images, pyramid, targets)
        detections, head_losses = self.roi_heads(pyramid, proposals, images.image_sizes, targets)
        return detections, {**proposal_losses, **head_losses}, pyramid

    def represent(self, pyramid: Pyramid, boxes: list[Tensor], size: tuple[int, int]) -> Tensor:
        """(sum K, D) box-head representation of boxes (K, 4) in each present view."""
        regions = self.roi_heads.box_roi_pool(pyramid, boxes, [size] * len(boxes))
        return self.roi_heads.box_head(regions)  # type: ignore[no-any-return]


def _proposals(spec: DetectorSpec) -> RegionProposalNetwork:
    anchors = AnchorGenerator(
        tuple((size,) for size in spec.anchor_sizes), (spec.aspect_ratios,) * len(spec.anchor_sizes)
    )
    return RegionProposalNetwork(
        anchors,
        RPNHead(spec.channels, anchors.num_anchors_per_location()[0]),
        fg_iou_thresh=0.6,  # lesions are small and round: 0.7 leaves many without an anchor
        bg_iou_thresh=0.3,
        batch_size_per_image=128,
        positive_fraction=0.5,
        pre_nms_top_n={"training": 500, "testing": 250},
        post_nms_top_n={"training": 150, "testing": 60},
        nms_thresh=0.7,
    )


def _box_heads(spec: DetectorSpec) -> RoIHeads:
    pool = MultiScaleRoIAlign(["0", "1", "2", "3"], output_size=7, sampling_ratio=2)
    return RoIHeads(
        pool,
        TwoMLPHead(spec.channels * 7**2, spec.representation),
        FastRCNNPredictor(spec.representation, NUM_CLASSES),
        fg_iou_thresh=0.5,
        bg_iou_thresh=0.5,
        batch_size_per_image=64,
        positive_fraction=0.25,
        bbox_reg_weights=None,
        score_thresh=spec.score_floor,
        nms_thresh=spec.merge_iou,
        detections_per_img=spec.candidates_per_view,
    )


def load_detector_weights(network: FourViewDetector, weights: dict[str, Tensor]) -> None:
    """Fill the network; every name and shape must fit (RuntimeError otherwise, as PyTorch raises it)."""
    network.load_state_dict(
        {k: v.to(torch.float32) if v.is_floating_point() else v for k, v in weights.items()}
    )
