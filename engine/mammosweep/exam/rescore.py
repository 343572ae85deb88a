"""False-positive reduction: how sure a finding is once everything else in its exam has been seen.

The detector looks at one view (or four, fused) and at whole regions; what a finding looks like close by, what
else its view holds, and whether the breast's other view shows its like are known only later. Trees learn from
these whether a finding is a lesion at all, and its score moves by what they say.
"""

# Shapes:  N findings   C findings of a CC view   M of the MLO view   F finding features
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mammosweep.exam.character import CHARACTER_SCORES, word_scores
from mammosweep.exam.match import Match
from mammosweep.exam.model import ProbabilityModel
from mammosweep.exam.pairs import PAIR_FEATURES, pair_matrix
from mammosweep.records import LESION_TYPES, Finding, Laterality, Position

__all__ = ["FINDING_FEATURES", "Rescoring", "finding_rows"]

FINDING_FEATURES: tuple[str, ...] = (
    "score",  # the detector's
    "malignancy",  # NaN: unknown
    "second_look",  # the character network's probability that there is a lesion; NaN: it was not asked
    *CHARACTER_SCORES,  # probabilities of words; NaN: unknown
    *(f"type_{kind.value}" for kind in LESION_TYPES),  # 1: it is of this type, else 0
    "height_mm",
    "width_mm",
    "depth",  # 0 nipple, 1 pectoralis major; NaN: unknown
    "nipple_mm",  # NaN: unknown
    "is_cc",  # 1: in a CC view, 0: in an MLO view
    "rank_in_view",  # by score: 1 is the surest
    "num_in_view",
    "surest_other",  # best score of the view's other findings; 0: there is none
    "other_malignancy",  # largest malignancy of the view's other findings; NaN: none is known
    "partner_probability",  # of the other view's likeliest partner; NaN: that view shows nothing
    "partner_probabilities",  # summed over all partners: how many candidates there are
    "partner_score",  # the likeliest partner's detector score
    "partner_malignancy",  # and its malignancy; NaN: unknown
)
"""The columns of a finding's row, in order. A fitted model's file carries the names of those that it uses.
Names never change their meaning: bundles fitted before a column was added stay readable."""

NAN = float("nan")
LEAST = 1e-6  # keeps log-odds finite


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescoring:
    """What moves findings' scores."""

    model: ProbabilityModel  # rows of FINDING_FEATURES to the probability of being a lesion
    weight: float  # of its log-odds beside the detector's

    def __call__(self, matches: Sequence[Match], matcher: ProbabilityModel | None) -> list[Match]:
        """The matches, each finding with its new score; the detector's is kept beside it.

        Args:
            matches: of one exam.
            matcher: see `match`.
        """
        findings = [finding for one in matches for finding in one.findings]
        if not findings:
            return list(matches)
        probabilities = self.model(finding_rows(findings, matcher)).tolist()
        moved = {
            id(f): replace(f, score=self._moved(f.score, p), detector_score=f.score)
            for f, p in zip(findings, probabilities, strict=True)
        }
        return [
            replace(one, cc=one.cc and moved[id(one.cc)], mlo=one.mlo and moved[id(one.mlo)])
            for one in matches
        ]

    def _moved(self, score: float, probability: float) -> float:
        return 1.0 / (1.0 + math.exp(-(_log_odds(score) + self.weight * _log_odds(probability))))


def finding_rows(findings: Sequence[Finding], matcher: ProbabilityModel | None) -> NDArray[np.float32]:
    """Describe an exam's findings among each other: (N, F), NaN where a value is unknown."""
    partners = _partners(findings, matcher)
    rows = [_row(finding, findings, partners.get(id(finding), {})) for finding in findings]
    return np.array(rows, dtype=np.float32).reshape(len(findings), len(FINDING_FEATURES))


def _row(finding: Finding, findings: Sequence[Finding], partner: dict[str, float]) -> list[float]:
    others = [f for f in findings if f.sop_instance_uid == finding.sop_instance_uid and f is not finding]
    words = word_scores(finding)
    columns = {
        "score": finding.score,
        "malignancy": _or_nan(finding.malignancy),
        "second_look": _or_nan(finding.second_look),
        **{name: words.get(name, NAN) for name in CHARACTER_SCORES},
        **{f"type_{kind.value}": float(finding.type is kind) for kind in LESION_TYPES},
        "height_mm": finding.size_mm[0],
        "width_mm": finding.size_mm[1],
        "depth": _or_nan(finding.depth),
        "nipple_mm": _or_nan(finding.nipple_mm),
        "is_cc": float(finding.position is Position.CC),
        "rank_in_view": 1.0 + sum(other.score > finding.score for other in others),
        "num_in_view": 1.0 + len(others),
        "surest_other": max((other.score for other in others), default=0.0),
        "other_malignancy": max((f.malignancy for f in others if f.malignancy is not None), default=NAN),
        **partner,
    }
    return [columns.get(name, NAN) for name in FINDING_FEATURES]


def _partners(findings: Sequence[Finding], matcher: ProbabilityModel | None) -> dict[int, dict[str, float]]:
    """What the other view of its breast holds for each finding that has one, by the finding's identity."""
    found: dict[int, dict[str, float]] = {}
    for side in Laterality if matcher else ():
        ccs = [f for f in findings if f.laterality is side and f.position is Position.CC]
        mlos = [f for f in findings if f.laterality is side and f.position is Position.MLO]
        if not ccs or not mlos or matcher is None:
            continue
        rows = pair_matrix(ccs, mlos).reshape(-1, len(PAIR_FEATURES))
        probabilities_CM = matcher(rows).reshape(len(ccs), len(mlos))
        found |= {id(f): _partner(p, mlos) for f, p in zip(ccs, probabilities_CM, strict=True)}
        found |= {id(f): _partner(p, ccs) for f, p in zip(mlos, probabilities_CM.T, strict=True)}
    return found


def _partner(probabilities: NDArray[np.float64], others: Sequence[Finding]) -> dict[str, float]:
    likeliest = others[int(probabilities.argmax())]
    return {
        "partner_probability": float(probabilities.max()),
        "partner_probabilities": float(probabilities.sum()),
        "partner_score": likeliest.score,
        "partner_malignancy": _or_nan(likeliest.malignancy),
    }


def _or_nan(value: float | None) -> float:
    return NAN if value is None else value


def _log_odds(probability: float) -> float:
    inside = min(max(probability, LEAST), 1.0 - LEAST)
    return math.log(inside / (1.0 - inside))
