from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mammosweep.errors import ConfigError
from mammosweep.evaluate.auc import auc
from mammosweep.exam.classify import LESION_FEATURES
from mammosweep.exam.match import match
from mammosweep.exam.pairs import PAIR_FEATURES
from mammosweep.fit.exam import (
    LabelledFinding,
    best_threshold,
    decision_rows,
    fit_decision,
    fit_matcher,
    pair_rows,
)

NEVER, ALWAYS = 1.0, 0.0


def even(rows):
    return np.full(len(rows), 0.5)


@pytest.fixture
def labelled(finding):
    def make(slot, truth=None, malignant=None):
        return LabelledFinding(finding=finding(slot), truth_lesion_id=truth, malignant=malignant)

    return make


@pytest.fixture(scope="module")
def unseen_exams(random_exam):
    rng = np.random.default_rng(99)
    return [random_exam(rng, num_lesions=2, num_false=4) for _ in range(30)]


def test_pairs_are_of_one_breast_and_positive_only_for_one_true_lesion(labelled):
    exam = [
        labelled("LCC", "a"),
        labelled("LMLO", "b"),
        labelled("LMLO", "a"),
        labelled("RCC"),
        labelled("RMLO"),
        labelled("RMLO", "a"),
    ]

    rows, labels = pair_rows([exam, []])

    assert rows.shape == (4, len(PAIR_FEATURES))
    assert labels.tolist() == [0, 1, 0, 0]


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
    exam = [labelled(slot, *truth) for slot, truth in zip(["LCC", "LMLO"], truths, strict=True)]

    rows, labels = decision_rows([exam], even, threshold)

    assert labels.tolist() == expected
    assert rows.shape == (len(expected), len(LESION_FEATURES))


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


def test_a_fitted_matcher_pairs_lesions_it_has_not_seen(labelled_exams, unseen_exams):
    matcher, threshold = fit_matcher(labelled_exams)

    right = wrong = 0
    for exam in unseen_exams:
        truth = {id(one.finding): one.truth_lesion_id for one in exam}
        for pair in match([one.finding for one in exam], matcher, threshold):
            if pair.probability is not None:
                same = truth[id(pair.cc)] is not None and truth[id(pair.cc)] == truth[id(pair.mlo)]
                right, wrong = right + same, wrong + (not same)

    assert right >= 0.9 * 2 * len(unseen_exams)
    assert wrong <= 0.1 * right


def test_a_fitted_decision_tells_malignant_lesions_it_has_not_seen(labelled_exams, unseen_exams):
    matcher, threshold = fit_matcher(labelled_exams)
    decision = fit_decision(labelled_exams, matcher, threshold)

    rows, labels = decision_rows(unseen_exams, matcher, threshold)

    assert auc(decision(rows), labels) > 0.95


def test_fitting_again_gives_the_same_bytes_and_threshold(labelled_exams, tmp_path):
    for name in ("one", "other"):
        matcher, threshold = fit_matcher(labelled_exams, seed=5)
        matcher.save(tmp_path / f"{name}.ubj")
        (tmp_path / name).write_text(repr(threshold))
        fit_decision(labelled_exams, matcher, threshold, seed=5).save(tmp_path / f"{name}-decision.ubj")

    for ending in ("", ".ubj", "-decision.ubj"):
        assert (tmp_path / f"one{ending}").read_bytes() == (tmp_path / f"other{ending}").read_bytes()


def test_with_too_little_to_hold_out_the_threshold_is_one_half(labelled):
    exam = [labelled("LCC", "a"), labelled("LMLO", "a"), labelled("LMLO")]

    _, threshold = fit_matcher([exam])

    assert threshold == 0.5


def test_without_pairs_of_both_kinds_nothing_is_fitted(labelled):
    with pytest.raises(ConfigError, match="found 0 and 1, give more annotated exams"):
        fit_matcher([[labelled("LCC"), labelled("LMLO")]])
    with pytest.raises(ConfigError, match="found 0 and 0"):
        fit_matcher([])


def test_without_malignant_lesions_nothing_is_fitted(labelled_exams):
    benign = [[replace(one, malignant=False) for one in exam] for exam in labelled_exams[:3]]

    with pytest.raises(ConfigError, match="fitting needs malignant lesions"):
        fit_decision(benign, even, 0.5)
