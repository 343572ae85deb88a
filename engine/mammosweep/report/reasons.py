"""Why a lesion is judged as it is, in words: the decision model's contributions, put together by topic."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from mammosweep.records import LESION_TYPES, Finding, Lesion
from mammosweep.report.words import type_words

__all__ = ["LEAST_LOG_ODDS", "WORDS_OF_FEATURES", "LesionReason", "lesion_reasons", "reasons_text", "topic"]

LEAST_LOG_ODDS = 0.1
"""What changes the odds by less than a tenth is no reason."""

MOST_REASONS = 4

MINUS = "\u2212"

BIAS = "bias"  # what the model says of no lesion in particular

# From when on two views are said to agree: a tenth of the way from nipple to pectoralis, half as large again.
SAME_DEPTH, SAME_SIZE = 0.1, 1.5

ELONGATED = 1.5  # height to width, or the other way round


@dataclass(frozen=True, slots=True)
class LesionReason:
    """One topic and how much it raised (above 0) or lowered the log-odds of malignancy."""

    words: str
    log_odds: float

    @property
    def sign(self) -> str:
        """Plus: it raised them."""
        return "+" if self.log_odds > 0 else MINUS

    def __str__(self) -> str:
        return f"{self.words} {self.sign}"


def lesion_reasons(lesion: Lesion, most: int = MOST_REASONS) -> tuple[LesionReason, ...]:
    """What its malignancy rests on, weightiest first; nothing where the bundle has no decision model.

    Features that are said in the same words are added up: contributions are additive (see
    `exam.booster.Booster.contributions`).
    """
    sums: dict[str, float] = defaultdict(float)
    for feature, log_odds in lesion.contributions.items():
        if feature != BIAS:
            sums[_words(feature, lesion)] += log_odds
    reasons = [LesionReason(words, log_odds) for words, log_odds in sums.items()]
    weighty = [reason for reason in reasons if abs(reason.log_odds) >= LEAST_LOG_ODDS]
    return tuple(sorted(weighty, key=lambda reason: (-abs(reason.log_odds), reason.words))[:most])


def reasons_text(lesion: Lesion) -> str:
    """Its reasons in one line: "spiculated margin +, seen in both views +"."""
    return ", ".join(map(str, lesion_reasons(lesion)))


def _words(feature: str, lesion: Lesion) -> str:
    say = WORDS_OF_FEATURES.get(topic(feature))
    return say(lesion) if say else feature.replace("_", " ").replace(".", " ")


def _views(lesion: Lesion) -> str:
    if lesion.cc and lesion.mlo:
        return "seen in both views"
    return f"seen in {lesion.findings[0].position} only"


def _detection(lesion: Lesion) -> str:
    return f"detection {max(f.score for f in lesion.findings):.2f}"


def _look(lesion: Lesion) -> str:
    known = [f.malignancy for f in lesion.findings if f.malignancy is not None]
    if not known:
        return "look not judged"
    # The number and no word for it: 0.3 counts for malignancy where most findings have 0.1.
    return f"malignant look {max(known):.2f}"


def _kind(lesion: Lesion) -> str:
    return f"type {type_words(lesion.type)}"


def _size(lesion: Lesion) -> str:
    return f"{max(map(_diameter_mm, lesion.findings)):.0f} mm across"


def _outline(lesion: Lesion) -> str:
    sides = [sorted(f.size_mm) for f in lesion.findings]
    return "elongated" if any(long >= ELONGATED * short for short, long in sides) else "not elongated"


def _depth(lesion: Lesion) -> str:
    known = [f.depth for f in lesion.findings if f.depth is not None]
    if not known:
        return "depth unknown"
    place = min(2, math.floor(3 * max(sum(known) / len(known), 0.0)))
    return ("near the nipple", "at middle depth", "near the chest wall")[place]


def _quadrant(lesion: Lesion) -> str:
    said = [f.quadrant for f in (lesion.mlo, lesion.cc) if f and f.quadrant]
    if not said:
        return "quadrant unknown"
    if "areola" in said:
        return "behind the areola"
    sides = [word.replace("_", " ") for word in said if word != "middle"] or ["middle"]
    return f"in the {' '.join(sides)} {'quadrant' if len(sides) == 2 else 'part'}"


def _depth_agreement(lesion: Lesion) -> str:
    depths = [f.depth for f in lesion.findings if f.depth is not None]
    if len(depths) < 2:
        return _views(lesion)
    return "depth agreement" if abs(depths[0] - depths[1]) <= SAME_DEPTH else "depth disagreement"


def _size_agreement(lesion: Lesion) -> str:
    if not (lesion.cc and lesion.mlo):
        return _views(lesion)
    smaller, larger = sorted((_diameter_mm(lesion.cc), _diameter_mm(lesion.mlo)))
    return "size agreement" if larger <= SAME_SIZE * smaller else "size disagreement"


def _likeness(lesion: Lesion) -> str:
    return "likeness of both views" if lesion.cc and lesion.mlo else _views(lesion)


def _character(attribute: str, noun: str) -> Callable[[Lesion], str]:
    """The word that the surest finding has; that a lesion has none says no more than what type it is."""

    def say(lesion: Lesion) -> str:
        having = [f for f in lesion.findings if attribute in f.character]
        if not having:
            return _kind(lesion)
        word = max(having, key=lambda f: f.score).character[attribute]
        return f"{word.replace('_', ' ')} {noun}"

    return say


def _calcifications(words: str) -> Callable[[Lesion], str]:
    """That a lesion was not measured says no more than what type it is."""
    return lambda lesion: words if any(f.calcification for f in lesion.findings) else _kind(lesion)


def _always(words: str) -> Callable[[Lesion], str]:
    return lambda lesion: words


def _diameter_mm(finding: Finding) -> float:
    return sum(finding.size_mm) / 2.0


Say = Callable[[Lesion], str]

WORDS_OF_FEATURES: dict[str, Say] = {
    **dict.fromkeys(("score_max", "score_min"), _detection),
    **dict.fromkeys(("malignancy_max", "malignancy_min"), _look),
    **dict.fromkeys(("both_views", "match_probability"), _views),
    **dict.fromkeys((f"type_{kind}" for kind in LESION_TYPES), _kind),
    **dict.fromkeys(("size_mm", "height_mm", "width_mm"), _size),
    "elongation": _outline,
    **dict.fromkeys(("depth", "nipple_mm"), _depth),
    "quadrant": _quadrant,
    **dict.fromkeys(("depth_difference", "nipple_difference_mm"), _depth_agreement),
    "size_log_ratio": _size_agreement,
    **dict.fromkeys(("embedding_cosine", "character_overlap"), _likeness),
    "shape": _character("shape", "shape"),
    "margin": _character("margin", "margin"),
    "morphology": _character("morphology", "calcifications"),
    "distribution": _character("distribution", "distribution"),
    "calcification.count": _calcifications("number of calcifications"),
    "calcification.diameter_mean_mm": _calcifications("size of the calcifications"),
    "calcification.diameter_std_mm": _calcifications("unlike sizes of the calcifications"),
    "calcification.elongation_mean": _calcifications("form of the calcifications"),
    "calcification.contrast_mean": _calcifications("brightness of the calcifications"),
    **dict.fromkeys(
        ("calcification.nearest_distance_mean_mm", "calcification.density_per_cm2"),
        _calcifications("density of the cluster"),
    ),
    "calcification.cluster_area_mm2": _calcifications("extent of the cluster"),
    **dict.fromkeys(("num_in_breast", "rank_in_breast"), _always("the breast's other lesions")),
    **dict.fromkeys(
        ("contralateral_score", "contralateral_malignancy", "num_contralateral"),
        _always("findings in the other breast"),
    ),
    **dict.fromkeys(("score_asymmetry", "malignancy_asymmetry"), _always("difference between the breasts")),
    "mirror_score": _always("likeness of the other breast"),
}
"""How each feature of the decision is said of a lesion; words' probabilities, and quadrants, under what they
have in common. A feature without words is shown by its name."""


def topic(feature: str) -> str:
    """The key in `WORDS_OF_FEATURES` that a feature is said under."""
    if feature.startswith("quadrant_"):
        return "quadrant"
    return feature if feature.startswith("calcification.") else feature.split(".")[0]
