"""Four-view fusion and the detector's promises, on random weights."""

from __future__ import annotations

import pytest
import torch

from mammosweep.detect.fusion import FourViewFusion
from mammosweep.detect.network import FourViewDetector
from mammosweep.fit.settings import read_settings, recipe_path

ALL = torch.ones(1, 4, dtype=torch.bool)
SPEC = read_settings(recipe_path("phantom-regnetx-002")).network


@pytest.fixture
def awake_fusion():
    """A fusion whose last layers are no longer zero."""
    torch.manual_seed(0)
    fusion = FourViewFusion(8)
    for parameter in fusion.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return fusion.eval()


@pytest.fixture(scope="module")
def detector():
    torch.manual_seed(0)
    return FourViewDetector(SPEC).eval()


def features(seed=0):
    return torch.randn(2, 4, 8, 6, 5, generator=torch.Generator().manual_seed(seed))


def test_fusion_starts_as_the_identity():
    views = features()

    torch.testing.assert_close(FourViewFusion(8)(views, ALL.expand(2, 4)), views, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("changed", "hears"),
    [(0, {0, 1, 2}), (1, {1, 0, 3}), (2, {2, 3, 0}), (3, {3, 2, 1})],
    ids=["LCC", "RCC", "LMLO", "RMLO"],
)
def test_a_view_is_heard_by_itself_its_other_side_and_its_other_position(awake_fusion, changed, hears):
    views, other = features(), features()
    other[:, changed] += 1

    difference = awake_fusion(other, ALL.expand(2, 4)) - awake_fusion(views, ALL.expand(2, 4))

    assert {v for v in range(4) if difference[:, v].abs().max() > 1e-6} == hears


def test_a_missing_view_contributes_nothing(awake_fusion):
    present = torch.tensor([[True, False, True, True]] * 2)
    views, other = features(), features()
    other[:, 1] = 1e3

    kept = [0, 2, 3]
    torch.testing.assert_close(
        awake_fusion(views, present)[:, kept], awake_fusion(other, present)[:, kept], rtol=0, atol=0
    )


@pytest.mark.parametrize("dims", [(-1,), (-2,), (-1, -2)], ids=["horizontal", "vertical", "both"])
def test_left_right_fusion_commutes_with_flips(awake_fusion, dims):
    torch.nn.init.zeros_(awake_fusion.profile[2].weight)
    torch.nn.init.zeros_(awake_fusion.profile[2].bias)
    views, present = features(), ALL.expand(2, 4)

    torch.testing.assert_close(
        awake_fusion(views.flip(dims), present), awake_fusion(views, present).flip(dims), rtol=0, atol=1e-5
    )


def test_every_present_view_gets_its_detections(detector):
    present = torch.tensor([[True, False, True, False]])

    with torch.inference_mode():
        found, losses, pyramid = detector(torch.rand(1, 4, 1, 128, 64), present)

    assert len(found) == 2
    assert losses == {}
    assert [tuple(level.shape) for level in pyramid.values()] == [
        (2, 64, 128 // stride, 64 // stride) for stride in (4, 8, 16, 32, 64)
    ]


def test_names_are_those_of_torchvision(detector):
    names = set(detector.state_dict())

    assert {
        "backbone.fpn.inner_blocks.0.0.weight",
        "backbone.fpn.layer_blocks.3.0.bias",
        "rpn.head.conv.0.0.weight",
        "rpn.head.cls_logits.weight",
        "rpn.head.bbox_pred.bias",
        "roi_heads.box_head.fc6.weight",
        "roi_heads.box_predictor.cls_score.bias",
    } <= names
