"""The seam: a model that turns rows of features into probabilities."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = ["ExplainedModel", "ProbabilityModel"]


class ProbabilityModel(Protocol):
    """Gives each row of features its probability, whatever other rows come with it."""

    def __call__(self, rows: NDArray[np.float32], /) -> NDArray[np.float64]:
        """Turn (N, F) rows, NaN where a value is unknown, into (N,) probabilities."""
        ...


@runtime_checkable
class ExplainedModel(Protocol):
    """A model that can also say what its probabilities rest on."""

    def contributions(self, rows: NDArray[np.float32], /) -> list[dict[str, float]]:
        """For each of N rows its log-odds by feature, and "bias": their sum is the probability's logit."""
        ...
