"""From torchvision's ``fasterrcnn_resnet50_fpn``, whose names and numbers are this engine's own.

Three things are changed, none of which changes a detection: classes take this engine's order, three equal
input channels become one, and another epsilon of batch normalisation moves into its variance.
"""

# Shapes:  n classes with background   D representation   C input channels

from __future__ import annotations

import re

import torch
from torch import Tensor
from torchvision.models.detection import fasterrcnn_resnet50_fpn
from torchvision.models.detection.anchor_utils import AnchorGenerator

from mammosweep.bundle.importing.checkpoint import Shapes, require_layout
from mammosweep.bundle.importing.convert import Converted
from mammosweep.bundle.importing.settings import BATCH_NORM_EPS, ImportSettings
from mammosweep.errors import BundleError
from mammosweep.records import LESION_TYPES, LesionType

__all__ = ["from_torchvision"]

TRUNK = "resnet50"
ARCHITECTURE = "Faster R-CNN R50-FPN (torchvision's fasterrcnn_resnet50_fpn, whose names these are)"

STEM = "backbone.body.conv1.weight"
FPN_BIAS = "backbone.fpn.inner_blocks.0.0.bias"
FC7_BIAS = "roi_heads.box_head.fc7.bias"
LOGITS, BOXES = "roi_heads.box_predictor.cls_score", "roi_heads.box_predictor.bbox_pred"
VARIANCE, BATCHES = ".running_var", ".num_batches_tracked"

# Before torchvision 0.13: a convolution stood alone where a block of layers stands now.
OLD_NAMES = (
    (re.compile(r"^(backbone\.fpn\.(?:inner|layer)_blocks\.\d)\.(weight|bias)$"), r"\1.0.\2"),
    (re.compile(r"^(rpn\.head\.conv)\.(weight|bias)$"), r"\1.0.0.\2"),
)

# What torchvision's detection models subtract and divide by where they are told nothing else.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

ABSENT_LOGIT = -1e4
"""Of a type that the checkpoint does not know: its probability is 0; half precision holds it too."""


def from_torchvision(published: dict[str, Tensor], settings: ImportSettings) -> Converted:
    """Turn torchvision's state dict into this engine's.

    Args:
        published: of ``fasterrcnn_resnet50_fpn``, also of a version before 0.13; its first convolution may
            take one channel in place of three. Batch normalisation may be frozen or not.
        settings: what the state dict does not tell.

    Raises:
        BundleError: it is of another architecture, or has other classes, channels or aspect ratios.
    """
    weights = {_new_name(name): tensor for name, tensor in published.items() if not name.endswith(BATCHES)}
    _require_classes(weights, settings)
    require_layout(weights, _expected(weights, settings), ARCHITECTURE)
    weights = _in_our_order(weights, settings.types)
    mean, std = _input(weights[STEM].shape[1], settings)
    if len(set(zip(mean, std, strict=True))) == 1:  # all channels see the same
        weights[STEM] = weights[STEM].sum(dim=1, keepdim=True)
        mean, std = mean[:1], std[:1]
    return Converted(
        weights=_with_batch_norm(weights, settings.batch_norm_eps),
        trunk=TRUNK,
        channels=len(weights[FPN_BIAS]),
        representation=len(weights[FC7_BIAS]),
        input_mean=mean,
        input_std=std,
    )


def _new_name(name: str) -> str:
    for old, new in OLD_NAMES:
        name = old.sub(new, name)
    return name


def _require_classes(weights: dict[str, Tensor], settings: ImportSettings) -> None:
    bias = weights.get(f"{LOGITS}.bias")
    if bias is not None and len(bias) != 1 + len(settings.types):
        raise BundleError(
            f"the checkpoint tells apart {len(bias) - 1} classes and background; --types names "
            f"{len(settings.types)} ({','.join(settings.types)}): name the checkpoint's, in its order"
        )


def _expected(weights: dict[str, Tensor], settings: ImportSettings) -> Shapes:
    """Names and shapes of torchvision's own model, built without memory for its weights."""
    sizes = tuple((size,) for size in settings.anchor_sizes)
    anchors = AnchorGenerator(sizes, (settings.aspect_ratios,) * len(sizes))
    with torch.device("meta"):
        model = fasterrcnn_resnet50_fpn(
            weights=None,
            weights_backbone=None,
            num_classes=1 + len(settings.types),
            rpn_anchor_generator=anchors,
        )
    shapes = {name: tuple(t.shape) for name, t in model.state_dict().items() if not name.endswith(BATCHES)}
    found = weights.get(STEM)
    if found is not None and found.ndim == 4 and found.shape[1] == 1:
        shapes[STEM] = (shapes[STEM][0], 1, *shapes[STEM][2:])
    return shapes


def _input(channels: int, settings: ImportSettings) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each of the checkpoint's input channels."""
    mean, std = settings.image_mean or IMAGENET_MEAN, settings.image_std or IMAGENET_STD
    if len(mean) == 1:
        mean, std = mean * channels, std * channels
    if len(mean) != channels:
        raise BundleError(
            f"the checkpoint's first convolution takes {channels} channels; --image-mean has {len(mean)} "
            "numbers: give one for each channel, or one for all"
        )
    return mean, std


def _in_our_order(weights: dict[str, Tensor], types: tuple[LesionType, ...]) -> dict[str, Tensor]:
    """Background and LESION_TYPES from background and ``types``; a type that is not there never wins."""
    here = [0, *(1 + LESION_TYPES.index(kind) for kind in types)]
    num = 1 + len(LESION_TYPES)
    logits_nD, boxes_m = weights[f"{LOGITS}.weight"], weights[f"{BOXES}.bias"]
    boxes_mD = weights[f"{BOXES}.weight"]  # m = 4 n
    return weights | {
        f"{LOGITS}.weight": _placed(logits_nD, here, num, 0.0),
        f"{LOGITS}.bias": _placed(weights[f"{LOGITS}.bias"], here, num, ABSENT_LOGIT),
        f"{BOXES}.weight": _placed(boxes_mD.view(-1, 4, boxes_mD.shape[1]), here, num, 0.0).flatten(0, 1),
        f"{BOXES}.bias": _placed(boxes_m.view(-1, 4), here, num, 0.0).flatten(0, 1),
    }


def _placed(rows: Tensor, here: list[int], num: int, elsewhere: float) -> Tensor:
    placed = rows.new_full((num, *rows.shape[1:]), elsewhere)
    placed[here] = rows
    return placed


def _with_batch_norm(weights: dict[str, Tensor], eps: float) -> dict[str, Tensor]:
    """Statistics as PyTorch's own layer holds them: with its epsilon, and a count of batches."""
    made = dict(weights)
    for name, tensor in weights.items():
        if name.endswith(VARIANCE):
            made[name] = tensor + (eps - BATCH_NORM_EPS)
            made[name.removesuffix(VARIANCE) + BATCHES] = torch.zeros((), dtype=torch.int64)
    return made
