"""This engine's architecture under Detectron2's names becomes the same detector."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch

from mammosweep.bundle.importing import ImportSettings
from mammosweep.bundle.importing.detectron2 import from_detectron2
from mammosweep.bundle.importing.torchvision import from_torchvision
from mammosweep.errors import BundleError
from mammosweep.records import LesionType

SETTINGS = ImportSettings(grid_mm=0.15, stride_in_3x3=True)

STEM = "backbone.bottom_up.stem.conv1"
NAMES = [
    (r"backbone\.body\.conv1\.", f"{STEM}."),
    (r"backbone\.body\.bn1\.", f"{STEM}.norm."),
    (r"backbone\.body\.layer(\d)\.(\d)\.downsample\.0\.", r"backbone.bottom_up.res<\1>.\2.shortcut."),
    (r"backbone\.body\.layer(\d)\.(\d)\.downsample\.1\.", r"backbone.bottom_up.res<\1>.\2.shortcut.norm."),
    (r"backbone\.body\.layer(\d)\.(\d)\.bn(\d)\.", r"backbone.bottom_up.res<\1>.\2.conv\3.norm."),
    (r"backbone\.body\.layer(\d)\.", r"backbone.bottom_up.res<\1>."),
    (r"rpn\.head\.conv\.0\.0\.", "proposal_generator.rpn_head.conv."),
    (r"rpn\.head\.cls_logits\.", "proposal_generator.rpn_head.objectness_logits."),
    (r"rpn\.head\.bbox_pred\.", "proposal_generator.rpn_head.anchor_deltas."),
    (r"box_head\.fc6\.", "box_head.fc1."),
    (r"box_head\.fc7\.", "box_head.fc2."),
]


def detectron2s(name):
    """torchvision's name as Detectron2 has it."""
    for pattern, new in NAMES:
        name = re.sub(pattern, new, name)
    name = re.sub(r"res<(\d)>", lambda found: f"res{int(found[1]) + 1}", name)
    name = re.sub(r"fpn\.inner_blocks\.(\d)\.0", lambda found: f"fpn_lateral{int(found[1]) + 2}", name)
    return re.sub(r"fpn\.layer_blocks\.(\d)\.0", lambda found: f"fpn_output{int(found[1]) + 2}", name)


@pytest.fixture(scope="module")
def torchvisions(published):
    state = {n: t.clone() for n, t in published.state_dict().items() if not n.endswith("num_batches_tracked")}
    for kind in ("weight", "bias"):
        state[f"roi_heads.box_predictor.bbox_pred.{kind}"][:4] = 0.0  # background has no box
    return state


@pytest.fixture(scope="module")
def detectrons(torchvisions):
    """The same weights: background is the last class, and its box is left out."""
    state = {detectron2s(name): tensor for name, tensor in torchvisions.items()}
    for kind in ("weight", "bias"):
        logits, boxes = (f"roi_heads.box_predictor.{layer}.{kind}" for layer in ("cls_score", "bbox_pred"))
        state[logits] = torch.cat([state[logits][1:], state[logits][:1]])
        state[boxes] = state[boxes][4:]
    anchors = {f"proposal_generator.anchor_generator.cell_anchors.{i}": torch.zeros(3, 4) for i in range(5)}
    return state | anchors


def test_names_are_those_that_detectron2_has(detectrons):
    assert {
        f"{STEM}.weight",
        f"{STEM}.norm.running_var",
        "backbone.bottom_up.res2.0.shortcut.norm.weight",
        "backbone.bottom_up.res5.2.conv3.weight",
        "backbone.bottom_up.res4.5.conv2.norm.running_mean",
        "backbone.fpn_lateral2.weight",
        "backbone.fpn_output5.bias",
        "proposal_generator.rpn_head.objectness_logits.weight",
        "proposal_generator.rpn_head.anchor_deltas.bias",
        "roi_heads.box_head.fc1.weight",
        "roi_heads.box_predictor.cls_score.weight",
    } <= set(detectrons)


@pytest.mark.parametrize(
    "types",
    [tuple(LesionType), (*list(LesionType)[2:], *list(LesionType)[:2])],
    ids=["our order", "another order"],
)
def test_the_same_weights_under_either_name_become_the_same(types, detectrons, torchvisions):
    mean, std = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)
    told = replace(SETTINGS, types=types, image_mean=mean, image_std=std)
    same = replace(told, image_mean=tuple(m / 255 for m in mean), image_std=tuple(s / 255 for s in std))

    found, expected = from_detectron2(detectrons, told), from_torchvision(torchvisions, same)

    assert set(found.weights) == set(expected.weights)
    assert all(torch.equal(found.weights[name], tensor) for name, tensor in expected.weights.items())
    assert (found.input_mean, found.input_std) == (expected.input_mean, expected.input_std)


def test_its_grays_are_0_to_255_where_nothing_else_is_said(detectrons):
    converted = from_detectron2(detectrons, SETTINGS)

    assert converted.input_mean == pytest.approx((0.406, 0.456, 0.485))
    assert converted.input_std == pytest.approx((1 / 255,) * 3)


def test_strides_have_to_be_vouched_for(detectrons):
    with pytest.raises(BundleError, match="STRIDE_IN_1X1 False, say so with --stride-in-3x3"):
        from_detectron2(detectrons, replace(SETTINGS, stride_in_3x3=False))


REFUSED = {
    "agnostic boxes": (
        lambda state: {n: t[:4] if "bbox_pred" in n else t for n, t in state.items()},
        r"it has roi_heads.box_predictor.bbox_pred.weight \(8, 1024\) instead of \(20, 1024\)",
    ),
    "mask head": (
        lambda state: state | {"roi_heads.mask_head.predictor.weight": torch.zeros(4, 256, 1, 1)},
        "it has, and should not, roi_heads.mask_head.predictor.weight",
    ),
    "classes": (
        lambda state: state | {"roi_heads.box_predictor.cls_score.bias": torch.zeros(3)},
        "tells apart 2 classes and background",
    ),
}


@pytest.mark.parametrize(("make", "said"), REFUSED.values(), ids=REFUSED)
def test_another_network_is_refused(make, said, detectrons):
    with pytest.raises(BundleError, match=said):
        from_detectron2(make(detectrons), SETTINGS)
