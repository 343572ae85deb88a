"""A published detector: torchvision's own model on random weights under which it finds plenty."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models.detection import fasterrcnn_resnet50_fpn

SEED = 20261201


@pytest.fixture(scope="session")
def published():
    """torchvision's Faster R-CNN of five classes in its default settings."""
    torch.manual_seed(SEED)
    model = fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=5)
    _spread_statistics(model.backbone.body)
    model.eval()
    _spread_outputs(model)
    return model


@pytest.fixture(scope="session")
def grays():
    """Makes gray images: air, and structures of several sizes on tissue."""
    return _grays


def _grays(num, rows, columns, seed=0):
    generator = torch.Generator().manual_seed(seed)
    gray = torch.full((num, 1, rows, columns), 0.4)
    for size in (4, 16, 64):
        coarse = torch.randn(num, 1, -(-rows // size), -(-columns // size), generator=generator)
        gray += 0.3 * nn.functional.interpolate(coarse, size=(rows, columns), mode="bilinear")
    gray[..., columns * 7 // 8 :] = -0.5
    return gray.clamp(-0.5, 2.0)


@pytest.fixture(scope="session")
def detections():
    """What torchvision's model finds in gray images, on the very pixels that it is given."""
    return _detections


@torch.no_grad()
def _detections(model, gray_N1HW):
    # _skip_resize counts in training only: an image is left as it is where its sides are those asked for.
    rows, columns = gray_N1HW.shape[-2:]
    model.transform.min_size, model.transform.max_size = (min(rows, columns),), max(rows, columns)
    return [model([gray.expand(3, -1, -1)])[0] for gray in gray_N1HW]


@torch.no_grad()
def _spread_statistics(body):
    """Batch normalisation's statistics are those of images, shaken; its scale and shift are random."""
    norms = {name: m for name, m in body.named_modules() if isinstance(m, nn.BatchNorm2d)}
    for name, norm in norms.items():
        norm.momentum = None  # the mean of all batches
        nn.init.uniform_(norm.weight, 0.5, 1.2)
        nn.init.normal_(norm.bias, std=0.2)
        if name.endswith("bn3"):
            norm.weight *= (
                0.3  # a block adds little, as in a trained trunk; or rounding grows from block to block
            )
    body.train()(((_grays(4, 256, 192, seed=1) - 0.45) / 0.225).expand(-1, 3, -1, -1))
    for norm in norms.values():
        norm.running_mean += 0.1 * torch.randn_like(norm.running_mean) * norm.running_var.sqrt()
        norm.running_var *= torch.empty_like(norm.running_var).uniform_(0.7, 1.4)


@torch.no_grad()
def _spread_outputs(model):
    """Objectness, scores and boxes differ as a trained detector's do."""
    head, predictor = model.rpn.head, model.roi_heads.box_predictor
    spreads = {
        head.cls_logits: 2.0,
        head.bbox_pred: 0.3,
        predictor.cls_score: 2.5,
        predictor.bbox_pred: 1.0,
    }
    for layer, spread in spreads.items():
        _spread_when_first_used(layer, spread)
    _detections(model, _grays(1, 256, 192, seed=2))
    predictor.cls_score.bias[0] += 7.0  # most regions hold nothing


def _spread_when_first_used(layer, spread):
    """Scale a layer by its first outputs: the channels' mean becomes 0, their spread the one given."""

    def scale(module, inputs, outputs):
        handle.remove()
        factor = spread / outputs.std()
        others = [d for d in range(outputs.ndim) if d != 1]
        module.bias.copy_((module.bias - outputs.mean(dim=others)) * factor)
        module.weight.mul_(factor)
        return module(*inputs)

    handle = layer.register_forward_hook(scale)
