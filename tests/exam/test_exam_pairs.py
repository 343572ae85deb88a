from __future__ import annotations

import math

import numpy as np
import pytest

from mammosweep.exam.pairs import PAIR_FEATURES, pair_features, pair_matrix
from mammosweep.records import LesionType


def by_name(row):
    return dict(zip(PAIR_FEATURES, row.tolist(), strict=True))


def test_a_pair_is_described_as_computed_by_hand(finding):
    cc = finding(
        "LCC",
        depth=0.25,
        nipple_mm=20.0,
        quadrant="areola",
        size_mm=(6.0, 10.0),
        score=0.5,
        malignancy=0.75,
        second_look=0.25,
        embedding=np.array([3.0, 4.0], dtype=np.float32),
        character={"shape": "irregular", "margin": "spiculated", "density": "high"},
    )
    mlo = finding(
        "LMLO",
        depth=0.5,
        nipple_mm=26.0,
        quadrant="upper",
        size_mm=(4.0, 4.0),
        score=0.25,
        malignancy=0.25,
        second_look=0.75,
        embedding=np.array([2.0, 0.0], dtype=np.float32),
        character={"shape": "irregular", "margin": "obscured", "distribution": "diffuse"},
        type=LesionType.ASYMMETRY,
    )

    row = by_name(pair_features(cc, mlo))

    assert row == pytest.approx(
        {
            "depth_difference": 0.25,
            "size_mean_mm": 6.0,
            "size_log_ratio": math.log(2.0),
            "type_equal": 0.0,
            "score_min": 0.25,
            "score_max": 0.5,
            "score_product": 0.125,
            "embedding_cosine": 0.6,
            "malignancy_mean": 0.5,
            "malignancy_difference": 0.5,
            "character_agreement": 0.5,
            "depth_mean": 0.375,
            "nipple_difference_mm": 6.0,
            "width_log_ratio": math.log(2.5),
            "height_log_ratio": math.log(1.5),
            "score_difference": 0.25,
            "embedding_distance": math.sqrt((1 + 16) / 2),
            "character_overlap": 0.5,
            "areola_equal": 0.0,
            "rank_cc": 1.0,
            "rank_mlo": 1.0,
            "num_cc": 1.0,
            "num_mlo": 1.0,
            "surest_mass": 1.0,
            "surest_calcification": 0.0,
            "surest_asymmetry": 0.0,
            "surest_distortion": 0.0,
            "second_look_min": 0.25,
            "second_look_max": 0.75,
        }
    )


def test_what_is_unknown_of_either_finding_is_nan_and_nothing_else_is(finding):
    cc = finding("LCC", depth=0.25, malignancy=0.5, character={"shape": "oval"})
    mlo = finding("LMLO", embedding=np.zeros(2, dtype=np.float32), character={"margin": "obscured"})

    row = by_name(pair_features(cc, mlo))

    assert {name for name, value in row.items() if math.isnan(value)} == {
        "depth_difference",
        "embedding_cosine",
        "malignancy_mean",
        "malignancy_difference",
        "character_agreement",
        "depth_mean",
        "nipple_difference_mm",
        "character_overlap",
        "areola_equal",
        "second_look_min",
        "second_look_max",
    }


def test_a_box_without_extent_gives_finite_sizes(finding):
    row = by_name(pair_features(finding("LCC", size_mm=(0.0, 0.0)), finding("LMLO", size_mm=(0.3, 0.3))))

    assert row["size_log_ratio"] == pytest.approx(math.log(2.0))


