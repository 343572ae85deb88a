"""Flipped looks: what they see, where their boxes belong, how they agree."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mammosweep.bundle.manifest import FlipMerge
from mammosweep.config import FlipMode
from mammosweep.detect.flips import BOTH, HORIZONTAL, LOOKS, VERTICAL, merge_looks
from mammosweep.detect.proposals import Detections

LOOK_IDS = ["horizontal", "vertical", "both"]
ROWS = 3  # detections a look, those that are empty included


def look(*boxes, label=1, scores=None):
    """What one look saw in one view; the rest of its rows is empty."""
    found = torch.zeros(1, ROWS, 4)
    found[0, : len(boxes)] = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    strength = torch.zeros(1, ROWS)
    strength[0, : len(boxes)] = torch.tensor(scores or [0.9] * len(boxes))
    return Detections(found, torch.full((1, ROWS), label), strength)


def merged(*looks, limit=10, how=FlipMerge.SUPPRESSION, across_types=False):
    """The candidates that are not empty: boxes, labels, scores, votes."""
    found = merge_looks(list(looks), 0.3, limit, how, across_types=across_types)
    there = found.scores[0] > 0
    return tuple(part[0][there].tolist() for part in (found.boxes, found.labels, found.scores, found.votes))


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
    boxes, _, scores, votes = merged(
        look((10, 10, 20, 20), scores=[0.8]), look((11, 10, 21, 20), scores=[0.4])
    )

    assert boxes == [[10, 10, 20, 20]]
    assert scores == pytest.approx([0.6])
    assert votes == [2]


def test_weighted_boxes_are_the_mean_weighted_by_score():
    boxes, _, scores, _ = merged(
        look((10, 10, 20, 20), scores=[0.9]), look((13, 10, 23, 20), scores=[0.3]), how=FlipMerge.WEIGHTED
    )

    assert boxes == [pytest.approx([10.75, 10, 20.75, 20])]
    assert scores == pytest.approx([0.6])


def test_a_look_that_saw_nothing_counts_as_zero():
    _, _, scores, votes = merged(look((10, 10, 20, 20), scores=[0.8]), look())

    assert scores == pytest.approx([0.4])
    assert votes == [1]


def test_looks_that_saw_nothing_agree_on_nothing():
    assert merged(look(), look()) == ([], [], [], [])


@pytest.mark.parametrize("how", FlipMerge)
def test_boxes_of_different_types_stay_apart(how):
    _, labels, _, votes = merged(look((10, 10, 20, 20)), look((10, 10, 20, 20), label=2), how=how)

    assert sorted(labels) == [1, 2]
    assert votes == [1, 1]


def test_boxes_of_different_types_are_one_of_the_surest_type_where_the_bundle_says_so():
    boxes, labels, scores, votes = merged(
        look((10, 10, 20, 20), label=3, scores=[0.4]),
        look((11, 10, 21, 20), label=1, scores=[0.8]),
        across_types=True,
    )

    assert (boxes, labels, votes) == ([[11, 10, 21, 20]], [1], [2])
    assert scores == pytest.approx([0.6])


def test_only_the_strongest_are_kept():
    every = look((0, 0, 5, 5), (20, 0, 25, 5), (40, 0, 45, 5), scores=[0.2, 0.9, 0.5])

    assert merged(every, limit=2)[2] == pytest.approx([0.9, 0.5])


def test_views_are_merged_each_on_its_own():
    first, second = look((10, 10, 20, 20), scores=[0.8]), look((10, 10, 20, 20), scores=[0.4])
    both = Detections(
        torch.cat([first.boxes, second.boxes]),
        torch.cat([first.labels, second.labels]),
        torch.cat([first.scores, second.scores]),
    )

    found = merge_looks([both], 0.3, 10, FlipMerge.SUPPRESSION)

    assert found.scores[:, 0].tolist() == pytest.approx([0.8, 0.4])
