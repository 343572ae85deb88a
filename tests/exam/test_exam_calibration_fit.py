from __future__ import annotations

import numpy as np
import pytest

from mammosweep.exam.calibrate import Calibration
from mammosweep.exam.score import BI_RADS_THRESHOLDS
from mammosweep.fit.exam_calibration import fit_calibration, fit_category_thresholds


@pytest.fixture(scope="module")
def drawn():
    """Twenty thousand true probabilities, and what came of them."""
    rng = np.random.default_rng(1)
    probabilities = rng.beta(0.4, 1.2, size=20000).clip(1e-4, 1 - 1e-4)
    return probabilities, (rng.random(20000) < probabilities).astype(np.float32)


@pytest.mark.parametrize("line", [(2.0, 0.0), (0.5, 1.0), (1.0, -2.0)], ids=str)
def test_what_was_distorted_is_set_right(line, drawn):
    probabilities, labels = drawn
    slope, intercept = line

    fitted = fit_calibration(Calibration(slope, intercept)(probabilities), labels)

    assert fitted.slope == pytest.approx(1 / slope, rel=0.05)
    assert fitted.intercept == pytest.approx(-intercept / slope, abs=0.1)


def test_a_calibrated_model_is_left_alone(drawn):
    fitted = fit_calibration(*drawn)

    assert (fitted.slope, fitted.intercept) == pytest.approx((1.0, 0.0), abs=0.06)


def test_platts_targets_keep_a_perfect_order_from_certainty():
    probabilities = np.array([0.1, 0.2, 0.3, 0.7, 0.8, 0.9])

    fitted = fit_calibration(probabilities, (probabilities > 0.5).astype(np.float32))

    # Targets are 1/5 and 4/5, so no lesion gets beyond what six lesions can tell.
    assert 0.1 < fitted(probabilities).min() < 0.25
    assert 0.75 < fitted(probabilities).max() < 0.9


def test_a_model_that_is_worse_than_chance_keeps_its_order_and_the_rate():
    rng = np.random.default_rng(0)
    labels = (rng.random(500) < 0.3).astype(np.float32)
    probabilities = np.where(labels > 0, 0.2, 0.8) * rng.uniform(0.9, 1.1, 500)

    fitted = fit_calibration(probabilities, labels)

    assert fitted.slope > 0
    assert fitted(probabilities).mean() == pytest.approx(labels.mean(), abs=0.02)


@pytest.mark.parametrize("labels", [[], [1, 1], [0, 0]], ids=["none", "all malignant", "none malignant"])
def test_without_both_kinds_nothing_is_corrected(labels):
    assert fit_calibration(np.full(len(labels), 0.7), np.float32(labels)) == Calibration()


def test_calibrated_malignancies_keep_the_published_bounds(drawn):
    fitted = fit_category_thresholds(*drawn)

    assert fitted.lower_bounds[2:4] == pytest.approx(BI_RADS_THRESHOLDS.lower_bounds[2:4], abs=0.05)


def test_bounds_lie_where_the_observed_rate_reaches_the_published_likelihood(drawn):
    probabilities, labels = drawn

    fitted = fit_category_thresholds(np.sqrt(probabilities), labels)

    assert fitted.lower_bounds[2:4] == pytest.approx(np.sqrt(BI_RADS_THRESHOLDS.lower_bounds[2:4]), abs=0.05)


def test_what_few_lesions_cannot_tell_stays_as_published():
    rng = np.random.default_rng(2)
    malignancies = rng.random(60)
    labels = (rng.random(60) < malignancies**2).astype(np.float32)

    fitted = fit_category_thresholds(malignancies, labels)

    # To tell 2 % takes 150 lesions below the bound, 0.5 % 600, and 95 % 60 above it.
    assert fitted.lower_bounds[:2] == BI_RADS_THRESHOLDS.lower_bounds[:2]
    assert fitted.lower_bounds[4] == BI_RADS_THRESHOLDS.lower_bounds[4]
    assert fitted.lower_bounds[3] == pytest.approx(0.5**0.5, abs=0.15)


def test_bounds_that_would_not_rise_are_the_published_ones():
    malignancies = np.linspace(0.01, 0.99, 4000)
    in_perfect_order = (malignancies > 0.5).astype(np.float32)  # every rate is reached at once

    assert fit_category_thresholds(malignancies, in_perfect_order) == BI_RADS_THRESHOLDS
