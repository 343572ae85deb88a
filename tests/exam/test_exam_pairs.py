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
        size_mm=(6.0, 10.0),
        score=0.5,
        malignancy=0.75,
        embedding=np.array([3.0, 4.0], dtype=np.float32),
        character={"shape": "irregular", "margin": "spiculated", "density": "high"},
    )
    mlo = finding(
        "LMLO",
        depth=0.5,
        size_mm=(4.0, 4.0),
        score=0.25,
        malignancy=0.25,
        embedding=np.array([2.0, 0.0], dtype=np.float32),
        character={"shape": "irregular", "margin": "obscured", "distribution": "diffuse"},
    )

    row = by_name(pair_features(cc, mlo))

    assert row == pytest.approx(
        {
            "depth_difference": 0.25,
            "size_mean_mm": 6.0,
            "size_log_ratio": math.log(2.0),
            "type_equal": 1.0,
            "score_min": 0.25,
            "score_max": 0.5,
            "score_product": 0.125,
            "embedding_cosine": 0.6,
            "malignancy_mean": 0.5,
            "malignancy_difference": 0.5,
            "character_agreement": 0.5,
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
    for i, cc in enumerate(ccs):
        for j, mlo in enumerate(mlos):
            np.testing.assert_array_equal(matrix[i, j], pair_features(cc, mlo))


@pytest.mark.parametrize(("num_cc", "num_mlo"), [(0, 0), (0, 2), (2, 0)])
def test_a_breast_without_findings_in_a_view_has_no_pairs(num_cc, num_mlo, finding):
    matrix = pair_matrix([finding("LCC")] * num_cc, [finding("LMLO")] * num_mlo)

    assert matrix.shape == (num_cc, num_mlo, len(PAIR_FEATURES))
