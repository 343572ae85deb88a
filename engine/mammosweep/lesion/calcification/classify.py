"""Malignant or benign, by what was measured: trees and support vectors, on 15, 26 and all 41 features.

The comparison of Wang 2016 (Sci Rep 6:27327), with gradient-boosted trees in the place of its deep model.
That paper's accuracies by calcifications, masses and both: 87.3, 61.3 and 89.7 % (deep model); 85.8, 61.3 and
85.8 % (support vectors).
Trees come from outside, as functions: `exam/booster.py` has them, and lesion/ comes before exam/.
"""

# Shapes:  N rows (findings)   F features
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mammosweep.lesion.calcification.definitions import CALCIFICATION_FEATURES, FEATURE_NAMES, MASS_FEATURES
from mammosweep.lesion.calcification.folds import group_folds
from mammosweep.lesion.calcification.support_vectors import load_support_vectors
from mammosweep.lesion.calcification.support_vectors_fit import fit_support_vectors

__all__ = [
    "FEATURE_SETS",
    "Characteriser",
    "Comparison",
    "Model",
    "compare_characterisers",
    "comparison_table",
    "feature_rows",
    "fit_characterisers",
    "load_characterisers",
    "save_characterisers",
]

Rows = NDArray[np.float32]
Labels = NDArray[np.bool_]

FEATURE_SETS: dict[str, tuple[str, ...]] = {
    "calcifications": tuple(feature.name for feature in CALCIFICATION_FEATURES),
    "region": tuple(feature.name for feature in MASS_FEATURES),
    "both": FEATURE_NAMES,
}

TREES, SUPPORT_VECTORS = "trees", "support_vectors"

SUFFIXES = {TREES: ".ubj", SUPPORT_VECTORS: ".safetensors"}


class Model(Protocol):
    """Gives rows of its own features their probability of malignancy."""

    def __call__(self, rows: Rows, /) -> NDArray[np.float64]:
        """(N, F) rows to (N,) probabilities."""
        ...

    def save(self, path: Path) -> None:
        """Write it to a file."""
        ...


FitTrees = Callable[..., Model]
"""`exam.booster.fit_booster`: rows, labels, features, seed=."""

LoadTrees = Callable[[Path, Sequence[str]], Model]
"""`exam.booster.load_booster`."""


@dataclass(frozen=True, slots=True)
class Characteriser:
    """One model on one set of features."""

    kind: str  # "trees" or "support_vectors"
    feature_set: str  # of FEATURE_SETS
    model: Model = field(repr=False)

    @property
    def file_name(self) -> str:
        """Where it lies in a bundle."""
        return _file_name(self.kind, self.feature_set)

    def __call__(self, rows: Rows) -> NDArray[np.float64]:
        """(N, 41) rows of FEATURE_NAMES, NaN where undefined, to (N,) probabilities of malignancy."""
        return self.model(_columns(rows, self.feature_set))


@dataclass(frozen=True, slots=True)
class Comparison:
    """How well one kind of model does on one set of features, on patients it had not seen."""

    kind: str
    feature_set: str
    accuracy: float  # at probability 0.5
    auc: float
    num_findings: int


def feature_rows(measured: Iterable[Mapping[str, float]]) -> Rows:
    """(N, 41) rows of FEATURE_NAMES of N findings' `calcification`, NaN where a feature is left out."""
    rows = [[one.get(name, np.nan) for name in FEATURE_NAMES] for one in measured]
    return np.asarray(rows, dtype=np.float32).reshape(-1, len(FEATURE_NAMES))


def fit_characterisers(
    rows: Rows, labels: Labels, groups: Sequence[str], *, fit_trees: FitTrees, seed: int
) -> tuple[Characteriser, ...]:
    """Fit both kinds of model on each set of features; the same arguments give the same models.

    Args:
        rows: (N, 41) of FEATURE_NAMES, NaN where undefined.
        labels: (N,) whether malignant; both classes occur.
        groups: N names of patients, or of exams.
        fit_trees: `exam.booster.fit_booster`.
        seed: of the trees and of the folds that support vectors are calibrated on.
    """
    return tuple(
        Characteriser(kind, name, _fit(kind, name, rows, labels, groups, fit_trees, seed))
        for kind in SUFFIXES
        for name in FEATURE_SETS
    )


