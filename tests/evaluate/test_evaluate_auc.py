from __future__ import annotations

import math

import numpy as np
import pytest

from mammosweep.evaluate import auc


@pytest.mark.parametrize(
    ("scores", "labels", "expected"),
    [
        pytest.param([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], 1.0, id="parted"),
        pytest.param([0.9, 0.1], [0, 1], 0.0, id="the wrong way round"),
        pytest.param([0.5, 0.5, 0.5], [0, 1, 1], 0.5, id="all tied"),
        # pairs: 0.4 over 0.1, 0.4 with 0.4 half, 0.3 over 0.1, 0.3 under 0.4
        pytest.param([0.1, 0.4, 0.4, 0.3], [0, 0, 1, 1], 2.5 / 4, id="one tie"),
    ],
)
def test_auc_is_the_share_of_pairs_in_the_right_order(scores, labels, expected):
    assert auc(scores, labels) == expected


def test_auc_equals_counting_every_pair():
    rng = np.random.default_rng(1)
    scores, labels = rng.integers(0, 8, size=60), rng.random(60) < 0.4

    counted = [(p > n) + 0.5 * (p == n) for p in scores[labels] for n in scores[~labels]]

    assert auc(scores, labels) == pytest.approx(np.mean(counted))


@pytest.mark.parametrize("labels", [[], [1, 1], [0, 0]], ids=["empty", "no negative", "no positive"])
def test_without_both_classes_there_is_no_auc(labels):
    assert math.isnan(auc([0.5] * len(labels), labels))


def test_a_score_that_is_nan_is_refused():
    with pytest.raises(ValueError, match="a score is NaN"):
        auc([0.1, math.nan], [0, 1])


def test_lists_of_different_length_are_refused():
    with pytest.raises(ValueError, match="expected two lists of one length"):
        auc([0.1, 0.2], [1])
