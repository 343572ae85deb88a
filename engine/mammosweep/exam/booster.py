"""Gradient-boosted trees behind the seam: the only file that imports XGBoost."""

# Shapes:  N rows   F features
from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import xgboost
from numpy.typing import ArrayLike, NDArray

from mammosweep.errors import BundleError

__all__ = ["BIAS", "Booster", "fit_booster", "load_booster"]

OBJECTIVE = "binary:logistic"

BIAS = "bias"
"""The name, among a row's contributions, of what all rows share."""

# One thread: an exam has tens of rows, and the sweep already fills the cores with exams.
RUNTIME = {"nthread": 1, "verbosity": 0}


class Booster:
    """A fitted model that gives rows their probability; the same row always gets the same one.

    Args:
        trees: fitted on some of the features; the file carries these features' names.
        features: the names, in order, of the columns that rows come with; the model takes its own among them.

    Raises:
        ValueError: the trees were fitted on a feature that rows do not come with.
    """

    def __init__(self, trees: xgboost.Booster, features: Sequence[str]) -> None:
        self.features = tuple(features)
        self.used = tuple(trees.feature_names or ())
        self._columns = [self.features.index(name) for name in self.used]
        self._trees = trees

    def __call__(self, rows: NDArray[np.float32], /) -> NDArray[np.float64]:
        """Turn (N, F) rows, NaN where a value is unknown, into (N,) probabilities.

        Raises:
            ValueError: the rows do not have F columns.
        """
        return np.asarray(self._trees.inplace_predict(self._own(rows)), dtype=np.float64)

    def contributions(self, rows: NDArray[np.float32], /) -> list[dict[str, float]]:
        """How many log-odds each of the model's features adds to a row's: one table for each of the N rows.

        SHAP values of the trees (Lundberg et al. 2020, "From local explanations to global understanding with
        explainable AI for trees"), computed exactly by XGBoost. Under "bias" stands what the model says of no
        row in particular; all of a row's values together are the logit of its probability.

        Raises:
            ValueError: the rows do not have F columns.
        """
        matrix = xgboost.DMatrix(self._own(rows), feature_names=list(self.used), nthread=1)
        if matrix.num_row() == 0:
            return []
        shares = np.asarray(self._trees.predict(matrix, pred_contribs=True), dtype=np.float64)
        return [dict(zip((*self.used, BIAS), row.tolist(), strict=True)) for row in shares]

    def first(self, rounds: int) -> Booster:
        """The model that its first trees are."""
        return Booster(self._trees[:rounds], self.features)

    def save(self, path: Path) -> None:
        """Write the model as UBJ, with the names of its features; the same model gives the same bytes."""
        path.write_bytes(bytes(self._trees.save_raw("ubj")))

    def _own(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        if rows.ndim != 2 or rows.shape[1] != len(self.features):
            raise ValueError(f"rows have shape {rows.shape}; the model expects (N, {len(self.features)})")
        return np.ascontiguousarray(rows[:, self._columns])


def load_booster(path: Path, features: Sequence[str]) -> Booster:
    """Read a model that `Booster.save` wrote.

    Args:
        path: a UBJ file. XGBoost's parser trusts what it reads: check the bundle's digests first.
        features: the names, in order, of the columns that this version of the code computes; the model may
            have been fitted on fewer of them, in another order.

    Raises:
        BundleError: the file cannot be read, was fitted for another objective, or on a feature that this
            version does not compute.
    """
    trees = _parse(path)
    _require_objective(trees, path)
    _require_features(trees, path, tuple(features))
    return Booster(trees, features)


def fit_booster(
    rows: ArrayLike,
    labels: ArrayLike,
    features: Sequence[str],
    *,
    seed: int,
    rounds: int = 80,
    max_depth: int = 3,
    learning_rate: float = 0.1,
    min_child_weight: float = 1.0,
    subsample: float = 1.0,
    colsample_bynode: float = 1.0,
    rising: Collection[str] = (),
) -> Booster:
    """Fit trees to labelled rows; the same rows and seed give the same model.

    The defaults suit some hundred to some thousand rows: shallow trees and few of them, each leaf holding
    at least four undecided rows (a row weighs p * (1 - p) <= 1/4).

    Args:
        rows: (N, F), NaN where a value is unknown.
        labels: (N,), 0 or 1.
        features: the F columns' names; they are stored in the model.
        seed: of XGBoost's own generator.
        rounds: number of trees.
        max_depth: of each tree.
        learning_rate: how much of each tree's correction is taken.
        min_child_weight: least weight of a leaf.
        subsample: share of the rows that each tree sees.
        colsample_bynode: share of the columns that each split chooses from.
        rising: features that may only raise the probability as they grow; the others are free.
    """
    settings = {
        **RUNTIME,
        "objective": OBJECTIVE,
        "tree_method": "hist",
        "seed": seed,
        "max_depth": max_depth,
        "learning_rate": learning_rate,
        "min_child_weight": min_child_weight,
        "subsample": subsample,
        "colsample_bynode": colsample_bynode,
        "monotone_constraints": {name: 1 for name in features if name in rising},
    }
    table = np.asarray(rows, dtype=np.float32).reshape(-1, len(features))
    matrix = xgboost.DMatrix(
        table, label=np.asarray(labels, dtype=np.float32), feature_names=list(features), nthread=1
    )
    return Booster(xgboost.train(settings, matrix, num_boost_round=rounds), features)


def _parse(path: Path) -> xgboost.Booster:
    trees = xgboost.Booster(RUNTIME)
    try:
        model = path.read_bytes()
        _require_whole(model)
        trees.load_model(bytearray(model))
    except OSError as error:
        raise BundleError(
            f"model file {path.name} cannot be read: {error.strerror}; restore the bundle"
        ) from None
    except (xgboost.core.XGBoostError, ValueError):
        raise BundleError(
            f"model file {path.name} is damaged or no XGBoost model in UBJ; expected one that mammosweep "
            "wrote, restore the bundle"
        ) from None
    return trees


def _require_whole(model: bytes) -> None:
    # XGBoost ends the process on an empty model and misreads one that was cut.
    if not (model.startswith(b"{") and model.endswith(b"}")):
        raise ValueError("not one whole UBJ object")


def _require_objective(trees: xgboost.Booster, path: Path) -> None:
    objective = json.loads(trees.save_config())["learner"]["objective"]["name"]
    if objective != OBJECTIVE:
        raise BundleError(
            f"model file {path.name} was fitted for {objective!r}; expected {OBJECTIVE!r}, "
            "fit the bundle anew"
        )


def _require_features(trees: xgboost.Booster, path: Path, computed: tuple[str, ...]) -> None:
    found = tuple(trees.feature_names or ())
    unknown = [name for name in found if name not in computed]
    if found and not unknown:
        return
    fitted_on = ", ".join(unknown) or "features without names"
    raise BundleError(
        f"model file {path.name} was fitted on {fitted_on}; this version computes {', '.join(computed)}, "
        "use the version that the bundle names or fit the bundle anew"
    )
