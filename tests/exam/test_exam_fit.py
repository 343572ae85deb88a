from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mammosweep.errors import BundleError, ConfigError
from mammosweep.evaluate.auc import auc
from mammosweep.exam.assess import assess
from mammosweep.exam.breast import BREAST_FEATURES
from mammosweep.exam.features import LESION_FEATURES, lesion_rows
from mammosweep.exam.match import match
from mammosweep.exam.pairs import PAIR_FEATURES
from mammosweep.exam.score import Aggregation
from mammosweep.fit.exam import LabelledExam, LabelledFinding, best_threshold, fit_exam
from mammosweep.fit.exam_folds import NUM_FOLDS, patient_folds
from mammosweep.fit.exam_rows import breast_rows, decision_rows, pair_rows
from mammosweep.records import SLOTS, Laterality

NEVER, ALWAYS = 1.0, 0.0
LEFT, RIGHT = Laterality


def even(rows):
    return np.full(len(rows), 0.5)


@pytest.fixture
def labelled(finding):
    def make(slot, truth=None, malignant=None, **more):
        return LabelledFinding(finding=finding(slot), truth_lesion_id=truth, malignant=malignant, **more)

    return make


@pytest.fixture(scope="module")
def unseen_exams(random_exam):
    rng = np.random.default_rng(99)
    return [random_exam(rng, num_lesions=2, num_false=4) for _ in range(30)]


def findings_of(exam):
    return [one.finding for one in exam.findings]


def matches_of(exam, threshold=ALWAYS):
    return match(findings_of(exam), even, threshold)


def test_pairs_are_of_one_breast_and_positive_only_for_one_true_lesion(labelled):
    exam = LabelledExam(
        findings=(
            *(labelled("LCC", "a"), labelled("LMLO", "b"), labelled("LMLO", "a")),
            *(labelled("RCC"), labelled("RMLO"), labelled("RMLO", "a")),
        )
    )

    rows = pair_rows([LabelledExam(findings=()), exam])

    assert rows.values.shape == (4, len(PAIR_FEATURES))
    assert rows.labels.tolist() == [0, 1, 0, 0]
    assert rows.exams.tolist() == [1, 1, 1, 1]


def test_pairs_of_lesions_that_may_be_one_teach_nothing(labelled):
    exam = LabelledExam(
        findings=(labelled("LCC", "a", linked=False), labelled("LMLO", "b", linked=False), labelled("LMLO"))
    )

    assert pair_rows([exam]).labels.tolist() == [0]


@pytest.mark.parametrize(
    ("truths", "threshold", "expected"),
    [
        pytest.param([("a", True), ("a", True)], ALWAYS, [1], id="malignant pair"),
        pytest.param([("a", False), ("a", False)], ALWAYS, [0], id="benign pair"),
        pytest.param([("a", True), (None, None)], ALWAYS, [1], id="malignant matched with false"),
        pytest.param([("a", True), ("b", False)], ALWAYS, [1], id="malignant matched with benign"),
        pytest.param([("a", True), ("b", None)], NEVER, [1], id="unknown single left out"),
        pytest.param([("a", None), ("a", None)], ALWAYS, [], id="unknown pair left out"),
        pytest.param([(None, None), (None, None)], NEVER, [0, 0], id="false singles"),
    ],
)
def test_a_lesion_is_labelled_by_what_it_holds(truths, threshold, expected, labelled):
    found = [labelled(slot, *truth) for slot, truth in zip(["LCC", "LMLO"], truths, strict=True)]
    exam = LabelledExam(findings=tuple(found))

    rows = decision_rows([exam], [matches_of(exam, threshold)])

    assert rows.labels.tolist() == expected
    assert rows.values.shape == (len(expected), len(LESION_FEATURES))


@pytest.mark.parametrize(
    ("exam", "expected"),
    [
        pytest.param({}, [0], id="its lesion is benign"),
        pytest.param({"malignant": {LEFT}}, [1], id="one that was not found is malignant"),
        pytest.param({"malignant": {RIGHT}}, [0], id="the other breast is malignant"),
        pytest.param({"unknown": {LEFT}}, [], id="not known"),
    ],
)
def test_a_breast_is_labelled_by_all_that_it_holds_found_or_not(exam, expected, labelled, models):
    labelled_exam = LabelledExam(findings=(labelled("LCC", "a", malignant=False),), **exam)
    lesions = assess(findings_of(labelled_exam), SLOTS, models).lesions

    rows = breast_rows([labelled_exam], [lesions])

    assert rows.labels.tolist() == expected
    assert rows.values.shape == (len(expected), len(BREAST_FEATURES))


@pytest.fixture(scope="module")
def models(fitted):
    return fitted.models(Aggregation.MAX)


@pytest.mark.parametrize(
    ("probabilities", "correct", "num_true", "expected"),
    [
        pytest.param([0.25, 0.75], [False, True], 1, 0.5, id="halfway between right and wrong"),
        pytest.param([0.75, 0.5], [True, True], 2, 0.25, id="all right: halfway to 0"),
        pytest.param([0.5, 0.5, 0.25], [True, False, False], 1, 0.375, id="ties stay together"),
        # F1 at the four cuts: 2/4, 2/5, 4/6, 4/7
        pytest.param([0.8, 0.6, 0.4, 0.2], [True, False, True, False], 3, 0.3, id="the best, not the first"),
    ],
)
def test_the_threshold_has_the_best_f1(probabilities, correct, num_true, expected):
    assert best_threshold(probabilities, correct, num_true) == pytest.approx(expected)


