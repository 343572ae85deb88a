from __future__ import annotations

import math

from mammosweep.exam.breast import BREAST_FEATURES, breast_features
from mammosweep.records import Position


def by_name(row):
    return dict(zip(BREAST_FEATURES, row.tolist(), strict=True))


def test_a_breast_is_described_as_computed_by_hand(lesion):
    lesions = [lesion(0.25, "CC"), lesion(0.75, "MLO"), lesion(0.5, "CC", "MLO"), lesion(0.125, "CC")]

    assert by_name(breast_features(lesions, list(Position))) == {
        "malignancy_1": 0.75,
        "malignancy_2": 0.5,
        "malignancy_3": 0.25,
        "paired_1": 0.0,
        "paired_2": 1.0,
        "paired_3": 0.0,
        "view_cc": 0.5,
        "view_mlo": 0.75,
        "num_lesions": 4.0,
        "num_paired": 1.0,
        "num_views": 2.0,
    }


def test_lesions_that_are_not_there_count_as_not_malignant_and_views_not_read_as_unknown(lesion):
    row = by_name(breast_features([lesion(0.5, "CC")], [Position.CC]))

    assert (row["malignancy_1"], row["malignancy_2"], row["view_cc"]) == (0.5, 0.0, 0.5)
    assert {name for name, value in row.items() if math.isnan(value)} == {"paired_2", "paired_3", "view_mlo"}


def test_the_order_of_equally_malignant_lesions_does_not_matter(lesion):
    one, other = lesion(0.5, "CC"), lesion(0.5, "CC", "MLO")

    rows = [breast_features(order, list(Position)).tobytes() for order in ([one, other], [other, one])]

    assert rows[0] == rows[1]
