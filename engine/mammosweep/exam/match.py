"""Focus matching: which CC and MLO findings of a breast are one lesion."""

# Shapes:  C findings of the CC view   M findings of the MLO view   F pair features
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mammosweep.exam.model import ProbabilityModel
from mammosweep.exam.pairs import PAIR_FEATURES, pair_matrix
from mammosweep.records import Finding, Laterality, Position

__all__ = ["Match", "match", "resolve"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A CC and an MLO finding taken for one lesion, or a finding that stays single."""

    cc: Finding | None = None
    mlo: Finding | None = None
    probability: float | None = None  # that both are one lesion; None for a single finding

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings it consists of, CC first."""
        return tuple(f for f in (self.cc, self.mlo) if f is not None)

    @property
    def laterality(self) -> Laterality:
        """The breast it lies in."""
        return self.findings[0].laterality


def match(findings: Sequence[Finding], matcher: ProbabilityModel | None, threshold: float) -> list[Match]:
    """Pair the findings of each breast; every finding is in exactly one match.

    Args:
        findings: an exam's, in the order that decides between equal probabilities.
        matcher: gives rows of `PAIR_FEATURES` the probability that the pair is one lesion; None: nothing is
            known of pairs, and every finding stays single.
        threshold: pairs less probable than this stay single.

    Returns:
        Breast by breast, left first: the pairs by falling probability, then single CC, then single MLO.
    """
    matches: list[Match] = []
    for side in Laterality:
        breast = [f for f in findings if f.laterality is side]
        matches += _match_breast(breast, matcher, threshold)
    return matches


def resolve(probabilities: NDArray[np.float64], threshold: float) -> list[tuple[int, int]]:
    """Choose pairs greedily: the most probable first, none of its row or column after it.

    Args:
        probabilities: (C, M); of equal ones the smaller row, then the smaller column, goes first.
        threshold: pairs below it are not chosen.

    Returns:
        The chosen (row, column) in the order in which they were chosen.
    """
    order = np.argsort(-probabilities, axis=None, kind="stable")
    free = np.ones_like(probabilities, dtype=bool)
    chosen: list[tuple[int, int]] = []
    for flat in order[probabilities.ravel()[order] >= threshold]:
        row, column = divmod(int(flat), probabilities.shape[1])
        if free[row, column]:
            chosen.append((row, column))
            free[row, :] = free[:, column] = False
    return chosen


def _match_breast(
    breast: Sequence[Finding], matcher: ProbabilityModel | None, threshold: float
) -> list[Match]:
    ccs = [f for f in breast if f.position is Position.CC]
    mlos = [f for f in breast if f.position is Position.MLO]
    probabilities = _probabilities(ccs, mlos, matcher) if matcher else np.zeros((len(ccs), len(mlos)))
    chosen = resolve(probabilities, threshold) if matcher else []
    rows, columns = {row for row, _ in chosen}, {column for _, column in chosen}
    return [
        *(Match(cc=ccs[i], mlo=mlos[j], probability=float(probabilities[i, j])) for i, j in chosen),
        *(Match(cc=cc) for i, cc in enumerate(ccs) if i not in rows),
        *(Match(mlo=mlo) for j, mlo in enumerate(mlos) if j not in columns),
    ]


def _probabilities(
    ccs: Sequence[Finding], mlos: Sequence[Finding], matcher: ProbabilityModel
) -> NDArray[np.float64]:
    rows = pair_matrix(ccs, mlos).reshape(len(ccs) * len(mlos), len(PAIR_FEATURES))
    return matcher(rows).reshape(len(ccs), len(mlos))
