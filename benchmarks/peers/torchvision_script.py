"""What people write today: view after view through torchvision's Faster R-CNN, in fp32, flip after flip.

pydicom reads and decodes, scikit-image resamples. The breast's rectangle is given, so nothing is spent on
finding it, and what the model sees is given too, so that findings can be compared: it is the engine's
normalised gray of the same crop. The script's own decoding and resampling is done all the
same, for it has to be.
"""

# Shapes:  K boxes of all looks, or of the merged ones   F looks   H, W network pixels

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pydicom
import torch
from numpy.typing import NDArray
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from safetensors.torch import load_file
from skimage.filters import threshold_triangle
from skimage.transform import resize
from torch import Tensor
from torchvision.models.detection import FasterRCNN, fasterrcnn_resnet50_fpn
from torchvision.ops import batched_nms, box_iou

__all__ = ["ScriptFindings", "ScriptView", "find", "load_model", "normalise_crop", "screen"]

MERGE_IOU = 0.5
MOST = 100  # findings a view
FLIPS: tuple[tuple[int, ...], ...] = ((), (2,), (1,), (1, 2))  # of an image (3, H, W)


@dataclass(frozen=True, slots=True)
class ScriptView:
    """One file, where its breast lies, and what the model is to see of it."""

    path: Path
    crop_px: tuple[int, int, int, int]  # x1, y1, x2, y2 in stored pixels, half open
    gray: NDArray[np.float32] = field(repr=False)  # (H, W)


@dataclass(frozen=True, slots=True)
class ScriptFindings:
    """What was found in one view, strongest first."""

    boxes: Tensor  # (K, 4) xyxy network pixels
    labels: Tensor  # (K,)
    scores: Tensor  # (K,) mean over the looks


def load_model(weights: Path, score_floor: float) -> FasterRCNN:
    """The model with torchvision's defaults, but for the floor."""
    model = fasterrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=5, box_score_thresh=score_floor
    )
    model.load_state_dict(load_file(weights))
    return model.eval()


def screen(model: FasterRCNN, views: Sequence[ScriptView], grid_mm: float, mm: float) -> list[ScriptFindings]:
    """Read, normalise and detect one view after the other."""
    found = []
    for view in views:
        normalise_crop(view.path, view.crop_px, grid_mm, mm)
        found.append(find(model, view.gray))
    return found


def normalise_crop(
    path: Path, crop_px: tuple[int, int, int, int], grid_mm: float, mm: float
) -> NDArray[np.float64]:
    """Read, decode, window, crop, resample and map one view."""
    dataset = pydicom.dcmread(path)
    image = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        image = image.max() - image
    x1, y1, x2, y2 = crop_px
    shape = round((y2 - y1) * mm / grid_mm), round((x2 - x1) * mm / grid_mm)
    gray = resize(image[y1:y2, x1:x2], shape, anti_aliasing=True)
    low, high = np.percentile(gray[gray > threshold_triangle(gray)], [5, 95])
    return np.clip((gray - low) / (high - low), -0.5, 2.0)


@torch.inference_mode()
def find(model: FasterRCNN, gray: NDArray[np.float32]) -> ScriptFindings:
    """Four looks at one view, merged."""
    image = torch.from_numpy(gray)[None].expand(3, -1, -1)
    # Pixels stay as they come: by default torchvision makes the shorter side 800, and `_skip_resize` holds in
    # training only.
    model.transform.min_size, model.transform.max_size = (min(gray.shape),), max(gray.shape)
    return merge([look(model, image, flip) for flip in FLIPS])


def look(model: FasterRCNN, image: Tensor, flip: tuple[int, ...]) -> ScriptFindings:
    """What the model finds in a flipped image, its boxes flipped back."""
    [seen] = model([image.flip(flip)])
    x1, y1, x2, y2 = seen["boxes"].unbind(1)
    height, width = image.shape[1:]
    if 2 in flip:
        x1, x2 = width - x2, width - x1
    if 1 in flip:
        y1, y2 = height - y2, height - y1
    return ScriptFindings(torch.stack([x1, y1, x2, y2], dim=1), seen["labels"], seen["scores"])


def merge(looks: list[ScriptFindings]) -> ScriptFindings:
    """The strongest of the boxes that overlap, with the mean over the looks of the best score among them."""
    boxes = torch.cat([one.boxes for one in looks])
    labels = torch.cat([one.labels for one in looks])
    scores = torch.cat([one.scores for one in looks])
    if len(boxes) == 0:
        return ScriptFindings(boxes, labels, scores)
    by = torch.cat([torch.full_like(one.labels, i) for i, one in enumerate(looks)])
    keep = batched_nms(boxes, scores, labels, MERGE_IOU)
    same = (box_iou(boxes[keep], boxes) > MERGE_IOU) & (labels[keep, None] == labels)
    best = [torch.where(same & (by == i), scores, 0.0).amax(dim=1) for i in range(len(looks))]
    mean, order = torch.stack(best).mean(dim=0).sort(descending=True, stable=True)
    kept = keep[order[:MOST]]
    return ScriptFindings(boxes[kept], labels[kept], mean[:MOST])
