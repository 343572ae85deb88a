"""The four-view Faster R-CNN with a feature pyramid, as plain PyTorch.

Names follow torchvision's ``fasterrcnn_resnet50_fpn`` (``backbone.body``, ``backbone.fpn``, ``rpn``,
``roi_heads``), so that a plain checkpoint fits; ``fusion`` is what four views add. `FourViewDetector` is what
is fitted; `Dense` and `Head` are the two parts of it that plans are compiled from.
"""

# Shapes:  B exams   S slots an exam   N = looks * B * S canvases   C channels   H, W network pixels
#          K top anchors   M regions   D representation

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
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
from mammosweep.detect.flips import Flip
from mammosweep.detect.fusion import FourViewFusion
from mammosweep.detect.proposals import top_anchors
from mammosweep.records import LESION_TYPES, SLOTS

__all__ = [
    "NUM_CLASSES",
    "NUM_REGION_LEVELS",
    "Dense",
    "FourViewDetector",
    "Head",
    "Maps",
    "Pyramid",
    "load_detector_weights",
]

Pyramid = OrderedDict[str, Tensor]
"""Levels "0".."3" at strides 4..32, or "0".."2" at 8..32, and "pool" at 64, each
(views, C, H / stride, W / stride)."""

NUM_REGION_LEVELS = 4  # the finest ones: what `roi_align` pools regions from
NUM_CLASSES = 1 + len(LESION_TYPES)  # background first


def _feature_info(trunk: nn.Module) -> Any:
    """What timm says of a trunk's levels: channels and strides."""
    return trunk.feature_info


class TrunkWithPyramid(nn.Module):
    """A timm trunk and the feature pyramid on its strides 4 to 32."""

    def __init__(self, spec: DetectorSpec) -> None:
        super().__init__()
        options: dict[str, Any] = {
            "features_only": True,
            "in_chans": len(spec.input_mean),
            "pretrained": False,
        }
        with torch.device("meta"):  # only to learn where its levels are
            strides = _feature_info(timm.create_model(spec.trunk, **options)).reduction()
        indices = tuple(i for i, stride in enumerate(strides) if stride in spec.strides[:-1])
        self.body = timm.create_model(spec.trunk, **options, out_indices=indices)
        self.fpn = FeaturePyramidNetwork(
            _feature_info(self.body).channels(), spec.channels, LastLevelMaxPool()
        )
        self.mean: Tensor
        self.std: Tensor
        for name, values in (("mean", spec.input_mean), ("std", spec.input_std)):
            self.register_buffer(name, torch.tensor(values).view(1, -1, 1, 1), persistent=False)
        self.takes_gray = (spec.input_mean, spec.input_std) == ((0.0,), (1.0,))

    def forward(self, pixels_N1HW: Tensor) -> Pyramid:
        inputs = pixels_N1HW if self.takes_gray else (pixels_N1HW - self.mean) / self.std
        levels = self.body(inputs)
        return self.fpn(OrderedDict((str(i), level) for i, level in enumerate(levels)))  # type: ignore[no-any-return]


