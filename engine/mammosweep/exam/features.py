"""What the decision is made on: a lesion, and its place among the exam's others."""

# Shapes:  N lesions of an exam   F lesion features
from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from mammosweep.exam.character import CHARACTER_SCORES, word_scores
from mammosweep.exam.match import Match
from mammosweep.exam.pairs import MIN_DIAMETER_MM, PAIR_FEATURES, mean_diameter_mm, pair_features
from mammosweep.records import LESION_TYPES, Finding, LesionType, Position
from mammosweep.vocabulary import QUADRANTS

__all__ = ["LESION_FEATURES", "lesion_features", "lesion_rows", "lesion_type"]

AGREEMENT = (
    "depth_difference",
    "nipple_difference_mm",
    "size_log_ratio",
    "embedding_cosine",
    "character_overlap",
)
"""The pair features by which the two findings of a lesion are compared once more."""

CALCIFICATION: dict[str, Callable[[Iterable[float]], float]] = {
    "count": max,  # a view may hide some of them behind others
    "diameter_mean_mm": fmean,
    "diameter_std_mm": fmean,
    "elongation_mean": fmean,
    "contrast_mean": fmean,
    "nearest_distance_mean_mm": fmean,
    "cluster_area_mm2": fmean,
    "density_per_cm2": fmean,
}
"""The measurements of calcifications that count, by their names in `Finding.calcification`, and what is made
of two views' values: how many, how large and unlike, of what form, how bright, how close, over what extent
is what BI-RADS' morphology and distribution describe in words."""

# Flip votes are left out on purpose: they count the looks that were taken, so a model fitted with four
# flips would misjudge a sweep that runs with one.
LESION_FEATURES: tuple[str, ...] = (
    "score_max",  # of its findings' detector scores
    "score_min",
    "malignancy_max",  # of its findings' malignancies; NaN: none is known
    "malignancy_min",
    "match_probability",  # NaN: a single finding
    *(f"type_{kind.value}" for kind in LESION_TYPES),  # 1: it is of this type, else 0
    "size_mm",  # the larger of its findings' mean diameters
    "depth",  # mean of its findings'; 0 nipple, 1 pectoralis major; NaN: none is known
    "both_views",  # 1: seen in CC and MLO, else 0
    "num_in_breast",  # lesions in the same breast, itself included
    "contralateral_score",  # best detector score in the other breast; 0: nothing found there
    *AGREEMENT,  # of its two findings, see `pairs.py`; NaN: a single finding
    "nipple_mm",  # mean of its findings' distances from the nipple; NaN: none is known
    "height_mm",  # the larger extent along the chest wall of its findings' boxes
    "width_mm",  # likewise from the chest wall
    "elongation",  # the larger absolute natural logarithm of a box's height to its width
    # 1: that view's finding lies there, else 0; NaN: no finding in that view, or its quadrant is unknown
    *(f"quadrant_{view.value.lower()}_{word}" for view, words in QUADRANTS.items() for word in words),
    *CHARACTER_SCORES,  # the larger of its findings' probabilities of that word; NaN: none is known
    *(f"calcification.{name}" for name in CALCIFICATION),  # NaN: not measured
    "rank_in_breast",  # by score_max among the breast's lesions: 1 is the surest
    "num_contralateral",  # lesions in the other breast
    "contralateral_malignancy",  # largest finding's malignancy in the other breast; NaN: none is known
    "score_asymmetry",  # score_max less contralateral_score
    "malignancy_asymmetry",  # malignancy_max less contralateral_malignancy; NaN: one is unknown
    "mirror_score",  # best detector score of a like finding in the other breast, see `_mirror_score`
)
"""The columns of a lesion's row, in order. A fitted model's file carries the names of those that it uses: see
`booster.py`. Names never change their meaning: bundles fitted before a column was added stay readable."""

NAN = float("nan")

# What counts as the same place and size in the other breast. Two healthy breasts mirror each other only
# roughly: a tenth of the way from the nipple to the pectoralis, and half as large again.
MIRROR_DEPTH, MIRROR_SIZE = 0.1, 1.5


def lesion_rows(matches: Sequence[Match]) -> NDArray[np.float32]:
    """Describe every match of an exam among the others: (N, F)."""
    rows = [lesion_features(one, [*matches[:i], *matches[i + 1 :]]) for i, one in enumerate(matches)]
    return np.array(rows, dtype=np.float32).reshape(len(matches), len(LESION_FEATURES))


def lesion_features(match: Match, others: Sequence[Match]) -> NDArray[np.float32]:
    """Describe one match: (F,), columns as in `LESION_FEATURES`, NaN where a value is unknown.

    Args:
        match: the lesion to describe.
        others: the exam's other matches, of both breasts.
    """
    columns = {
        **_looks(match.findings),
        **_agreement(match),
        **_extent(match.findings),
        **_place(match),
        **_character(match.findings),
        **_company(match, others),
    }
    return np.array([columns[name] for name in LESION_FEATURES], dtype=np.float32)


