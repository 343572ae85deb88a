"""What the quadrant and depth networks see, and the words they answer with."""

from __future__ import annotations

import pytest
import torch

from mammosweep.bundle.manifest import CharacterSpec
from mammosweep.lesion.character import CharacterNetwork, character_words, word_scores
from mammosweep.lesion.quadrant import CLASSES, quadrant_words
from mammosweep.lesion.view_and_mask import COARSE_SHAPE, view_and_mask
from mammosweep.records import LesionType, Position
from mammosweep.vocabulary import DESCRIBES, QUADRANTS


def test_the_mask_covers_the_box_and_its_area_in_millimetres():
    boxes = torch.tensor([[50.0, 100.0, 80.0, 160.0]])

    seen = view_and_mask(torch.zeros(500, 250), boxes, grid_mm=0.4)

    assert seen.shape == (1, 2, *COARSE_SHAPE)
    assert float(seen[0, 1].sum()) == pytest.approx(30 * 0.4 / 2 * 60 * 0.4 / 2)
    rows, columns = torch.nonzero(seen[0, 1], as_tuple=True)
    assert (int(columns.min()), int(rows.min())) == (10, 20)


def test_a_view_larger_than_any_breast_is_cut_not_shrunk():
    view = torch.zeros(2000, 2000)
    view[0:5, 0:5] = 1

    seen = view_and_mask(view, torch.tensor([[0.0, 0.0, 5.0, 5.0]]), grid_mm=0.4)

    assert seen.shape == (1, 2, *COARSE_SHAPE)


@pytest.mark.parametrize("position", Position)
def test_a_quadrant_is_always_a_word_of_its_view(position):
    logits = torch.randn(50, len(CLASSES), generator=torch.Generator().manual_seed(0))

    assert set(quadrant_words(logits, position)) <= set(QUADRANTS[position])


@pytest.mark.parametrize("kind", LesionType)
def test_attributes_describe_only_their_lesion_type(kind):
    spec = CharacterSpec()
    logits = CharacterNetwork(16, spec).eval()(torch.randn(3, 16))

    words = character_words(logits, 1, kind, spec.words)
    scores = word_scores(logits, 1, kind, spec.words)

    assert set(words) == {name for name, described in DESCRIBES.items() if described is kind}
    for name, word in words.items():
        own = {key: value for key, value in scores.items() if key.startswith(f"{name}.")}
        assert max(own, key=own.get) == f"{name}.{word}"
        assert sum(own.values()) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("trunk", ["", "tf_efficientnet_lite0"], ids=["own trunk", "timm's"])
def test_the_crop_speaks_in_the_character(trunk):
    spec = CharacterSpec(crop_mm=20.0, crop_px=64, trunk=trunk)
    network = CharacterNetwork(16, spec).eval()
    embeddings = torch.zeros(2, 16)

    with torch.inference_mode():
        logits = network(embeddings, torch.stack([torch.zeros(1, 64, 64), torch.rand(1, 64, 64)]))

    assert logits["malignancy"].shape == (2,)
    assert logits["margin"].shape == (2, 3)
    assert logits["malignancy"][0] != logits["malignancy"][1]


def test_a_crop_needs_a_side_and_pixels():
    with pytest.raises(ValueError, match=r"crop_mm is 20.0 and crop_px 0; expected both, or 0"):
        CharacterSpec(crop_mm=20.0)