class FourViewDetector(nn.Module):
    """Lesion candidates in the present views of B exams."""

    def __init__(self, spec: DetectorSpec) -> None:
        super().__init__()
        self.backbone = TrunkWithPyramid(spec)
        self.fusion = FourViewFusion(spec.channels) if spec.fusion else None
        self.rpn = _proposals(spec)
        self.roi_heads = _box_heads(spec)

    def pyramid(self, pixels_BS1HW: Tensor, present_BS: Tensor) -> Pyramid:
        """Fused features of the present views, in exam order and SLOTS order within an exam."""
        present = present_BS.flatten()
        levels = self.backbone(pixels_BS1HW.flatten(0, 1)[present])
        if self.fusion is None:
            return levels  # type: ignore[no-any-return]
        return OrderedDict((name, self._fused(level, present_BS)) for name, level in levels.items())

    def _fused(self, level: Tensor, present_BS: Tensor) -> Tensor:
        assert self.fusion is not None
        present = present_BS.flatten()
        every = level.new_zeros((present.numel(), *level.shape[1:]))
        every[present] = level
        views_B4 = every.view(-1, len(SLOTS), *level.shape[1:])
        return self.fusion(views_B4, present_BS).flatten(0, 1)[present]  # type: ignore[no-any-return]

    def forward(
        self, pixels_B41HW: Tensor, present_B4: Tensor, targets: list[dict[str, Tensor]] | None = None
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor], Pyramid]:
        """Detections and losses of the present views, by torchvision's own heads: what is fitted.

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


class Maps(nn.Module):
    """All that is convolution: trunk, pyramid, fusion and proposal head, on every slot of B exams.

    Shapes do not depend on which views are present, so it can be compiled; rows of missing views hold what
    padding looks like, and no other view hears of them.
    """

    def __init__(self, network: FourViewDetector) -> None:
        super().__init__()
        self.backbone = network.backbone
        self.fusion = network.fusion
        self.head = network.rpn.head

    def forward(self, pixels_BS1HW: Tensor, present_BS: Tensor) -> tuple[list[Tensor], ...]:
        """Levels at strides 4 to 32, (N, C, h, w); and of all five levels objectness (N, A, h, w) and box
        deltas (N, 4 * A, h, w) of A anchors a cell.
        """
        levels = list(self.backbone(pixels_BS1HW.flatten(0, 1)).values())
        if self.fusion is not None:
            levels = [
                self.fusion(level.unflatten(0, present_BS.shape), present_BS).flatten(0, 1)
                for level in levels
            ]
        objectness, deltas = self.head(levels)
        return levels[:NUM_REGION_LEVELS], objectness, deltas


class Dense(nn.Module):
    """The first plan: looks, maps, and each level's strongest anchors."""

    def __init__(self, network: FourViewDetector, looks: Sequence[Flip], proposals_per_level: int) -> None:
        super().__init__()
        self.maps = Maps(network)
        self.looks = tuple(looks)
        self.proposals_per_level = proposals_per_level

    def forward(self, pixels_BS1HW: Tensor, present_BS: Tensor) -> tuple[Tensor, ...]:
        """Four levels (N, C, h, w), then of the strongest anchors objectness (N, K), box deltas (N, K, 4) and
        index among the canvas's anchors (N, K); canvases look by look.
        """
        seen = torch.cat([look.apply(pixels_BS1HW) for look in self.looks])
        present = present_BS.repeat(len(self.looks), 1)
        levels, objectness, deltas = self.maps(seen, present)
        return (*levels, *top_anchors(objectness, deltas, self.proposals_per_level))


class Head(nn.Module):
    """The second plan: what each region holds."""

    def __init__(self, network: FourViewDetector) -> None:
        super().__init__()
        self.box_head = network.roi_heads.box_head
        self.box_predictor = network.roi_heads.box_predictor

    def forward(self, regions_MC77: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Class logits (M, classes), box deltas (M, 4 * classes) and the representation (M, D)."""
        representation = self.box_head(regions_MC77)
        logits, deltas = self.box_predictor(representation)
        return logits, deltas, representation


def anchor_generator(spec: DetectorSpec) -> AnchorGenerator:
    """torchvision's, one size a level and every aspect ratio."""
    return AnchorGenerator(
        tuple((size,) for size in spec.anchor_sizes), (spec.aspect_ratios,) * len(spec.anchor_sizes)
    )


def _proposals(spec: DetectorSpec) -> RegionProposalNetwork:
    anchors = anchor_generator(spec)
    return RegionProposalNetwork(
        anchors,
        RPNHead(spec.channels, anchors.num_anchors_per_location()[0]),
        fg_iou_thresh=0.6,  # lesions are small and round: 0.7 leaves many without an anchor
        bg_iou_thresh=0.3,
        batch_size_per_image=128,
        positive_fraction=0.5,
        pre_nms_top_n={"training": 500, "testing": spec.proposals_per_level},
        post_nms_top_n={"training": 150, "testing": spec.proposals},
        nms_thresh=spec.proposal_iou,
    )


def _box_heads(spec: DetectorSpec) -> RoIHeads:
    names = ["0", "1", "2", "3"] if len(spec.strides) > NUM_REGION_LEVELS else ["0", "1", "2", "pool"]
    coarser = spec.strides[0] // 4
    pool = MultiScaleRoIAlign(
        names,
        output_size=7,
        sampling_ratio=2,
        canonical_scale=224 * coarser,  # so that a region takes as many cells of its level
        canonical_level=4 + coarser.bit_length() - 1,
    )
    return RoIHeads(
        pool,
        TwoMLPHead(spec.channels * 7**2, spec.representation),
        FastRCNNPredictor(spec.representation, NUM_CLASSES),
        fg_iou_thresh=0.5,
        bg_iou_thresh=0.5,
        batch_size_per_image=64,
        positive_fraction=0.25,
        bbox_reg_weights=None,  # torchvision's (10, 10, 5, 5)
        score_thresh=spec.score_floor,
        nms_thresh=spec.merge_iou,
        detections_per_img=spec.candidates_per_view,
    )


def load_detector_weights(network: FourViewDetector, weights: dict[str, Tensor]) -> None:
    """Fill the network; every name and shape must fit (RuntimeError otherwise, as PyTorch raises it)."""
    network.load_state_dict(
        {k: v.to(torch.float32) if v.is_floating_point() else v for k, v in weights.items()}
    )
