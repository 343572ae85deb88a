"""What is compared between a CC and an MLO finding of one breast."""

# Shapes:  C findings of the CC view   M findings of the MLO view   F pair features   D embedding
from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mammosweep.records import Finding

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
)
"""The columns of a pair's row, in order. The fitted model's file carries these names: see `booster.py`."""

# One pixel of the network's grid (0.15 mm): no box that was detected is smaller, and the logarithm
# stays finite.
MIN_DIAMETER_MM = 0.15


def mean_diameter_mm(finding: Finding) -> float:
    """Mean of the box's height and width in the object plane, millimetres."""
    return max((finding.size_mm[0] + finding.size_mm[1]) / 2.0, MIN_DIAMETER_MM)


def pair_features(cc: Finding, mlo: Finding) -> NDArray[np.float32]:
    """Compare two findings: (F,), columns as in `PAIR_FEATURES`, NaN where a value is unknown."""
    row: NDArray[np.float32] = pair_matrix([cc], [mlo])[0, 0]
    return row


def pair_matrix(ccs: Sequence[Finding], mlos: Sequence[Finding]) -> NDArray[np.float32]:
    """Compare every CC finding of a breast with every MLO finding: (C, M, F)."""
    shape = (len(ccs), len(mlos))
    if 0 in shape:
        return np.zeros((*shape, len(PAIR_FEATURES)), dtype=np.float32)
    depths = _crossed(ccs, mlos, lambda f: _or_nan(f.depth))
    sizes = _crossed(ccs, mlos, mean_diameter_mm)
    scores = _crossed(ccs, mlos, lambda f: f.score)
    malignancies = _crossed(ccs, mlos, lambda f: _or_nan(f.malignancy))
    columns = {
        "depth_difference": abs(depths[0] - depths[1]),
        "size_mean_mm": (sizes[0] + sizes[1]) / 2.0,
        "size_log_ratio": abs(np.log(sizes[0] / sizes[1])),
        "type_equal": np.array([[cc.type == mlo.type for mlo in mlos] for cc in ccs], dtype=np.float64),
        "score_min": np.minimum(*scores),
        "score_max": np.maximum(*scores),
        "score_product": scores[0] * scores[1],
        "embedding_cosine": _unit_embeddings(ccs) @ _unit_embeddings(mlos).T,
        "malignancy_mean": (malignancies[0] + malignancies[1]) / 2.0,
        "malignancy_difference": abs(malignancies[0] - malignancies[1]),
        "character_agreement": _character_agreement(ccs, mlos),
    }
    return np.stack([columns[name] for name in PAIR_FEATURES], axis=-1).astype(np.float32)


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _crossed(
    ccs: Sequence[Finding], mlos: Sequence[Finding], value_of: Callable[[Finding], float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """One value of every finding, as (C, 1) and (1, M), so that operators give (C, M)."""
    cc = np.array([value_of(f) for f in ccs], dtype=np.float64)
    mlo = np.array([value_of(f) for f in mlos], dtype=np.float64)
    return cc[:, None], mlo[None, :]


def _unit_embeddings(findings: Sequence[Finding]) -> NDArray[np.float64]:
    """Embeddings scaled to length 1, (N, D); NaN where one is all zero and has no direction."""
    vectors = np.stack([f.embedding for f in findings]).astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units: NDArray[np.float64] = vectors / np.where(lengths > 0.0, lengths, np.nan)
    return units


def _character_agreement(ccs: Sequence[Finding], mlos: Sequence[Finding]) -> NDArray[np.float64]:
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
