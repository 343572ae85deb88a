from __future__ import annotations

import numpy as np
import pytest

from mammosweep.evaluate.bootstrap import mean_by_group
from mammosweep.evaluate.calibration import brier, calibration, reliability
from mammosweep.evaluate.estimate import wilson
from mammosweep.evaluate.roc import Cases


@pytest.mark.parametrize(
    ("successes", "trials", "printed"),
    [
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0000, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ],
)
def test_wilsons_interval_is_the_one_that_newcombe_prints(successes, trials, printed):
    """Newcombe, Statistics in Medicine 17, 1998, table I, method 3."""
    found = wilson(successes, trials)

    assert (found.low, found.high) == pytest.approx(printed, abs=5e-5)
    assert found.value == successes / trials


def test_no_trial_gives_a_reason_and_more_successes_than_trials_are_refused():
    assert wilson(0, 0).why == "no case"
    with pytest.raises(ValueError, match="3 successes of 2"):
        wilson(3, 2)


def test_the_interval_of_a_mean_is_drawn_by_patient():
    """Ten patients whose four images say the same are ten cases, not forty."""
    values = np.repeat([0.0, 1.0] * 5, 4)
    patients = [str(i // 4) for i in range(40)]

    by_patient = mean_by_group(values, patients, 2000, 0)
    by_image = mean_by_group(values, [str(i) for i in range(40)], 2000, 0)

    assert by_patient.value == by_image.value == 0.5
    # Binomial: 1.96 sqrt(0.25 / 10) = 0.31 and 1.96 sqrt(0.25 / 40) = 0.155 to each side.
    assert (by_patient.high - by_patient.low) / 2 == pytest.approx(0.31, abs=0.06)
    assert (by_image.high - by_image.low) / 2 == pytest.approx(0.155, abs=0.03)


def test_briers_score_is_as_counted_by_hand():
    # (0.3^2 + 0.1^2 + 0.6^2 + 0) / 4
    assert brier([0.7, 0.1, 0.6, 1.0], [1, 0, 0, 1]) == pytest.approx(0.115)


def test_reliability_counts_by_tenth_and_one_belongs_to_the_last():
    bins = reliability([0.05, 0.06, 0.95, 1.0, 0.1], [0, 1, 1, 1, 0])

    assert [(b.from_, b.to, b.share_positive.num, b.share_positive.value) for b in bins] == [
        (0.0, 0.1, 2, 0.5),
        (0.1, 0.2, 1, 0.0),
        (0.9, 1.0, 2, 1.0),
    ]
    assert [b.mean_probability for b in bins] == pytest.approx([0.055, 0.1, 0.975])


def test_a_probability_beyond_one_is_refused():
    with pytest.raises(ValueError, match=r"expected 0\.\.1"):
        reliability([0.5, 1.2], [0, 1])


def test_a_calibration_is_compared_with_always_saying_the_prevalence():
    keys = tuple("abcd")
    cases = Cases(
        name="exams",
        keys=keys,
        exams=keys,
        groups=keys,
        scores=(0.9, 0.2, 0.2, 0.2),
        labels=(True,) + (False,) * 3,
    )

    found = calibration(cases, 200)

    assert found.brier.value == pytest.approx((0.1**2 + 3 * 0.2**2) / 4)
    assert found.brier_of_prevalence == pytest.approx(0.25 * 0.75)
    assert found.expected_error == pytest.approx((0.1 + 3 * 0.2) / 4)
    assert found.brier.low <= found.brier.value <= found.brier.high