def test_folds_keep_patients_whole_and_spread_the_malignant(labelled):
    sick = LabelledExam(findings=(labelled("LCC", "a", malignant=True),))
    exams = [replace(sick if i < 20 else LabelledExam(findings=()), patient=f"p{i // 2}") for i in range(100)]

    folds = patient_folds(exams, seed=3)

    assert folds[::2].tolist() == folds[1::2].tolist()
    assert np.bincount(folds[:20]).tolist() == [4] * NUM_FOLDS
    assert folds.tolist() != patient_folds(exams, seed=4).tolist()


def test_a_fitted_matcher_pairs_lesions_it_has_not_seen(fitted, unseen_exams):
    right = wrong = 0
    for exam in unseen_exams:
        for pair in match(findings_of(exam), fitted.matcher.model, fitted.matcher.threshold):
            if pair.probability is not None:
                cc, mlo = exam.truth(pair.cc).truth_lesion_id, exam.truth(pair.mlo).truth_lesion_id
                same = cc is not None and cc == mlo
                right, wrong = right + same, wrong + (not same)

    assert right >= 0.9 * 2 * len(unseen_exams)
    assert wrong <= 0.1 * right


def test_a_fitted_decision_tells_malignant_lesions_it_has_not_seen(fitted, unseen_exams):
    matches = [
        match(findings_of(exam), fitted.matcher.model, fitted.matcher.threshold) for exam in unseen_exams
    ]
    rows = decision_rows(unseen_exams, matches)

    assert auc(fitted.decision.model(rows.values), rows.labels) > 0.95
    assert fitted.decision.auc > 0.95


def test_malignancies_of_unseen_exams_are_as_frequent_as_they_say(fitted, unseen_exams):
    models = fitted.models(Aggregation.MAX)
    matches = [match(findings_of(exam), models.matcher, models.match_threshold) for exam in unseen_exams]
    rows = decision_rows(unseen_exams, matches)

    malignancies = models.calibration(models.decision(rows.values))

    assert abs(malignancies.mean() - rows.labels.mean()) < 0.05
    brier = ((malignancies - rows.labels) ** 2).mean()
    assert brier < 0.3 * rows.labels.var()


def test_every_exam_is_judged_by_a_model_that_has_not_seen_it(labelled_exams, fitted):
    judged = fitted.decision.lesions

    own = fitted.models(Aggregation.MAX)
    by_own = [assess(findings_of(exam), SLOTS, own).lesions for exam in labelled_exams]

    assert [len(fitted.matcher.matches), len(judged)] == [len(labelled_exams)] * 2
    surest = [max(les.malignancy for les in lesions) for lesions in judged]
    assert surest != [max(les.malignancy for les in lesions) for lesions in by_own]


def test_aggregations_are_compared_on_breasts(fitted):
    assert set(fitted.breast_auc) == set(Aggregation)
    assert min(fitted.breast_auc.values()) > 0.9


def test_a_learned_score_never_falls_as_a_lesion_looks_worse(fitted):
    rows = np.tile(np.float32([0, 0.1, 0.05, 1, 0, 0, 0.1, 0.1, 3, 1, 2]), (50, 1))
    rows[:, 0] = np.linspace(0.1, 1.0, 50)

    scores = fitted.breast(rows)

    assert np.diff(scores).min() >= 0 < scores[-1] - scores[0]


def test_fitting_again_gives_the_same_bytes_and_numbers(labelled_exams, fitted, tmp_path):
    again = fit_exam(labelled_exams, seed=5)

    for name, one in (("one", fitted), ("other", again)):
        for kind, model in (("m", one.matcher.model), ("d", one.decision.model), ("b", one.breast)):
            model.save(tmp_path / f"{name}-{kind}.ubj")
    for kind in "mdb":
        assert (tmp_path / f"one-{kind}.ubj").read_bytes() == (tmp_path / f"other-{kind}.ubj").read_bytes()
    assert again.matcher.threshold == fitted.matcher.threshold
    assert again.decision.calibration == fitted.decision.calibration
    assert again.decision.thresholds == fitted.decision.thresholds


def test_with_too_little_to_hold_out_nothing_is_chosen_on_it(labelled):
    found = [labelled("LCC", "a", malignant=True), labelled("LMLO", "a", malignant=True), labelled("LMLO")]

    fitted = fit_exam([LabelledExam(findings=(*found, labelled("RCC"), labelled("RMLO")))])

    assert fitted.matcher.threshold == 0.5
    assert fitted.decision.calibration(np.array([0.25])).item() == 0.25


def test_without_two_kinds_of_breasts_none_is_learned(labelled_exams):
    malignant = [replace(exam, malignant=set(Laterality)) for exam in labelled_exams[:10]]

    fitted = fit_exam(malignant)

    assert fitted.breast is None
    assert Aggregation.LEARNED not in fitted.breast_auc
    with pytest.raises(BundleError, match="no model of breasts"):
        fitted.models(Aggregation.LEARNED)


def test_without_pairs_of_both_kinds_nothing_is_fitted(labelled):
    with pytest.raises(ConfigError, match="found 0 and 1, give more annotated exams"):
        fit_exam([LabelledExam(findings=(labelled("LCC"), labelled("LMLO")))])
    with pytest.raises(ConfigError, match="found 0 and 0"):
        fit_exam([])


def test_without_malignant_lesions_nothing_is_fitted(labelled_exams):
    benign = [
        replace(exam, findings=tuple(replace(one, malignant=False) for one in exam.findings))
        for exam in labelled_exams[:3]
    ]

    with pytest.raises(ConfigError, match="fitting needs malignant lesions"):
        fit_exam(benign)


def test_rows_of_lesions_are_as_a_sweep_describes_them(labelled_exams):
    exam = labelled_exams[0]
    matches = matches_of(exam)

    rows = decision_rows([exam], [matches])

    np.testing.assert_array_equal(rows.values, lesion_rows(matches))
