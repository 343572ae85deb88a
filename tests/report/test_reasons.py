from __future__ import annotations

from dataclasses import replace

import pytest

from mammosweep.exam.features import LESION_FEATURES
from mammosweep.records import LesionType
from mammosweep.report.reasons import WORDS_OF_FEATURES, lesion_reasons, reasons_text, topic


@pytest.fixture
def pair(scored):
    """Both views of an irregular, spiculated mass: one size, one depth, malignancy 0.8."""
    return scored().lesions[0]


@pytest.fixture
def single(scored):
    return scored().lesions[1]


def because(lesion, **contributions):
    return reasons_text(replace(lesion, contributions={"bias": -2.0, **contributions}))


def of_both(lesion, cc, mlo):
    return replace(lesion, cc=replace(lesion.cc, **cc), mlo=replace(lesion.mlo, **mlo))


@pytest.mark.parametrize("feature", LESION_FEATURES)
def test_every_feature_of_the_decision_has_words(feature):
    assert topic(feature) in WORDS_OF_FEATURES


def test_no_words_are_kept_for_features_that_are_gone():
    assert set(WORDS_OF_FEATURES) == {topic(feature) for feature in LESION_FEATURES}


@pytest.mark.parametrize("feature", LESION_FEATURES)
def test_every_feature_can_be_said_of_a_pair_a_single_finding_and_one_of_which_nothing_is_known(
    feature, pair, single
):
    unknown = {"quadrant": None, "depth": None, "malignancy": None, "character": {}}
    bare = replace(single, cc=replace(single.cc, **unknown))

    said = [lesion_reasons(replace(les, contributions={feature: 1.0})) for les in (pair, single, bare)]

    assert all(len(reasons) == 1 and reasons[0].words.strip() for reasons in said)
    assert "None" not in str(said)


def test_reasons_stand_by_weight_with_their_direction(pair):
    said = because(pair, **{"margin.spiculated": 0.5, "both_views": 0.75, "depth": -0.25})

    assert said == "seen in both views +, spiculated margin +, at middle depth \u2212"


def test_features_that_are_said_alike_count_together(pair):
    contributions = {"margin.spiculated": 0.5, "margin.obscured": -0.125, "match_probability": 0.25}
    reasons = lesion_reasons(replace(pair, contributions=contributions))

    assert [(one.words, one.log_odds) for one in reasons] == [
        ("spiculated margin", 0.375),
        ("seen in both views", 0.25),
    ]


def test_what_cancels_out_or_weighs_little_is_no_reason_and_the_bias_never_is(pair):
    assert because(pair, score_max=0.5, score_min=-0.5, depth=0.09) == ""


def test_no_more_reasons_are_named_than_asked_for(pair):
    features = ["both_views", "depth", "size_mm", "type_mass", "malignancy_max", "mirror_score"]
    lesion = replace(pair, contributions={name: 1.0 + i for i, name in enumerate(features)})

    assert [one.log_odds for one in lesion_reasons(lesion, most=3)] == [6.0, 5.0, 4.0]
    assert len(lesion_reasons(lesion)) == 4


def test_without_a_decision_model_there_are_no_reasons(pair):
    assert reasons_text(replace(pair, contributions={})) == ""


def test_a_feature_of_a_later_version_is_said_by_its_name(pair):
    assert because(pair, texture_entropy=1.0) == "texture entropy +"


@pytest.mark.parametrize(
    ("cc", "mlo", "feature", "words"),
    [
        ({"depth": 0.5}, {"depth": 0.55}, "depth_difference", "depth agreement"),
        ({"depth": 0.5}, {"depth": 0.7}, "depth_difference", "depth disagreement"),
        ({"depth": None}, {"depth": 0.7}, "depth_difference", "seen in both views"),
        ({"size_mm": (4.0, 4.0)}, {"size_mm": (5.0, 5.0)}, "size_log_ratio", "size agreement"),
        ({"size_mm": (4.0, 4.0)}, {"size_mm": (7.0, 7.0)}, "size_log_ratio", "size disagreement"),
        ({"size_mm": (4.0, 4.0)}, {"size_mm": (11.0, 13.0)}, "size_mm", "12 mm across"),
        ({"size_mm": (4.0, 9.0)}, {}, "elongation", "elongated"),
        ({"size_mm": (4.0, 5.0)}, {}, "elongation", "not elongated"),
        ({"depth": 0.1}, {"depth": 0.2}, "depth", "near the nipple"),
        ({"depth": 0.9}, {"depth": 1.1}, "nipple_mm", "near the chest wall"),
        ({"quadrant": "outer"}, {"quadrant": "upper"}, "quadrant_cc_outer", "in the upper outer quadrant"),
        ({"quadrant": "middle"}, {"quadrant": "lower"}, "quadrant_cc_inner", "in the lower part"),
        ({"quadrant": "middle"}, {"quadrant": "middle"}, "quadrant_cc_inner", "in the middle part"),
        ({"quadrant": "areola"}, {"quadrant": "lower"}, "quadrant_mlo_lower", "behind the areola"),
        ({"quadrant": None}, {"quadrant": None}, "quadrant_mlo_lower", "quadrant unknown"),
        ({"malignancy": 0.2}, {"malignancy": 0.3}, "malignancy_max", "malignant look 0.30"),
        ({"malignancy": 0.2}, {"malignancy": 0.6}, "malignancy_min", "malignant look 0.60"),
        ({"score": 0.2}, {"score": 0.3}, "score_max", "detection 0.30"),
        ({"character": {}}, {"character": {}}, "margin.spiculated", "type mass"),
        (
            {"character": {"margin": "obscured"}, "score": 0.4},
            {"character": {"margin": "indistinct"}, "score": 0.3},
            "margin.spiculated",
            "obscured margin",
        ),
    ],
)
def test_what_is_said_is_what_the_findings_show(cc, mlo, feature, words, pair):
    assert because(of_both(pair, cc, mlo), **{feature: 1.0}) == f"{words} +"


def test_a_single_finding_is_said_to_be_seen_in_its_view_alone(single):
    features = ["both_views", "match_probability", "depth_difference", "size_log_ratio", "embedding_cosine"]

    assert because(single, **dict.fromkeys(features, -0.25)) == "seen in CC only \u2212"


def test_measurements_are_reasons_only_where_they_were_made(pair):
    measured = of_both(pair, {"calcification": {"count": 9.0}}, {})
    contributions = {"calcification.count": 0.5, "calcification.cluster_area_mm2": -0.25}

    assert because(measured, **contributions) == "number of calcifications +, extent of the cluster \u2212"
    assert because(pair, **contributions) == "type mass +"


def test_a_distortion_is_named_in_full(single):
    lesion = replace(single, type=LesionType.DISTORTION)

    assert because(lesion, type_mass=1.0) == "type architectural distortion +"
