from __future__ import annotations

import numpy as np
import pytest

from mammosweep.evaluate.roc import Cases, roc, youden

# Hanley and McNeil, Radiology 143, 1982, table I: one reader's ratings of 109 computed tomograms, from
# definitely normal to definitely abnormal. They print an area of 0.893 with a standard error of 0.032.
NORMAL, ABNORMAL = (33, 6, 6, 11, 2), (3, 2, 2, 11, 33)
RATINGS = np.concatenate([np.repeat(np.arange(1, 6), NORMAL), np.repeat(np.arange(1, 6), ABNORMAL)])
LABELS = np.repeat([False, True], [58, 51])


def cases(scores, labels, groups=None):
    names = tuple(str(i) for i in range(len(scores)))
    return Cases(
        name="exams",
        keys=names,
        exams=names,
        groups=tuple(groups or names),
        scores=tuple(float(score) for score in scores),
        labels=tuple(bool(label) for label in labels),
    )


def test_hanley_and_mcneils_tomograms_have_their_printed_area():
    found = roc(cases(RATINGS, LABELS), 100)

    assert found.area.value == pytest.approx(0.893, abs=5e-4)
    assert (found.area.high - found.area.low) / 2 / 1.96 == pytest.approx(0.032, abs=2e-3)


def test_youdens_cut_off_of_the_tomograms_is_as_counted_by_hand():
    """J: from 2 on 0.510, from 3 on 0.574, from 4 on 44/51 + 45/58 - 1 = 0.639, from 5 on 0.613."""
    found = youden(RATINGS, LABELS)

    assert found.score == 4
    assert found.index == pytest.approx(44 / 51 + 45 / 58 - 1)
    assert (found.sensitivity.num_positive, found.sensitivity.num) == (44, 51)
    assert (found.specificity.num_positive, found.specificity.num) == (45, 58)


@pytest.mark.parametrize("healthy", [1, 7], ids=["as many", "seven times as many"])
def test_youdens_index_does_not_hang_on_how_many_are_healthy(healthy):
    """Youden, Cancer 3, 1950: J is independent of the relative sizes of the two groups."""
    scores = np.concatenate([[3, 3, 3, 1], np.tile([1, 1, 3, 2], healthy)])
    labels = np.arange(len(scores)) < 4

    assert youden(scores, labels).index == pytest.approx(3 / 4 + 3 / 4 - 1)


def test_of_equally_good_cut_offs_the_one_that_misses_least_is_taken():
    found = youden([0.9, 0.5, 0.7, 0.1], [True, True, False, False])

    # From 0.9 on and from 0.5 on J is 0.5.
    assert (found.score, found.sensitivity.value, found.specificity.value) == (0.5, 1.0, 0.5)


def test_the_curve_passes_through_its_points_and_lies_in_its_band():
    found = roc(cases(RATINGS, LABELS), 500)

    points = {point.false_positive_rate: point for point in found.points}
    assert points[0.0].sensitivity == 0.0
    assert points[1.0].sensitivity == 1.0
    # Between the points of ratings 5 (2/58, 33/51) and 4 (13/58, 44/51).
    assert points[0.1].sensitivity == pytest.approx(33 / 51 + 11 / 51 * (0.1 - 2 / 58) / (11 / 58))
    assert all(point.low <= point.sensitivity <= point.high for point in found.points)


def test_the_cut_offs_interval_holds_it_and_narrows_with_the_cases():
    rng = np.random.default_rng(0)

    def width(num):
        labels = rng.random(num) < 0.5
        found = roc(cases(rng.normal(size=num) + 2 * labels, labels), 300).cut_off
        assert found.low <= found.score <= found.high
        return found.high - found.low

    assert width(2000) < width(60)


def test_one_class_has_no_curve_but_counts():
    found = roc(cases([0.2, 0.4], [False, False]), 50)

    assert (found.cut_off, found.points, found.area.value) == (None, (), None)
    assert found.area.why == "0 positive and 2 negative cases"
    with pytest.raises(ValueError, match="expected both classes"):
        youden([0.1, 0.2], [True, True])


def test_patients_with_many_cases_widen_the_band():
    labels = np.tile([True, False], 40)
    scores = np.repeat(np.random.default_rng(1).normal(size=20), 4) + labels
    by_case = roc(cases(scores, labels), 400)
    by_patient = roc(cases(scores, labels, [str(i // 4) for i in range(80)]), 400)

    def spread(found):
        return sum(point.high - point.low for point in found.points)

    assert spread(by_patient) > spread(by_case)
