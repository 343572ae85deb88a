"""What the quadrant and depth networks see, and the words they answer with."""

from __future__ import annotations

import pytest
import torch

from mammosweep.lesion.character import ATTRIBUTES, CharacterNetwork, character_words
from mammosweep.lesion.quadrant import CLASSES, QUADRANTS, quadrant_words
from mammosweep.lesion.view_and_mask import COARSE_SHAPE, view_and_mask
from mammosweep.records import LesionType, Position


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
    logits = CharacterNetwork(16).eval()(torch.randn(3, 16))

    words = character_words(logits, 1, kind)

    assert set(words) == {name for name, (described, _) in ATTRIBUTES.items() if described is kind}