def save_characterisers(models: Iterable[Characteriser], folder: Path) -> None:
    """Write each model to its file."""
    for one in models:
        one.model.save(folder / one.file_name)


def load_characterisers(folder: Path, *, load_trees: LoadTrees) -> tuple[Characteriser, ...]:
    """Read those of the models that a bundle has.

    Args:
        folder: the bundle's.
        load_trees: `exam.booster.load_booster`.

    Raises:
        BundleError: a file is damaged, or fits other features than this version measures.
    """
    loaders: dict[str, Callable[[Path, tuple[str, ...]], Model]] = {
        TREES: load_trees,
        SUPPORT_VECTORS: load_support_vectors,
    }
    return tuple(
        Characteriser(kind, name, load(folder / _file_name(kind, name), names))
        for kind, load in loaders.items()
        for name, names in FEATURE_SETS.items()
        if (folder / _file_name(kind, name)).exists()
    )


def compare_characterisers(
    rows: Rows,
    labels: Labels,
    groups: Sequence[str],
    *,
    fit_trees: FitTrees,
    seed: int,
    num_folds: int = 5,
) -> tuple[Comparison, ...]:
    """Cross-validate each kind of model on each set of features, a group's rows always in one fold.

    Arguments as of `fit_characterisers`; every fold's complement must hold both classes.
    """
    labels = np.asarray(labels, dtype=np.bool_)
    probabilities = {(kind, name): np.zeros(len(labels)) for kind in SUFFIXES for name in FEATURE_SETS}
    names = np.asarray(groups)
    for held_out in group_folds(groups, labels, num_folds, seed):
        seen = ~held_out
        fitted = fit_characterisers(
            rows[seen], labels[seen], names[seen].tolist(), fit_trees=fit_trees, seed=seed
        )
        for one in fitted:
            probabilities[one.kind, one.feature_set][held_out] = one(rows[held_out])
    return tuple(
        Comparison(kind, name, float(((p >= 0.5) == labels).mean()), _auc(p, labels), len(labels))
        for (kind, name), p in probabilities.items()
    )


def comparison_table(comparisons: Iterable[Comparison]) -> str:
    """The comparison as a Markdown table, for the model card."""
    lines = ["| model | features | findings | accuracy | AUC |", "|---|---|---|---|---|"]
    lines += [
        f"| {c.kind.replace('_', ' ')} | {len(FEATURE_SETS[c.feature_set])}: {c.feature_set} "
        f"| {c.num_findings} | {c.accuracy:.3f} | {c.auc:.3f} |"
        for c in comparisons
    ]
    return "\n".join(lines)


def _fit(
    kind: str,
    name: str,
    rows: Rows,
    labels: Labels,
    groups: Sequence[str],
    fit_trees: FitTrees,
    seed: int,
) -> Model:
    own, features = _columns(rows, name), FEATURE_SETS[name]
    if kind == TREES:
        return fit_trees(own, labels, features, seed=seed)
    return fit_support_vectors(own, labels, groups, features, seed=seed)


def _columns(rows: Rows, name: str) -> Rows:
    columns = [FEATURE_NAMES.index(feature) for feature in FEATURE_SETS[name]]
    return np.ascontiguousarray(rows[:, columns])


def _file_name(kind: str, feature_set: str) -> str:
    return f"calcification_{kind}_{feature_set}{SUFFIXES[kind]}"


def _auc(scores: NDArray[np.float64], labels: Labels) -> float:
    """Share of the pairs of both classes in the right order, ties half (Mann-Whitney)."""
    higher = np.sign(scores[labels][:, None] - scores[~labels])
    return float((higher.mean() + 1) / 2) if higher.size else float("nan")
