from __future__ import annotations

import numpy as np
import pytest

from mammosweep.evaluate.estimate import Z_95
from mammosweep.evaluate.kappa import Weights, agreement_weights, contingency, kappa

# Cohen, Psychological Bulletin 70, 1968: 200 cases, and what each disagreement costs.
COHEN = np.array([[0.44, 0.07, 0.09], [0.05, 0.20, 0.05], [0.01, 0.03, 0.06]]) * 200
COHEN_COSTS = np.array([[0, 1, 3], [1, 0, 6], [3, 6, 0]])
# Fleiss, Cohen and Everitt, Psychological Bulletin 72, 1969.
FLEISS = np.array([[106, 10, 4], [22, 28, 10], [2, 12, 6]])
FLEISS_WEIGHTS = np.array([[1, 0, 0.4444], [0, 1, 0.6667], [0.4444, 0.6667, 1]])


@pytest.mark.parametrize(
    ("table", "weights", "printed"),
    [
        pytest.param(COHEN, np.eye(3), 0.492, id="cohen-1968-unweighted"),
        pytest.param(COHEN, 1 - COHEN_COSTS / 6, 0.348, id="cohen-1968-weighted"),
        pytest.param(FLEISS, np.eye(3), 0.429, id="fleiss-1969-unweighted"),
        pytest.param(FLEISS, FLEISS_WEIGHTS, 0.507, id="fleiss-1969-weighted"),
    ],
)
def test_published_tables_have_their_printed_kappa(table, weights, printed):
    assert kappa(table, weights).value == pytest.approx(printed, abs=5e-4)


@pytest.mark.parametrize(
    ("weights", "printed"),
    [
        pytest.param(np.eye(3), 0.002885, id="unweighted"),
        pytest.param(FLEISS_WEIGHTS, 0.003248, id="weighted"),
    ],
)
def test_the_variance_of_fleiss_cohen_and_everitts_table_is_the_printed_one(weights, printed):
    found = kappa(FLEISS, weights)

    assert ((found.high - found.value) / Z_95) ** 2 == pytest.approx(printed, abs=1e-6)
    assert found.num == 200


def test_quadratic_weights_forgive_a_near_miss_more_than_linear_ones():
    linear, quadratic = (agreement_weights(5, kind) for kind in (Weights.LINEAR, Weights.QUADRATIC))

    assert linear[0].tolist() == [1, 0.75, 0.5, 0.25, 0]
    assert quadratic[0].tolist() == [1, 0.9375, 0.75, 0.4375, 0]
    assert (agreement_weights(5, Weights.NONE) == np.eye(5)).all()


def test_two_categories_have_one_kappa_whatever_the_weights():
    table = [[20, 5], [10, 15]]

    found = [kappa(table, agreement_weights(2, kind)).value for kind in Weights]

    # po 0.70, pe 0.50
    assert found == pytest.approx([0.4] * 3)


def test_ratings_become_a_table_by_category():
    table = contingency(["2", "4", "4"], ["2", "4", "5"], ["2", "4", "5"])

    assert table.tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 0]]
    with pytest.raises(ValueError, match="'3' is not in"):
        contingency(["3"], ["2"], ["2"])


@pytest.mark.parametrize(
    ("table", "why"),
    [([[0, 0], [0, 0]], "nothing was rated by both"), ([[7, 0], [0, 0]], "both used one category only")],
    ids=["empty", "one category"],
)
def test_without_two_categories_there_is_a_reason_and_no_kappa(table, why):
    found = kappa(table, np.eye(2))

    assert (found.value, found.why) == (None, why)
