"""The benchmarks' ResNet-50 Faster R-CNN at 0.15 mm: torchvision's own model, fitted on phantom patches.

It exists so that mammosweep and a torchvision script can be compared on the same weights with findings that
mean something; it is no model for patients. ``python -m benchmarks.resnet50`` fits it into runs/resnet50
once, in half an hour on two quiet cores; a fit that was killed goes on from its checkpoint.
"""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor
from torchvision.models.detection import FasterRCNN, fasterrcnn_resnet50_fpn

from mammosweep.fit.checkpoint import Checkpoint
from mammosweep.fit.samples import ViewSample, read_samples
from mammosweep.phantom import PhantomConfig, Syntax, write_phantoms

__all__ = ["GRID_MM", "WORK", "torchvision_model", "weights"]

WORK = Path(__file__).parent.parent / "runs" / "resnet50"
GRID_MM = 0.15
NUM_EXAMS = 60
SEED = 20261124
PATCH = (320, 256)  # rows, columns: 48 x 38 mm
PATCHES_PER_STEP = 5
STEPS = 800
LEARNING_RATE = 4e-4
WARMUP = 60
AT_A_LESION = 0.8  # share of patches that are cut around one
STATISTICS_STEPS = 60  # that renew batch normalisation's statistics after the last step


def torchvision_model() -> FasterRCNN:
    """The model as its user makes it: torchvision's defaults, background and four types."""
    torch.manual_seed(SEED)
    return fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=5, _skip_resize=True)


def weights() -> Path:
    """The fitted model's state dict, under torchvision's names; fitted first where it is not there yet."""
    path = WORK / "fasterrcnn_resnet50_fpn.safetensors"
    if not path.exists():
        WORK.mkdir(parents=True, exist_ok=True)
        model = _fitted(_views())
        save_file({name: t.contiguous() for name, t in model.state_dict().items()}, path)
    return path


def _views() -> list[ViewSample]:
    archive = WORK / "phantoms"
    if not (archive / "truth.parquet").exists():  # written last
        config = PhantomConfig(spacing_mm=GRID_MM, lesion_rate=0.95)
        write_phantoms(archive, exams=NUM_EXAMS, seed=SEED, syntaxes=[Syntax.JPEG_LS], config=config)
    return [view for exam in read_samples(archive, GRID_MM) for view in exam.views]


def _fitted(views: list[ViewSample]) -> FasterRCNN:
    model = torchvision_model().to(memory_format=torch.channels_last)
    _fewer_proposals(model)
    optimiser = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=1e-4)
    checkpoint, start_s = Checkpoint(WORK / "checkpoint.safetensors"), time.monotonic()
    for step in range(checkpoint.load(model, optimiser, None), STEPS):
        for group in optimiser.param_groups:
            group["lr"] = LEARNING_RATE * _schedule(step)
        losses = _losses(model, views, step)
        total = torch.stack(list(losses.values())).sum()
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
        if step % 20 == 0:
            words = " ".join(f"{name} {float(value.detach()):.3f}" for name, value in losses.items())
            print(f"[{time.monotonic() - start_s:7.1f} s] step {step}: {words}", flush=True)
        if (step + 1) % 50 == 0:
            checkpoint.save(model, optimiser, None, step + 1)
    _renew_statistics(model, views)
    return model.eval()


def _fewer_proposals(model: FasterRCNN) -> None:
    """While fitting: a patch holds one lesion or two."""
    model.rpn._pre_nms_top_n["training"] = 400
    model.rpn._post_nms_top_n["training"] = 150
    model.rpn.batch_size_per_image = 128
    model.roi_heads.fg_bg_sampler.batch_size_per_image = 64


def _schedule(step: int) -> float:
    if step < WARMUP:
        return (step + 1) / WARMUP
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - WARMUP) / (STEPS - WARMUP)))


def _losses(model: FasterRCNN, views: list[ViewSample], step: int) -> dict[str, Tensor]:
    rng = np.random.default_rng([SEED, step])
    torch.manual_seed(int(rng.integers(2**31)))  # RPN and box head sample with torch's generator
    patches, targets = zip(*(_patch(views, rng) for _ in range(PATCHES_PER_STEP)), strict=True)
    model.train()
    with torch.autocast("cpu", torch.bfloat16):
        losses: dict[str, Tensor] = model(list(patches), list(targets))
    return losses


def _patch(views: list[ViewSample], rng: np.random.Generator) -> tuple[Tensor, dict[str, Tensor]]:
    """A piece of a view, three equal channels, flipped at random, and the lesions that lie mostly in it."""
    view = views[int(rng.integers(len(views)))]
    boxes, labels = view.boxes_net, np.array([lesion.label for lesion in view.lesions], dtype=np.int64)
    top, left = _corner(view, boxes, rng)
    gray = np.full(PATCH, -0.5, dtype=np.float32)
    piece = view.gray[top : top + PATCH[0], left : left + PATCH[1]]
    gray[: piece.shape[0], : piece.shape[1]] = piece
    gray = gray * rng.uniform(0.85, 1.2) + rng.uniform(-0.1, 0.1)
    boxes = boxes - np.array([left, top, left, top], dtype=np.float32)
    inside = boxes.clip(0, np.array([PATCH[1], PATCH[0]] * 2, dtype=np.float32))
    kept = _areas(inside) > 0.6 * _areas(boxes)
    boxes, labels = inside[kept], labels[kept]
    image = torch.from_numpy(gray)
    found = torch.from_numpy(boxes)
    if rng.random() < 0.5:
        image, found = image.flip(-1), _mirrored(found, PATCH[1], 0)
    if rng.random() < 0.5:
        image, found = image.flip(-2), _mirrored(found, PATCH[0], 1)
    return image.expand(3, -1, -1).contiguous(), {"boxes": found, "labels": torch.from_numpy(labels)}


def _corner(view: ViewSample, boxes: NDArray[np.float32], rng: np.random.Generator) -> tuple[int, int]:
    rows, columns = view.gray.shape
    if len(boxes) and rng.random() < AT_A_LESION:
        x1, y1, x2, y2 = boxes[int(rng.integers(len(boxes)))]
        middle = np.array([(y1 + y2) / 2, (x1 + x2) / 2]) + rng.uniform(-0.3, 0.3, 2) * PATCH
    else:
        middle = rng.uniform(0, 1, 2) * (rows, columns)
    top, left = (middle - np.array(PATCH) / 2).round().astype(int)
    return int(np.clip(top, 0, max(rows - PATCH[0], 0))), int(np.clip(left, 0, max(columns - PATCH[1], 0)))


def _areas(boxes_K4: NDArray[np.float32]) -> NDArray[np.float32]:
    areas: NDArray[np.float32] = np.prod(boxes_K4[:, 2:] - boxes_K4[:, :2], axis=1)
    return areas


def _mirrored(boxes_K4: Tensor, side: int, axis: int) -> Tensor:
    boxes = boxes_K4.clone()
    boxes[:, axis], boxes[:, axis + 2] = side - boxes_K4[:, axis + 2], side - boxes_K4[:, axis]
    return boxes


@torch.no_grad()
def _renew_statistics(model: FasterRCNN, views: list[ViewSample]) -> None:
    """Batch normalisation's means over many patches, instead of the last ones'."""
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over all batches
    for step in range(STATISTICS_STEPS):
        _losses(model, views, STEPS + step)


if __name__ == "__main__":
    torch.set_num_threads(2)
    print(weights())
