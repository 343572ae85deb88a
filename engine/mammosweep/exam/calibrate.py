"""Probabilities that mean what they say: Platt's correction of a model's own."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mammosweep.errors import BundleError

__all__ = ["Calibration", "logits"]

# XGBoost's probabilities are float32: what it rounds to 0 or 1 has no logit of its own.
LEAST = 1e-7


def logits(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-odds of probabilities, of 0 and 1 finite too."""
    inside = np.clip(probabilities, LEAST, 1.0 - LEAST)
    odds: NDArray[np.float64] = np.log(inside) - np.log1p(-inside)
    return odds


@dataclass(frozen=True, slots=True)
class Calibration:
    """A line on the log-odds: sigmoid(slope * logit(p) + intercept); (1, 0) leaves probabilities alone.

    Platt 1999, "Probabilistic outputs for support vector machines", as it is applied to trees by
    Niculescu-Mizil and Caruana 2005. It never changes an order.
    """

    slope: float = 1.0
    intercept: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.slope) and math.isfinite(self.intercept) and self.slope > 0.0):
            raise BundleError(
                f"decision calibration is ({self.slope}, {self.intercept}); expected a slope above 0 and an "
                "intercept, both finite; correct the bundle"
            )

    def __call__(self, probabilities: NDArray[np.float64], /) -> NDArray[np.float64]:
        """Correct (N,) probabilities."""
        if (self.slope, self.intercept) == (1.0, 0.0):
            return probabilities
        corrected: NDArray[np.float64] = 1.0 / (
            1.0 + np.exp(-(self.slope * logits(probabilities) + self.intercept))
        )
        return corrected
