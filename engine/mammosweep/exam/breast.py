"""What a breast's score is learned from: its lesions, most malignant first."""

# Shapes:  F breast features
from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from mammosweep.records import Lesion, Position

__all__ = ["BREAST_FEATURES", "RISING", "breast_features", "view_score"]

NUM_RANKED = 3  # lesions that have columns of their own; a reader rarely weighs more

BREAST_FEATURES: tuple[str, ...] = (
    *(f"malignancy_{rank}" for rank in range(1, NUM_RANKED + 1)),  # 0: there is no such lesion
    *(f"paired_{rank}" for rank in range(1, NUM_RANKED + 1)),  # 1: seen in both views; NaN: no such lesion
    "view_cc",  # most malignant lesion seen in that view, 0: none; NaN: the view was not read
    "view_mlo",
    "num_lesions",
    "num_paired",
    "num_views",  # of the breast that were read
)
"""The columns of a breast's row, in order. A fitted model's file carries the names of those that it uses."""

RISING: tuple[str, ...] = (*BREAST_FEATURES[:NUM_RANKED], "view_cc", "view_mlo")
"""What may only raise a breast's score: no lesion becomes a reason for calm by looking worse."""

NAN = float("nan")


def breast_features(lesions: Sequence[Lesion], positions: Collection[Position]) -> NDArray[np.float32]:
    """Describe one breast: (F,), columns as in `BREAST_FEATURES`.

    Args:
        lesions: the breast's, in any order.
        positions: the views of it that were read.
    """
    ranked = sorted(lesions, key=lambda lesion: (-lesion.malignancy, -len(lesion.findings)))[:NUM_RANKED]
    blank = NUM_RANKED - len(ranked)
    views = [view_score(lesions, view) if view in positions else NAN for view in Position]
    paired = [lesion for lesion in lesions if len(lesion.findings) == 2]
    row = [
        *([lesion.malignancy for lesion in ranked] + [0.0] * blank),
        *([float(len(lesion.findings) == 2) for lesion in ranked] + [NAN] * blank),
        *views,
        *(len(lesions), len(paired), len(set(positions))),
    ]
    return np.array(row, dtype=np.float32)


def view_score(lesions: Sequence[Lesion], position: Position) -> float:
    """The malignancy of the most malignant lesion that is seen in a view; 0: none is."""
    seen = [lesion for lesion in lesions if any(f.position is position for f in lesion.findings)]
    return max((lesion.malignancy for lesion in seen), default=0.0)
