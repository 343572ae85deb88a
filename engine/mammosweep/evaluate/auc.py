"""Area under the receiver operating characteristic."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["auc"]


def auc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Probability that a positive scores above a negative, ties counting half.

    This is Mann and Whitney's U over the number of pairs (Hanley and McNeil, Radiology 143, 1982).

    Args:
        scores: (N,), larger is more suspicious.
        labels: (N,), true for positives.

    Returns:
        0..1; NaN where there is no positive or no negative.

    Raises:
        ValueError: the lengths differ, or a score is NaN.
    """
    values = np.asarray(scores, dtype=np.float64)
    positive = np.asarray(labels, dtype=bool)
    if values.ndim != 1 or values.shape != positive.shape:
        raise ValueError(
            f"scores {values.shape} and labels {positive.shape}; expected two lists of one length"
        )
    if np.isnan(values).any():
        raise ValueError("a score is NaN; leave cases without a score out, and say how many")
    negatives = np.sort(values[~positive])
    pairs = positive.sum() * len(negatives)
    if pairs == 0:
        return float("nan")
    below = np.searchsorted(negatives, values[positive], side="left")
    not_above = np.searchsorted(negatives, values[positive], side="right")
    return float((below + not_above).sum() / (2 * pairs))
