"""What is compared between a CC and an MLO finding of one breast."""

# Shapes:  C findings of the CC view   M findings of the MLO view   F pair features   D embedding
from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mammosweep.exam.character import CHARACTER_SCORES, word_scores
from mammosweep.records import LESION_TYPES, Finding
from mammosweep.vocabulary import CHARACTER

__all__ = ["PAIR_FEATURES", "mean_diameter_mm", "pair_features", "pair_matrix"]

PAIR_FEATURES: tuple[str, ...] = (
    "depth_difference",  # absolute; a lesion keeps its distance from the nipple; NaN: a depth is unknown
    "size_mean_mm",  # mean of both findings' mean diameters
    "size_log_ratio",  # absolute natural logarithm of the ratio of both mean diameters
    "type_equal",  # 1: both findings have the same lesion type, else 0
    "score_min",  # the weaker detector score
    "score_max",  # the stronger detector score
    "score_product",  # both scores multiplied
    "embedding_cosine",  # cosine of the angle between both embeddings; NaN: one of them is all zero
    "malignancy_mean",  # NaN: a malignancy is unknown
    "malignancy_difference",  # absolute; NaN: a malignancy is unknown
    "character_agreement",  # share of the characters known of both that agree; NaN: none is known of both
    "depth_mean",  # of both; NaN: a depth is unknown
    "nipple_difference_mm",  # absolute, of the distances from the nipple; NaN: one is unknown
    "width_log_ratio",  # like size_log_ratio, of the extents towards the chest wall, which both views see
    "height_log_ratio",  # likewise, of the extents along it: the views see two different ones
    "score_difference",  # absolute
    "embedding_distance",  # root mean square of the embeddings' differences
    "character_overlap",  # see `_character_overlap`; NaN: no attribute is known of both
    "areola_equal",  # 1: both or neither behind the areola, else 0; NaN: a quadrant is unknown
    "rank_cc",  # of the CC finding among its view's, by score: 1 is the surest
    "rank_mlo",
    "num_cc",  # findings in the CC view
    "num_mlo",
    *(f"surest_{kind.value}" for kind in LESION_TYPES),  # 1: the surer finding is of this type, else 0
    "second_look_min",  # the smaller probability that there is a lesion at all; NaN: one is unknown
    "second_look_max",  # the larger one; NaN: likewise
)
"""The columns of a pair's row, in order. A fitted model's file carries the names of those that it uses: see
`booster.py`. Names never change their meaning: bundles fitted before a column was added stay readable.

Depth, size, type and score are what a published matching by gradient-boosted trees compares, too (the
four-view system that this engine implements); which of all these count is left to the fit."""

# One pixel of the network's grid (0.15 mm): no box that was detected is smaller, and the logarithm
# stays finite.
MIN_DIAMETER_MM = 0.15

AREOLA = "areola"

Crossed = tuple[NDArray[np.float64], NDArray[np.float64]]


def mean_diameter_mm(finding: Finding) -> float:
    """Mean of the box's height and width in the object plane, millimetres."""
    return max((finding.size_mm[0] + finding.size_mm[1]) / 2.0, MIN_DIAMETER_MM)


def pair_features(cc: Finding, mlo: Finding) -> NDArray[np.float32]:
    """Compare two findings, each the only one of its view: (F,), columns as in `PAIR_FEATURES`."""
    row: NDArray[np.float32] = pair_matrix([cc], [mlo])[0, 0]
    return row


def pair_matrix(ccs: Sequence[Finding], mlos: Sequence[Finding]) -> NDArray[np.float32]:
    """Compare every CC finding of a breast with every MLO finding: (C, M, F), NaN where a value is unknown.

    Args:
        ccs: all findings of the breast's CC view, as ranks and numbers count them.
        mlos: likewise of its MLO view.
    """
    shape = (len(ccs), len(mlos))
    if 0 in shape:
        return np.zeros((*shape, len(PAIR_FEATURES)), dtype=np.float32)
    columns = {
        **_places(ccs, mlos),
        **_sizes(ccs, mlos),
        **_scores(ccs, mlos),
        **_kinds(ccs, mlos),
        **_looks(ccs, mlos),
    }
    stacked = [np.broadcast_to(columns[name], shape) for name in PAIR_FEATURES]
    return np.stack(stacked, axis=-1).astype(np.float32)


def _places(ccs: Sequence[Finding], mlos: Sequence[Finding]) -> dict[str, NDArray[np.float64]]:
    depths = _crossed(ccs, mlos, lambda f: _or_nan(f.depth))
    nipple = _crossed(ccs, mlos, lambda f: _or_nan(f.nipple_mm))
    areola = _crossed(ccs, mlos, lambda f: _or_nan(None if f.quadrant is None else f.quadrant == AREOLA))
    return {
        "depth_difference": abs(depths[0] - depths[1]),
        "depth_mean": (depths[0] + depths[1]) / 2.0,
        "nipple_difference_mm": abs(nipple[0] - nipple[1]),
        "areola_equal": 1.0 - abs(areola[0] - areola[1]),
    }


def _sizes(ccs: Sequence[Finding], mlos: Sequence[Finding]) -> dict[str, NDArray[np.float64]]:
    sizes = _crossed(ccs, mlos, mean_diameter_mm)
    heights = _crossed(ccs, mlos, lambda f: max(f.size_mm[0], MIN_DIAMETER_MM))
    widths = _crossed(ccs, mlos, lambda f: max(f.size_mm[1], MIN_DIAMETER_MM))
    return {
        "size_mean_mm": (sizes[0] + sizes[1]) / 2.0,
        "size_log_ratio": abs(np.log(sizes[0] / sizes[1])),
        "height_log_ratio": abs(np.log(heights[0] / heights[1])),
        "width_log_ratio": abs(np.log(widths[0] / widths[1])),
    }


