"""Folds that keep a patient's rows together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["group_folds"]


def group_folds(
    groups: Sequence[str], labels: NDArray[np.bool_], num_folds: int, seed: int
) -> Iterator[NDArray[np.bool_]]:
    """For each fold, which of N rows it holds out; fewer folds where there are fewer groups.

    Groups are shuffled and dealt out in turn, those with a positive row first, so that folds are alike.
    """
    names = np.asarray(groups)
    unique = np.unique(names)
    order = np.random.default_rng(seed).permutation(len(unique))
    with_positive = np.isin(unique, names[labels])[order]
    dealt = unique[order[np.argsort(~with_positive, kind="stable")]]
    for fold in range(min(num_folds, len(unique))):
        yield np.isin(names, dealt[fold::num_folds])
