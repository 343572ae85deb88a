from __future__ import annotations

import math

import numpy as np
import pytest

from mammosweep.errors import BundleError
from mammosweep.exam.calibrate import Calibration, logits


def test_the_line_is_drawn_on_the_log_odds():
    even, likely = Calibration(2.0, math.log(3.0))(np.array([0.5, 0.75]))

    assert even == pytest.approx(3 / 4)
    assert likely == pytest.approx(27 / 28)  # odds 3 squared, times 3


def test_the_identity_changes_no_bit():
    probabilities = np.random.default_rng(0).random(100)

    assert Calibration()(probabilities).tolist() == probabilities.tolist()


def test_the_order_is_kept_to_the_ends():
    probabilities = np.array([0.0, 1e-6, 0.5, 1 - 1e-6, 1.0])

    corrected = Calibration(0.5, -1.0)(probabilities)

    assert np.diff(corrected).min() > 0
    assert np.isfinite(logits(probabilities)).all()


@pytest.mark.parametrize("line", [(0.0, 0.0), (-1.0, 0.0), (math.nan, 0.0), (1.0, math.inf)], ids=str)
def test_a_line_that_turns_the_order_round_or_has_no_end_is_refused(line):
    with pytest.raises(BundleError, match="expected a slope above 0"):
        Calibration(*line)
