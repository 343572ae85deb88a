from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammosweep.errors import BundleError
from mammosweep.exam import Aggregation, Calibration, ExamModels, assess
from mammosweep.exam.booster import BIAS
from mammosweep.exam.breast import BREAST_FEATURES
from mammosweep.exam.features import LESION_FEATURES
from mammosweep.exam.pairs import PAIR_FEATURES
from mammosweep.records import SLOTS, LesionType

DEPTH = PAIR_FEATURES.index("depth_difference")
SCORE = LESION_FEATURES.index("score_max")


@pytest.fixture(scope="module")
def models(thresholds):
    """Depth pairs findings; the best score is the malignancy."""
    return ExamModels(
        matcher=lambda rows: 1.0 - rows[:, DEPTH].astype(np.float64),
        decision=lambda rows: rows[:, SCORE].astype(np.float64),
        match_threshold=0.5,
        thresholds=thresholds,
    )


@pytest.fixture(scope="module")
def fitted_models(fitted):
    return fitted.models(Aggregation.LEARNED)


def plain(assessment):
    """An assessment as numbers and text, which compare."""
    lesions = [
        *((one.lesion_id, one.malignancy, one.category, one.match_probability) for one in assessment.lesions),
        *((one.contributions, [repr(f) for f in one.findings]) for one in assessment.lesions),
    ]
    scores = (assessment.score_left, assessment.score_right, assessment.score, assessment.category)
    return lesions, scores


def test_findings_become_lesions_and_scores(finding, models):
    findings = [
        finding("RMLO", score=0.25, depth=0.5),
        finding("LMLO", score=0.75, depth=0.25),
        finding("LCC", score=0.5, depth=0.25),
    ]

    assessment = assess(findings, SLOTS, models)

    assert [(one.lesion_id, len(one.findings), one.malignancy) for one in assessment.lesions] == [
        ("L1", 2, 0.75),
        ("R1", 1, 0.25),
    ]
    assert (assessment.score_left, assessment.score_right, assessment.score) == (0.75, 0.25, 0.75)
    assert assessment.category == "4C"


def test_the_aggregation_of_the_models_is_used(finding, models):
    assessment = assess(
        [finding("LCC", score=0.5)], SLOTS, replace(models, aggregation=Aggregation.VIEW_MAX_BREAST_MEAN)
    )

    assert (assessment.score, assessment.category) == (0.25, "4A")
    assert assessment.lesions[0].category == "4B"


def test_a_learned_aggregation_scores_breasts_with_the_bundles_model(finding, models):
    seen = []

    def breast(rows):
        seen.append(dict(zip(BREAST_FEATURES, rows[0].tolist(), strict=True)))
        return np.array([0.625])

    learned = replace(models, aggregation=Aggregation.LEARNED, breast=breast)
    assessment = assess([finding("LCC", score=0.5)], SLOTS, learned)

    assert (assessment.score_left, assessment.score_right, assessment.score) == (0.625, 0.0, 0.625)
    assert [row["malignancy_1"] for row in seen] == [0.5]  # a clean breast is not asked for


def test_a_learned_aggregation_without_its_model_is_refused(models):
    with pytest.raises(BundleError, match="no model of breasts is there"):
        replace(models, aggregation=Aggregation.LEARNED)


def test_the_decision_is_calibrated_before_anything_rests_on_it(finding, models):
    halved = replace(models, calibration=Calibration(1.0, math.log(1 / 3)))

    assessment = assess([finding("LCC", score=0.5)], SLOTS, halved)

    assert assessment.score == assessment.lesions[0].malignancy == pytest.approx(0.25)
    assert assessment.lesions[0].category == "4A"


def test_each_breast_has_the_probability_of_a_benign_lesion(finding, models):
    findings = [finding("LCC", score=0.75), finding("LMLO", score=0.5)]

    assessment = assess(findings, SLOTS[::2], models)

    # 0.5 x (1 - 0.5), more than 0.75 x (1 - 0.75)
    assert (assessment.benign_left, assessment.benign_right) == (0.25, None)