def test_the_matrix_holds_every_pair_in_its_place(finding):
    ccs = [finding("LCC", score=s, depth=s, character={"shape": "oval"}) for s in (0.1, 0.9)]
    mlos = [finding("LMLO", score=s, depth=s, type=LesionType.ASYMMETRY) for s in (0.2, 0.3, 0.8)]

    matrix = pair_matrix(ccs, mlos)

    assert matrix.shape == (2, 3, len(PAIR_FEATURES))
    assert matrix.dtype == np.float32
    of_the_pair = [not name.startswith(("rank_", "num_")) for name in PAIR_FEATURES]
    for i, cc in enumerate(ccs):
        for j, mlo in enumerate(mlos):
            np.testing.assert_array_equal(matrix[i, j][of_the_pair], pair_features(cc, mlo)[of_the_pair])


def test_each_finding_has_its_rank_among_its_views_and_equally_sure_ones_share_theirs(finding):
    ccs = [finding("LCC", score=s) for s in (0.1, 0.9)]
    mlos = [finding("LMLO", score=s) for s in (0.5, 0.8, 0.5)]

    rows = [[by_name(pair) for pair in row] for row in pair_matrix(ccs, mlos)]

    assert [row[0]["rank_cc"] for row in rows] == [2.0, 1.0]
    assert [pair["rank_mlo"] for pair in rows[0]] == [2.0, 1.0, 2.0]
    assert {(pair["num_cc"], pair["num_mlo"]) for row in rows for pair in row} == {(2.0, 3.0)}


@pytest.mark.parametrize(
    ("cc_score", "mlo_score", "expected"),
    [(0.25, 0.75, "surest_asymmetry"), (0.75, 0.25, "surest_mass"), (0.5, 0.5, "surest_mass")],
    ids=["MLO surer", "CC surer", "equally sure"],
)
def test_a_pair_is_of_the_type_of_its_surer_finding(cc_score, mlo_score, expected, finding):
    mlo = finding("LMLO", score=mlo_score, type=LesionType.ASYMMETRY)

    row = by_name(pair_features(finding("LCC", score=cc_score), mlo))

    assert [name for name, value in row.items() if name.startswith("surest_") and value] == [expected]


@pytest.mark.parametrize(
    ("cc", "mlo", "expected"),
    [
        (
            {"margin.spiculated": 0.5, "margin.obscured": 0.5},
            {"margin.spiculated": 0.5, "margin.obscured": 0.5},
            1,
        ),
        (
            {"margin.spiculated": 1.0, "margin.obscured": 0.0},
            {"margin.spiculated": 0.0, "margin.obscured": 1.0},
            0,
        ),
        ({"margin.spiculated": 1.0, "shape.oval": 0.25}, {"margin.spiculated": 0.25, "shape.oval": 1.0}, 0.5),
        ({"margin.spiculated": 1.0, "shape.oval": 1.0}, {"margin.spiculated": 0.25}, 0.5),
    ],
    ids=["the same", "opposite", "mean of two attributes", "only what is known of both"],
)
def test_characters_overlap_by_how_probable_each_word_is_in_both(cc, mlo, expected, finding):
    row = pair_features(finding("LCC", character_scores=cc), finding("LMLO", character_scores=mlo))

    assert by_name(row)["character_overlap"] == pytest.approx(expected)


def test_names_are_told_apart():
    assert len(set(PAIR_FEATURES)) == len(PAIR_FEATURES)


def test_what_bundles_were_fitted_on_before_is_still_compared():
    of_version_1 = (
        *("depth_difference", "size_mean_mm", "size_log_ratio", "type_equal", "score_min", "score_max"),
        *("score_product", "embedding_cosine", "malignancy_mean", "malignancy_difference"),
        "character_agreement",
    )
    assert set(of_version_1) <= set(PAIR_FEATURES)


@pytest.mark.parametrize(("num_cc", "num_mlo"), [(0, 0), (0, 2), (2, 0)])
def test_a_breast_without_findings_in_a_view_has_no_pairs(num_cc, num_mlo, finding):
    matrix = pair_matrix([finding("LCC")] * num_cc, [finding("LMLO")] * num_mlo)

    assert matrix.shape == (num_cc, num_mlo, len(PAIR_FEATURES))
