from __future__ import annotations

import math

import numpy as np
import pytest

from mammosweep.exam.classify import (
    LESION_FEATURES,
    classify,
    lesion_features,
    lesion_rows,
    lesion_type,
)
from mammosweep.exam.match import Match
from mammosweep.records import LesionType

SCORE = LESION_FEATURES.index("score_max")


def by_score(rows):
    """Malignancy is the best detector score."""
    return rows[:, SCORE].astype(np.float64)


def by_name(row):
    return dict(zip(LESION_FEATURES, row.tolist(), strict=True))


def test_a_pair_is_described_as_computed_by_hand(finding):
    pair = Match(
        cc=finding("LCC", score=0.5, malignancy=0.25, size_mm=(4.0, 6.0), depth=0.25),
        mlo=finding("LMLO", score=0.75, size_mm=(8.0, 8.0), depth=0.75, type=LesionType.DISTORTION),
        probability=0.875,
    )
    others = [
        Match(cc=finding("LCC", score=1.0)),
        Match(mlo=finding("RMLO", score=0.125)),
        Match(cc=finding("RCC", score=0.25), mlo=finding("RMLO", score=0.0), probability=0.5),
    ]

    assert by_name(lesion_features(pair, others)) == {
        "score_max": 0.75,
        "score_min": 0.5,
        "malignancy_max": 0.25,
        "malignancy_min": 0.25,
        "match_probability": 0.875,
        "type_mass": 0.0,
        "type_calcification": 0.0,
        "type_asymmetry": 0.0,
        "type_distortion": 1.0,
        "size_mm": 8.0,
        "depth": 0.5,
        "both_views": 1.0,
        "num_in_breast": 2.0,
        "contralateral_score": 0.25,
    }


def test_of_a_single_finding_alone_the_unknown_is_nan(finding):
    row = by_name(lesion_features(Match(mlo=finding("RMLO")), []))

    unknown = {name for name, value in row.items() if math.isnan(value)}
    assert unknown == {"malignancy_max", "malignancy_min", "match_probability", "depth"}
    assert (row["both_views"], row["num_in_breast"], row["contralateral_score"]) == (0.0, 1.0, 0.0)


def test_each_row_sees_the_other_matches_and_not_itself(finding):
    matches = [Match(cc=finding("LCC", score=0.5)), Match(cc=finding("RCC", score=0.25))]

    rows = [by_name(row) for row in lesion_rows(matches)]

    assert [row["contralateral_score"] for row in rows] == [0.25, 0.5]
    assert [row["num_in_breast"] for row in rows] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("cc_score", "mlo_score", "expected"),
    [(0.5, 0.75, LesionType.ASYMMETRY), (0.75, 0.5, LesionType.MASS), (0.5, 0.5, LesionType.MASS)],
    ids=["MLO surer", "CC surer", "equally sure"],
)
def test_a_lesion_is_of_the_type_of_its_surest_finding(cc_score, mlo_score, expected, finding):
    cc = finding("LCC", score=cc_score, type=LesionType.MASS)
    mlo = finding("LMLO", score=mlo_score, type=LesionType.ASYMMETRY)

    assert lesion_type([cc, mlo]) is expected


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


def test_no_matches_make_no_lesions(thresholds):
    assert classify([], by_score, thresholds) == ()


def test_without_a_decision_the_surest_findings_score_is_the_malignancy(finding, thresholds):
    matches = [Match(cc=finding("LCC", score=0.25)), Match(mlo=finding("LMLO", score=0.5))]

    lesions = classify(matches, None, thresholds)

    assert [(one.lesion_id, one.malignancy, one.category) for one in lesions] == [
        ("L1", 0.5, "4B"),
        ("L2", 0.25, "4A"),
    ]
