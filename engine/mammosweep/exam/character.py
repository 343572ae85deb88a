"""A finding's character as numbers: how probable each BI-RADS word is."""

from __future__ import annotations

from mammosweep.records import Finding
from mammosweep.vocabulary import CHARACTER

__all__ = ["CHARACTER_SCORES", "word_scores"]

CHARACTER_SCORES: tuple[str, ...] = tuple(
    f"{attribute}.{word}" for attribute, words in CHARACTER.items() for word in words
)
"""The names of all word scores, as in "margin.spiculated"; a bundle knows some of them."""


def word_scores(finding: Finding) -> dict[str, float]:
    """The probability of each word of `CHARACTER_SCORES` that is known of a finding.

    Where the network gave words without probabilities, the word it gave has 1, its rivals 0.
    """
    if finding.character_scores:
        return {
            name: finding.character_scores[name]
            for name in CHARACTER_SCORES
            if name in finding.character_scores
        }
    return {
        f"{attribute}.{word}": float(word == finding.character[attribute])
        for attribute, words in CHARACTER.items()
        if attribute in finding.character
        for word in words
    }
