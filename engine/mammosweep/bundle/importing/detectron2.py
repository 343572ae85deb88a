"""From this engine's architecture saved under Detectron2's names (``faster_rcnn_R_50_FPN``).

A renaming, with background moved from the last class to the first. What Detectron2 computes otherwise by
default cannot be seen in a state dict: `DIFFERENCES` says what has to be set there before the fit. Of these,
strides in another convolution would ruin every feature, so whoever imports has to vouch for them.
"""

from __future__ import annotations

import re
from dataclasses import replace

import torch
from torch import Tensor

from mammosweep.bundle.importing.convert import Converted
from mammosweep.bundle.importing.settings import ImportSettings
from mammosweep.bundle.importing.torchvision import BOXES, LOGITS, from_torchvision
from mammosweep.errors import BundleError

__all__ = ["DIFFERENCES", "from_detectron2"]

DIFFERENCES = """\
Detectron2 computes by default what this engine does not, and a state dict does not show it. Detections are
equal only where the checkpoint was fitted with

* `MODEL.RESNETS.STRIDE_IN_1X1 = False` (default `True`: every feature would be another);
* `MODEL.ROI_BOX_HEAD.POOLER_TYPE = "ROIAlign"` and `POOLER_SAMPLING_RATIO = 2` (defaults `"ROIAlignV2"`,
  which samples half a feature pixel further up and left, and `0`);
* anchors rounded to whole pixels (it does not round: proposals differ by up to half a pixel), one anchor size
  a level and `MODEL.ANCHOR_GENERATOR.OFFSET = 0.0` (both by default);
* `MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG = False` (by default)."""

# Its images run from 0 to 255, and so do its MODEL.PIXEL_MEAN and PIXEL_STD, these by default.
GRAYS = 255.0
PIXEL_MEAN, PIXEL_STD = (103.53, 116.28, 123.675), (1.0, 1.0, 1.0)

BLOCK = r"backbone\.bottom_up\.res(?P<stage>\d)\.(?P<block>\d+)\."
NAMES = tuple(
    (re.compile(pattern), template)
    for pattern, template in (
        (r"backbone\.bottom_up\.stem\.conv1\.norm\.", "backbone.body.bn1."),
        (r"backbone\.bottom_up\.stem\.conv1\.", "backbone.body.conv1."),
        (BLOCK + r"shortcut\.norm\.", "backbone.body.layer{layer}.{block}.downsample.1."),
        (BLOCK + r"shortcut\.", "backbone.body.layer{layer}.{block}.downsample.0."),
        (BLOCK + r"conv(?P<conv>\d)\.norm\.", "backbone.body.layer{layer}.{block}.bn{conv}."),
        (BLOCK + r"conv(?P<conv>\d)\.", "backbone.body.layer{layer}.{block}.conv{conv}."),
        (r"backbone\.fpn_lateral(?P<stage>\d)\.", "backbone.fpn.inner_blocks.{level}.0."),
        (r"backbone\.fpn_output(?P<stage>\d)\.", "backbone.fpn.layer_blocks.{level}.0."),
        (r"proposal_generator\.rpn_head\.conv\.", "rpn.head.conv.0.0."),
        (r"proposal_generator\.rpn_head\.objectness_logits\.", "rpn.head.cls_logits."),
        (r"proposal_generator\.rpn_head\.anchor_deltas\.", "rpn.head.bbox_pred."),
        (r"roi_heads\.box_head\.fc1\.", "roi_heads.box_head.fc6."),
        (r"roi_heads\.box_head\.fc2\.", "roi_heads.box_head.fc7."),
    )
)

DERIVED = re.compile(r"proposal_generator\.anchor_generator\.cell_anchors\.\d|pixel_(mean|std)")
"""What follows from the settings; older versions stored it too."""


def from_detectron2(published: dict[str, Tensor], settings: ImportSettings) -> Converted:
    """Turn a state dict under Detectron2's names into this engine's.

    Args:
        published: of ``faster_rcnn_R_50_FPN``, see `DIFFERENCES`.
        settings: what the state dict does not tell. Image mean and standard deviation are Detectron2's own,
            in the order of the checkpoint's channels: all hold the same gray, so BGR need not become RGB.

    Raises:
        BundleError: strides are not vouched for, or as in `from_torchvision`.
    """
    if not settings.stride_in_3x3:
        raise BundleError(
            "a state dict does not tell where Detectron2's trunk has its strides, by default in the 1x1 "
            "convolutions, where this engine's has none; if it was fitted with MODEL.RESNETS.STRIDE_IN_1X1 "
            "False, say so with --stride-in-3x3"
        )
    weights = {_torchvision_name(n): t for n, t in published.items() if not DERIVED.fullmatch(n)}
    mean = tuple(v / GRAYS for v in settings.image_mean or PIXEL_MEAN)
    std = tuple(v / GRAYS for v in settings.image_std or PIXEL_STD)
    return from_torchvision(_background_first(weights), replace(settings, image_mean=mean, image_std=std))


def _torchvision_name(name: str) -> str:
    """Stages are numbered from 2 here; torchvision's trunk counts from 1, and its pyramid from 0."""
    for pattern, template in NAMES:
        if found := pattern.match(name):
            parts = found.groupdict()
            stage = int(parts.pop("stage", 2))
            return template.format(layer=stage - 1, level=stage - 2, **parts) + name[found.end() :]
    return name


def _background_first(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    moved = dict(weights)
    for kind in ("weight", "bias"):
        logits, boxes = weights.get(f"{LOGITS}.{kind}"), weights.get(f"{BOXES}.{kind}")
        if logits is not None and boxes is not None:
            moved[f"{LOGITS}.{kind}"] = logits.roll(1, dims=0)
            moved[f"{BOXES}.{kind}"] = torch.cat(
                [torch.zeros_like(boxes[:4]), boxes]
            )  # background has no box
    return moved
