from __future__ import annotations

import math

import pytest

from mammosweep.exam.features import LESION_FEATURES, lesion_features, lesion_rows, lesion_type
from mammosweep.exam.match import Match
from mammosweep.records import LesionType


def by_name(row):
    return dict(zip(LESION_FEATURES, row.tolist(), strict=True))


def known(row):
    return {name: value for name, value in by_name(row).items() if not math.isnan(value)}


def test_names_are_told_apart():
    assert len(set(LESION_FEATURES)) == len(LESION_FEATURES)


def test_what_bundles_were_fitted_on_before_is_still_computed():
    of_version_1 = (
        *("score_max", "score_min", "malignancy_max", "malignancy_min", "match_probability"),
        *("type_mass", "type_calcification", "type_asymmetry", "type_distortion"),
        *("size_mm", "depth", "both_views", "num_in_breast", "contralateral_score"),
    )
    assert set(of_version_1) <= set(LESION_FEATURES)


def test_a_pair_is_described_as_computed_by_hand(finding):
    pair = Match(
        cc=finding(
            "LCC", score=0.5, malignancy=0.25, size_mm=(4.0, 8.0), depth=0.25, nipple_mm=20.0,
            quadrant="outer", character_scores={"margin.spiculated": 0.25, "margin.obscured": 0.75},
        ),
        mlo=finding(
            "LMLO", score=0.75, size_mm=(8.0, 8.0), depth=0.75, type=LesionType.DISTORTION, nipple_mm=26.0,
            character_scores={"margin.spiculated": 0.5, "margin.obscured": 0.5},
        ),
        probability=0.875,
    )  # fmt: skip
    others = [
        Match(cc=finding("LCC", score=1.0)),
        Match(mlo=finding("RMLO", score=0.125, malignancy=0.5)),
        Match(cc=finding("RCC", score=0.25), mlo=finding("RMLO", score=0.0), probability=0.5),
    ]

    assert known(lesion_features(pair, others)) == pytest.approx(
        {
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
            "depth_difference": 0.5,
            "nipple_difference_mm": 6.0,
            "size_log_ratio": math.log(8 / 6),
            "embedding_cosine": 1.0,
            "character_overlap": math.sqrt(0.125) + math.sqrt(0.375),
            "nipple_mm": 23.0,
            "height_mm": 8.0,
            "width_mm": 8.0,
            "elongation": math.log(2.0),
            "quadrant_cc_outer": 1.0,
            "quadrant_cc_middle": 0.0,
            "quadrant_cc_inner": 0.0,
            "quadrant_cc_areola": 0.0,
            "margin.spiculated": 0.5,
            "margin.obscured": 0.75,
            "rank_in_breast": 2.0,
            "num_contralateral": 2.0,
            "contralateral_malignancy": 0.5,
            "score_asymmetry": 0.5,
            "malignancy_asymmetry": -0.25,
            "mirror_score": 0.0,
        }
    )


def test_of_a_bare_finding_alone_only_what_it_is_and_its_company_are_known(finding):
    row = known(lesion_features(Match(mlo=finding("RMLO")), []))

    assert set(row) == {
        *("score_max", "score_min", "both_views", "num_in_breast", "contralateral_score"),
        *("type_mass", "type_calcification", "type_asymmetry", "type_distortion"),
        *("size_mm", "height_mm", "width_mm", "elongation"),
        *("rank_in_breast", "num_contralateral", "score_asymmetry"),
    }
    assert (row["both_views"], row["num_in_breast"], row["contralateral_score"]) == (0.0, 1.0, 0.0)


def test_of_two_views_measurements_the_larger_number_and_the_mean_of_the_rest_count(finding):
    pair = Match(
        cc=finding("LCC", calcification={"count": 9.0, "cluster_area_mm2": 40.0, "mass_entropy": 1.0}),
        mlo=finding("LMLO", calcification={"count": 7.0, "cluster_area_mm2": 60.0, "contrast_mean": 0.25}),
        probability=0.5,
    )
    row = known(lesion_features(pair, []))

    assert {name: value for name, value in row.items() if name.startswith("calcification.")} == {
        "calcification.count": 9.0,
        "calcification.cluster_area_mm2": 50.0,
        "calcification.contrast_mean": 0.25,
    }


def test_words_without_probabilities_count_as_certain(finding):
    row = known(lesion_features(Match(cc=finding("LCC", character={"margin": "spiculated"})), []))

    margins = {name: value for name, value in row.items() if name.startswith("margin.")}
    assert margins.pop("margin.spiculated") == 1.0
    assert margins == dict.fromkeys(
        ["margin.circumscribed", "margin.obscured", "margin.microlobulated", "margin.indistinct"], 0.0
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, 0.25, id="alike"),
        pytest.param({"depth": 0.65}, 0.0, id="deeper"),
        pytest.param({"depth": None}, 0.0, id="depth unknown"),
        pytest.param({"size_mm": (12.0, 12.0)}, 0.0, id="larger"),
        pytest.param({"slot": "RMLO"}, 0.0, id="in the other view"),
        pytest.param({"slot": "LCC"}, 0.0, id="in the same breast"),
    ],
)
def test_a_like_finding_at_the_same_place_of_the_other_breast_mirrors_it(changes, expected, finding):
    other = finding(**{"slot": "RCC", "depth": 0.45, "size_mm": (8.0, 8.0), "score": 0.25} | changes)
    one = Match(cc=finding("LCC", depth=0.5, size_mm=(6.0, 6.0)))
    other_match = Match(cc=other) if other.position == "CC" else Match(mlo=other)

    assert known(lesion_features(one, [other_match]))["mirror_score"] == expected


def test_each_row_sees_the_other_matches_and_not_itself(finding):
    matches = [Match(cc=finding("LCC", score=0.5)), Match(cc=finding("RCC", score=0.25))]

    rows = [by_name(row) for row in lesion_rows(matches)]

    assert [row["contralateral_score"] for row in rows] == [0.25, 0.5]
    assert [row["num_in_breast"] for row in rows] == [1.0, 1.0]


def test_equally_sure_lesions_share_their_rank(finding):
    matches = [Match(cc=finding("LCC", score=score)) for score in (0.5, 0.75, 0.5)]

    assert [by_name(row)["rank_in_breast"] for row in lesion_rows(matches)] == [2.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("cc_score", "mlo_score", "expected"),
    [(0.5, 0.75, LesionType.ASYMMETRY), (0.75, 0.5, LesionType.MASS), (0.5, 0.5, LesionType.MASS)],
    ids=["MLO surer", "CC surer", "equally sure"],
)
def test_a_lesion_is_of_the_type_of_its_surest_finding(cc_score, mlo_score, expected, finding):
    cc = finding("LCC", score=cc_score, type=LesionType.MASS)
    mlo = finding("LMLO", score=mlo_score, type=LesionType.ASYMMETRY)

    assert lesion_type([cc, mlo]) is expected