def _scores(ccs: Sequence[Finding], mlos: Sequence[Finding]) -> dict[str, NDArray[np.float64]]:
    scores = _crossed(ccs, mlos, lambda f: f.score)
    malignancies = _crossed(ccs, mlos, lambda f: _or_nan(f.malignancy))
    looks = _crossed(ccs, mlos, lambda f: _or_nan(f.second_look))
    return {
        "score_min": np.minimum(*scores),
        "score_max": np.maximum(*scores),
        "score_product": scores[0] * scores[1],
        "score_difference": abs(scores[0] - scores[1]),
        "rank_cc": _ranks(ccs)[:, None],
        "rank_mlo": _ranks(mlos)[None, :],
        "num_cc": np.float64(len(ccs)).reshape(1, 1),
        "num_mlo": np.float64(len(mlos)).reshape(1, 1),
        "second_look_min": np.minimum(*looks),
        "second_look_max": np.maximum(*looks),
        "malignancy_mean": (malignancies[0] + malignancies[1]) / 2.0,
        "malignancy_difference": abs(malignancies[0] - malignancies[1]),
    }


def _kinds(ccs: Sequence[Finding], mlos: Sequence[Finding]) -> dict[str, NDArray[np.float64]]:
    kinds = _crossed(ccs, mlos, lambda f: LESION_TYPES.index(f.type))
    scores = _crossed(ccs, mlos, lambda f: f.score)
    surer = np.where(scores[0] >= scores[1], *kinds)  # of equally sure ones CC's, as a lesion's type is
    return {
        "type_equal": (kinds[0] == kinds[1]).astype(np.float64),
        **{f"surest_{kind.value}": (surer == i).astype(np.float64) for i, kind in enumerate(LESION_TYPES)},
    }


def _looks(ccs: Sequence[Finding], mlos: Sequence[Finding]) -> dict[str, NDArray[np.float64]]:
    embeddings = [np.stack([f.embedding for f in view]).astype(np.float64) for view in (ccs, mlos)]
    apart = embeddings[0][:, None, :] - embeddings[1][None, :, :]
    return {
        "embedding_cosine": _unit(embeddings[0]) @ _unit(embeddings[1]).T,
        "embedding_distance": np.sqrt((apart**2).mean(axis=-1)),
        "character_agreement": _character_agreement(ccs, mlos),
        "character_overlap": _character_overlap(ccs, mlos),
    }


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _crossed(
    ccs: Sequence[Finding], mlos: Sequence[Finding], value_of: Callable[[Finding], float]
) -> Crossed:
    """One value of every finding, as (C, 1) and (1, M), so that operators give (C, M)."""
    cc = np.array([value_of(f) for f in ccs], dtype=np.float64)
    mlo = np.array([value_of(f) for f in mlos], dtype=np.float64)
    return cc[:, None], mlo[None, :]


def _ranks(view: Sequence[Finding]) -> NDArray[np.float64]:
    """By falling score from 1; equal ones share the best, so that no order of theirs matters."""
    scores = np.array([f.score for f in view])
    ranks: NDArray[np.float64] = 1.0 + (scores[None, :] > scores[:, None]).sum(axis=1)
    return ranks


def _unit(vectors_ND: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scaled to length 1; NaN where one is all zero and has no direction."""
    lengths = np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    units: NDArray[np.float64] = vectors_ND / np.where(lengths > 0.0, lengths, np.nan)
    return units


def _character_agreement(ccs: Sequence[Finding], mlos: Sequence[Finding]) -> NDArray[np.float64]:
    """Share of the attributes known of both findings whose words are the same."""
    names = sorted({name for f in (*ccs, *mlos) for name in f.character})
    known = np.zeros((len(ccs), len(mlos)))
    equal = np.zeros((len(ccs), len(mlos)))
    for name in names:
        cc = np.array([f.character.get(name, "") for f in ccs])[:, None]
        mlo = np.array([f.character.get(name, "") for f in mlos])[None, :]
        both = (cc != "") & (mlo != "")
        known += both
        equal += both & (cc == mlo)
    return equal / np.where(known > 0, known, np.nan)


def _character_overlap(ccs: Sequence[Finding], mlos: Sequence[Finding]) -> NDArray[np.float64]:
    """Bhattacharyya coefficient of the word probabilities, mean over the attributes known of both findings.

    Bhattacharyya 1943: the sum of sqrt(p q) over the words; 1 where both give each word the same one,
    0 where they share none. Softer than `character_agreement`, which sees only each one's likeliest word.
    """
    roots_cc, known_cc = _root_scores(ccs)
    roots_mlo, known_mlo = _root_scores(mlos)
    known = known_cc @ known_mlo.T
    return (roots_cc @ roots_mlo.T) / np.where(known > 0, known, np.nan)


def _root_scores(view: Sequence[Finding]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Square roots of word probabilities (N, W), 0 where unknown; and (N, A), 1: the attribute is known."""
    scores = [word_scores(f) for f in view]
    roots = np.sqrt([[known.get(name, 0.0) for name in CHARACTER_SCORES] for known in scores])
    attributes = [{name.split(".")[0] for name in known} for known in scores]
    return roots, np.array([[float(a in known) for a in CHARACTER] for known in attributes])