def lesion_type(findings: Sequence[Finding]) -> LesionType:
    """The type that the surest finding has; of equally sure ones the first, which is CC's."""
    return max(findings, key=lambda f: f.score).type


def _looks(findings: Sequence[Finding]) -> dict[str, float]:
    scores = [f.score for f in findings]
    malignancies = _known(f.malignancy for f in findings)
    kind = lesion_type(findings)
    return {
        "score_max": max(scores),
        "score_min": min(scores),
        "malignancy_max": max(malignancies, default=NAN),
        "malignancy_min": min(malignancies, default=NAN),
        **{f"type_{other.value}": float(other is kind) for other in LESION_TYPES},
    }


def _agreement(match: Match) -> dict[str, float]:
    compared = dict.fromkeys(AGREEMENT, NAN)
    if match.cc and match.mlo:
        row = dict(zip(PAIR_FEATURES, pair_features(match.cc, match.mlo).tolist(), strict=True))
        compared = {name: row[name] for name in AGREEMENT}
    return {
        **compared,
        "match_probability": NAN if match.probability is None else match.probability,
        "both_views": float(len(match.findings) == 2),
    }


def _extent(findings: Sequence[Finding]) -> dict[str, float]:
    sides = [tuple(max(side, MIN_DIAMETER_MM) for side in f.size_mm) for f in findings]
    return {
        "size_mm": max(mean_diameter_mm(f) for f in findings),
        "height_mm": max(height for height, _ in sides),
        "width_mm": max(width for _, width in sides),
        "elongation": max(abs(math.log(height / width)) for height, width in sides),
    }


def _place(match: Match) -> dict[str, float]:
    seen = {Position.CC: match.cc, Position.MLO: match.mlo}
    quadrants = {view: finding and finding.quadrant for view, finding in seen.items()}
    return {
        "depth": _mean(f.depth for f in match.findings),
        "nipple_mm": _mean(f.nipple_mm for f in match.findings),
        **{
            f"quadrant_{view.value.lower()}_{word}": NAN if found is None else float(found == word)
            for view, found in quadrants.items()
            for word in QUADRANTS[view]
        },
    }


def _character(findings: Sequence[Finding]) -> dict[str, float]:
    words = [word_scores(f) for f in findings]
    measured = [f.calcification for f in findings]
    return {
        **{name: max((w[name] for w in words if name in w), default=NAN) for name in CHARACTER_SCORES},
        **{
            f"calcification.{name}": together([m[name] for m in measured if name in m] or [NAN])
            for name, together in CALCIFICATION.items()
        },
    }


def _company(match: Match, others: Sequence[Match]) -> dict[str, float]:
    """How it stands beside the lesions of its own breast, and of the other one."""
    own = [m for m in others if m.laterality is match.laterality]
    opposite = [f for m in others if m.laterality is not match.laterality for f in m.findings]
    score = max(f.score for f in match.findings)
    malignancy = max(_known(f.malignancy for f in match.findings), default=NAN)
    contralateral_score = max((f.score for f in opposite), default=0.0)
    contralateral_malignancy = max(_known(f.malignancy for f in opposite), default=NAN)
    return {
        "num_in_breast": float(1 + len(own)),
        "rank_in_breast": 1.0 + sum(max(f.score for f in m.findings) > score for m in own),
        "num_contralateral": float(len(others) - len(own)),
        "contralateral_score": contralateral_score,
        "contralateral_malignancy": contralateral_malignancy,
        "score_asymmetry": score - contralateral_score,
        "malignancy_asymmetry": malignancy - contralateral_malignancy,
        "mirror_score": _mirror_score(match.findings, opposite),
    }


def _mirror_score(findings: Sequence[Finding], opposite: Sequence[Finding]) -> float:
    """Best score of a finding of the other breast that lies as deep in the same view and is as large.

    0: there is none. NaN: no finding's depth is known. Tissue that both breasts show is rarely cancer.
    """
    if not _known(f.depth for f in findings):
        return NAN
    return max((other.score for f in findings for other in opposite if _mirrors(f, other)), default=0.0)


def _mirrors(finding: Finding, other: Finding) -> bool:
    if finding.position is not other.position or finding.depth is None or other.depth is None:
        return False
    larger, smaller = sorted((mean_diameter_mm(finding), mean_diameter_mm(other)), reverse=True)
    return abs(finding.depth - other.depth) <= MIRROR_DEPTH and larger <= MIRROR_SIZE * smaller


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _mean(values: Iterable[float | None]) -> float:
    return fmean(_known(values) or [NAN])