def test_a_fitted_decision_says_what_each_malignancy_rests_on(labelled_exams, fitted):
    models = fitted.models(Aggregation.MAX)
    findings = [labelled.finding for labelled in labelled_exams[0].findings]

    lesions = assess(findings, SLOTS, models).lesions

    assert len(lesions) > 3
    for lesion in lesions:
        own = np.array([1 / (1 + math.exp(-sum(lesion.contributions.values())))])
        assert models.calibration(own).item() == pytest.approx(lesion.malignancy, abs=1e-5)
        assert set(lesion.contributions) == {*LESION_FEATURES, BIAS}


def test_an_exam_without_findings_is_clean(models):
    assessment = assess([], SLOTS, models)

    assert plain(assessment) == ([], (0.0, 0.0, 0.0, "1"))


def test_a_fitted_model_takes_an_exam_without_findings(fitted_models):
    assert plain(assess([], SLOTS, fitted_models)) == ([], (0.0, 0.0, 0.0, "1"))


def test_a_breast_without_views_has_no_score(finding, models):
    assessment = assess([finding("RCC", score=0.25)], SLOTS[1::2], models)

    assert (assessment.score_left, assessment.score_right, assessment.score) == (None, 0.25, 0.25)


def test_a_finding_in_a_view_that_was_not_read_is_refused(finding, models):
    with pytest.raises(ValueError, match="a finding lies in R CC"):
        assess([finding("RCC")], SLOTS[::2], models)


def test_an_exam_without_views_is_refused(models):
    with pytest.raises(ValueError, match="no view of either breast"):
        assess([], [], models)


def test_a_detector_alone_gives_single_lesions_scored_by_their_detector_scores(finding, models):
    findings = [finding("LCC", score=0.5, depth=0.25), finding("LMLO", score=0.75, depth=0.25)]

    assessment = assess(findings, SLOTS, replace(models, matcher=None, decision=None))

    assert [(one.lesion_id, len(one.findings), one.malignancy) for one in assessment.lesions] == [
        ("L1", 1, 0.75),
        ("L2", 1, 0.5),
    ]
    assert (assessment.score_left, assessment.score_right, assessment.score) == (0.75, 0.0, 0.75)


@pytest.mark.parametrize("missing", ["matcher", "decision"])
def test_one_model_without_the_other_is_refused(missing, models):
    with pytest.raises(BundleError, match="expected both, or neither"):
        replace(models, **{missing: None})


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_match_threshold_that_is_no_probability_is_refused(threshold, models):
    with pytest.raises(BundleError, match="expected a probability"):
        replace(models, match_threshold=threshold)


coarse = st.sampled_from([None, 0.25, 0.5])  # so that ties are common
descriptions = st.fixed_dictionaries(
    {
        "slot": st.sampled_from(["LCC", "LMLO", "RCC", "RMLO"]),
        "score": st.sampled_from([0.25, 0.5]),
        "box_px": st.sampled_from([(0.0, 0.0, 9.0, 9.0), (5.0, 5.0, 9.0, 9.0)]),
        "type": st.sampled_from(list(LesionType)),
        "depth": coarse,
        "malignancy": coarse,
        "quadrant": st.sampled_from([None, "upper"]),
        "character": st.sampled_from([{}, {"shape": "oval"}]),
        "character_scores": st.sampled_from([{}, {"margin.spiculated": 0.75}]),
        "nipple_mm": st.sampled_from([None, 20.0, 40.0]),
        "embedding": st.sampled_from([np.float32([1, 0]), np.float32([1, 1]), np.float32([0, 0])]),
    }
)


@settings(max_examples=60, deadline=None)
@given(descriptions=st.lists(descriptions, max_size=10), data=st.data())
def test_the_order_in_which_findings_arrive_changes_nothing(descriptions, data, finding, fitted_models):
    findings = [finding(**description) for description in descriptions]
    shuffled = data.draw(st.permutations(findings))

    assert plain(assess(shuffled, SLOTS, fitted_models)) == plain(assess(findings, SLOTS, fitted_models))


def test_the_package_can_be_imported_without_xgboost_or_torch():
    code = "import sys, mammosweep.exam; print(sorted({'torch', 'xgboost'} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
