from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from mammosweep.evaluate.delong import compare, delong, delong_covariance

# DeLong, DeLong and Clarke-Pearson's own patients: albumin, total protein, K-G score, and whether surgery did
# the patient good. The 43 with all three tests, as the SAS/STAT User's Guide has them (PROC LOGISTIC,
# "Comparing Receiver Operating Characteristic Curves"), and the figures that it prints of them.
OVARIAN = np.array(
    """
    3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1
    3.8 5.7 5 1   3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0
    2.3 4.4 6 1   4.2 7.6 4 0  4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1
    3.1 6.6 6 1   4.1 8.2 6 1  4.3 7.0 5 1  4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0
    3.7 6.1 5 1   3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1  2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1
    3.3 5.7 6 1   3.7 6.9 5 1  3.6 6.6 5 1
    """.split(),  # noqa: SIM905 -- a table is read as one
    dtype=float,
).reshape(-1, 4)
ALBUMIN, PROTEIN, KG, BETTER = OVARIAN[:, 0], OVARIAN[:, 1], 10 - OVARIAN[:, 2], OVARIAN[:, 3] == 1


@pytest.mark.parametrize(
    ("scores", "printed"),
    [
        pytest.param(ALBUMIN, (0.7366, 0.5549, 0.9182), id="albumin"),
        pytest.param(PROTEIN, (0.6478, 0.4518, 0.8439), id="total protein"),
    ],
)
def test_areas_and_intervals_of_delongs_patients_are_the_printed_ones(scores, printed):
    found = delong(scores, BETTER)

    assert (found.value, found.low, found.high) == pytest.approx(printed, abs=5e-5)
    assert (found.num, found.num_positive) == (43, 31)


def test_the_test_of_delongs_three_curves_has_the_printed_chi_square():
    areas, covariance = delong_covariance(np.stack([ALBUMIN, PROTEIN, KG]), BETTER)
    contrast = np.array([[1, 0, -1], [0, 1, -1]])

    difference = contrast @ areas
    chi_square = difference @ np.linalg.solve(contrast @ covariance @ contrast.T, difference)

    assert chi_square == pytest.approx(2.5340, abs=5e-5)


def components(scores, labels):
    """The definition: every positive against every negative."""
    wins = [
        [(p > n) + 0.5 * (p == n) for n in scores[~labels]]
        for p in scores[labels]
    ]  # fmt: skip
    return np.mean(wins, axis=1), np.mean(wins, axis=0)


def test_the_covariance_is_that_of_the_definition():
    rng = np.random.default_rng(3)
    labels = rng.random(70) < 0.3
    scores = np.round(rng.normal(size=(3, 70)) + labels, 1)

    areas, covariance = delong_covariance(scores, labels)

    v10, v01 = zip(*(components(row, labels) for row in scores), strict=True)
    assert covariance == pytest.approx(np.cov(v10) / labels.sum() + np.cov(v01) / (~labels).sum())
    assert areas == pytest.approx([roc_auc_score(labels, row) for row in scores])


@pytest.mark.parametrize("scores", [ALBUMIN, PROTEIN], ids=["albumin", "total protein"])
def test_two_of_delongs_curves_are_compared_by_their_components(scores):
    """The K-G score has many ties."""
    (v10, v01), (kg10, kg01) = components(scores, BETTER), components(KG, BETTER)
    error = np.sqrt(np.var(v10 - kg10, ddof=1) / len(v10) + np.var(v01 - kg01, ddof=1) / len(v01))

    found = compare(scores, KG, BETTER)

    assert found.difference == pytest.approx(v10.mean() - kg10.mean())
    assert found.z == pytest.approx(found.difference / error)
    assert found.p == pytest.approx(2 * norm.sf(abs(found.z)))
    assert (found.high - found.low) / 2 == pytest.approx(norm.ppf(0.975) * error)


def test_curves_that_rank_alike_do_not_differ():
    scores = np.arange(20.0)
    labels = np.array(list(itertools.islice(itertools.cycle([False, True, True]), 20)))

    found = compare(scores, scores**3, labels)

    assert (found.difference, found.z, found.p) == (0.0, 0.0, 1.0)


def test_too_few_cases_give_a_reason_and_no_area():
    found = delong([0.1, 0.2, 0.9], [False, False, True])

    assert found.value is None
    assert found.why == "1 positive and 2 negative cases"
    assert compare([0.1, 0.2, 0.9], [0.3, 0.2, 0.1], [False, False, True]) is None


def test_a_score_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="a score is not finite"):
        delong([0.1, math.inf, 0.2, 0.3], [True, True, False, False])
