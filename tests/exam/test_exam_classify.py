from __future__ import annotations

import math

import numpy as np
import pytest

from mammosweep.exam.calibrate import Calibration
from mammosweep.exam.classify import classify
from mammosweep.exam.features import LESION_FEATURES
from mammosweep.exam.match import Match

SCORE = LESION_FEATURES.index("score_max")


def by_score(rows):
    """Malignancy is the best detector score."""
    return rows[:, SCORE].astype(np.float64)


def test_lesions_are_numbered_by_falling_malignancy_in_each_breast(finding, thresholds):
    matches = [
        Match(cc=finding("RCC", score=0.125)),
        Match(cc=finding("LCC", score=0.25)),
        Match(mlo=finding("RMLO", score=0.75)),
        Match(cc=finding("LCC", score=0.5), mlo=finding("LMLO", score=0.875), probability=0.9),
    ]

    lesions = classify(matches, by_score, thresholds)

    assert [(one.lesion_id, one.malignancy, one.category, one.match_probability) for one in lesions] == [
        ("L1", 0.875, "5", 0.9),
        ("L2", 0.25, "4A", None),
        ("R1", 0.75, "4C", None),
        ("R2", 0.125, "3", None),
    ]


def test_equally_malignant_lesions_keep_their_order(finding, thresholds):
    matches = [Match(cc=finding("LCC", flip_votes=votes)) for votes in (3, 1, 2)]

    lesions = classify(matches, by_score, thresholds)

    assert [one.cc.flip_votes for one in lesions] == [3, 1, 2]


def test_the_findings_carry_their_lesions_id(finding, thresholds):
    pair = Match(cc=finding("RCC"), mlo=finding("RMLO"), probability=0.9)

    (lesion,) = classify([pair], by_score, thresholds)

    assert [f.lesion_id for f in lesion.findings] == ["R1", "R1"]
    assert pair.cc.lesion_id is None


class Explained:
    """A decision whose malignancy is the score, and which says so."""

    def __call__(self, rows):
        return by_score(rows)

    def contributions(self, rows):
        return [{"score_max": float(row[SCORE]), "bias": 0.0} for row in rows]


def test_a_lesion_has_the_contributions_of_its_own_row(finding, thresholds):
    matches = [Match(cc=finding("LCC", score=score)) for score in (0.25, 0.75)]

    lesions = classify(matches, Explained(), thresholds)

    assert [one.contributions["score_max"] for one in lesions] == [0.75, 0.25]


def test_a_decision_that_explains_nothing_leaves_no_contributions(finding, thresholds):
    (lesion,) = classify([Match(cc=finding("LCC"))], by_score, thresholds)

    assert lesion.contributions == {}


def test_categories_are_of_calibrated_malignancies(finding, thresholds):
    (lesion,) = classify([Match(cc=finding("LCC", score=0.5))], by_score, thresholds, Calibration(1.0, 2.0))

    assert lesion.malignancy == pytest.approx(1 / (1 + math.exp(-2.0)))
    assert lesion.category == "5"


def test_no_matches_make_no_lesions(thresholds):
    assert classify([], by_score, thresholds) == ()


def test_without_a_decision_the_surest_findings_score_is_the_malignancy(finding, thresholds):
    matches = [Match(cc=finding("LCC", score=0.25)), Match(mlo=finding("LMLO", score=0.5))]

    lesions = classify(matches, None, thresholds)

    assert [(one.lesion_id, one.malignancy, one.category) for one in lesions] == [
        ("L1", 0.5, "4B"),
        ("L2", 0.25, "4A"),
    ]
