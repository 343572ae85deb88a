"""Flipped looks: what they see, where their boxes belong, how they agree."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mammosweep.config import FlipMode
from mammosweep.detect.flips import BOTH, HORIZONTAL, LOOKS, VERTICAL, Boxes, merge_looks

LOOK_IDS = ["horizontal", "vertical", "both"]


def boxes(*rows, label=1, scores=None):
    coordinates = torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)
    return Boxes(
        coordinates,
        torch.full((len(rows),), label),
        torch.tensor(scores or [0.9] * len(rows)),
        torch.ones(len(rows), dtype=torch.int64),
    )


@pytest.mark.parametrize("flip", [HORIZONTAL, VERTICAL, BOTH], ids=LOOK_IDS)
@given(st.tuples(*[st.integers(0, 40)] * 4))
def test_a_box_comes_back_to_where_its_content_was(flip, corners):
    x, y, width, height = corners
    canvas = torch.zeros(100, 90)
    canvas[y : y + height + 1, x : x + width + 1] = 1

    rows, columns = torch.nonzero(flip.apply(canvas), as_tuple=True)
    seen = torch.tensor([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]]).float()

    assert flip.undo(seen, (100, 90)).tolist() == [[x, y, x + width + 1, y + height + 1]]


def test_modes_add_looks_and_begin_with_the_image_alone():
    assert [len(LOOKS[mode]) for mode in FlipMode] == [1, 2, 3, 4]
    assert all(not looks[0].horizontal and not looks[0].vertical for looks in LOOKS.values())


def test_a_candidate_that_every_look_saw_has_their_mean_score_and_all_votes():
    merged = merge_looks(
        [boxes((10, 10, 20, 20), scores=[0.8]), boxes((11, 10, 21, 20), scores=[0.4])], 0.3, 10
    )

    assert merged.boxes.tolist() == [[10, 10, 20, 20]]
    assert merged.scores.tolist() == pytest.approx([0.6])
    assert merged.votes.tolist() == [2]


def test_a_look_that_saw_nothing_counts_as_zero():
    merged = merge_looks([boxes((10, 10, 20, 20), scores=[0.8]), boxes()], 0.3, 10)

    assert merged.scores.tolist() == pytest.approx([0.4])
    assert merged.votes.tolist() == [1]


def test_boxes_of_different_types_stay_apart():
    merged = merge_looks([boxes((10, 10, 20, 20)), boxes((10, 10, 20, 20), label=2)], 0.3, 10)

    assert sorted(merged.labels.tolist()) == [1, 2]


def test_only_the_strongest_are_kept():
    look = boxes((0, 0, 5, 5), (20, 0, 25, 5), (40, 0, 45, 5), scores=[0.2, 0.9, 0.5])

    assert merge_looks([look], 0.3, 2).scores.tolist() == pytest.approx([0.9, 0.5])
