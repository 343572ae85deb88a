"""A support-vector machine as numbers in a file, evaluated with numpy; `support_vectors_fit.py` fits it."""

# Shapes:  N rows   F features   S support vectors
from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from mammosweep.errors import BundleError

__all__ = ["SupportVectors", "load_support_vectors"]

FloatArray = NDArray[np.float64]

ARRAYS = ("mean", "scale", "vectors", "coefficients", "constants")


@dataclass(frozen=True, slots=True)
class SupportVectors:
    """A two-class machine with the kernel exp(-gamma |x - v|^2) (Cortes and Vapnik 1995, "Support-vector
    networks"), its decision turned into a probability by a sigmoid (Platt 1999, "Probabilistic outputs for
    support vector machines").
    """

    features: tuple[str, ...]
    mean: FloatArray = field(repr=False)  # (F,) of the rows that it was fitted to
    scale: FloatArray = field(repr=False)  # (F,) their standard deviation, 1 where they are all alike
    vectors: FloatArray = field(repr=False)  # (S, F) standardised
    coefficients: FloatArray = field(repr=False)  # (S,) weight times -1 or 1
    gamma: float
    intercept: float
    platt: tuple[float, float]  # probability = 1 / (1 + exp(a * decision + b))

    def __call__(self, rows: NDArray[np.float32], /) -> FloatArray:
        """(N, F) rows, NaN where a value is unknown, to (N,) probabilities; unknown counts as the mean.

        Raises:
            ValueError: the rows do not have F columns.
        """
        a, b = self.platt
        return np.asarray(1 / (1 + np.exp(np.clip(a * self.decisions(rows) + b, -500, 500))))

    def decisions(self, rows: NDArray[np.float32]) -> FloatArray:
        """(N,) signed distances from the boundary: positive on the side of class 1."""
        if rows.ndim != 2 or rows.shape[1] != len(self.features):
            raise ValueError(f"rows have shape {rows.shape}; the model expects (N, {len(self.features)})")
        x = standardised(rows, self.mean, self.scale)
        squares = ((x[:, None] - self.vectors) ** 2).sum(axis=2)  # (N, S)
        return np.asarray(np.exp(-self.gamma * squares) @ self.coefficients + self.intercept)

    def save(self, path: Path) -> None:
        """Write the machine as safetensors; the same machine gives the same bytes."""
        arrays = {
            "mean": self.mean,
            "scale": self.scale,
            "vectors": self.vectors,
            "coefficients": self.coefficients,
            "constants": np.array([self.gamma, self.intercept, *self.platt]),
        }
        contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        save_file(contiguous, path, metadata={"features": json.dumps(self.features)})


def load_support_vectors(path: Path, features: tuple[str, ...]) -> SupportVectors:
    """Read a machine that `SupportVectors.save` wrote.

    Args:
        path: a safetensors file.
        features: what rows will hold, in order.

    Raises:
        BundleError: the file cannot be read or is none of these, or was fitted on other features.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: np.asarray(file.get_tensor(name), dtype=np.float64) for name in ARRAYS}
            fitted_on = tuple(json.loads((file.metadata() or {})["features"]))
    except (OSError, SafetensorError, KeyError, ValueError):
        raise BundleError(
            f"model file {path.name} is missing, damaged or no support-vector machine; expected one that "
            "mammosweep wrote, restore the bundle"
        ) from None
    if fitted_on != features:
        raise BundleError(
            f"model file {path.name} was fitted on {', '.join(fitted_on)}; expected {', '.join(features)}, "
            "use the version that the bundle names or fit the bundle anew"
        )
    gamma, intercept, a, b = arrays.pop("constants").tolist()
    return SupportVectors(features, **arrays, gamma=gamma, intercept=intercept, platt=(a, b))


def standardised(rows: NDArray[np.float32], mean: FloatArray, scale: FloatArray) -> FloatArray:
    """(N, F) in standard deviations from the mean, 0 where unknown."""
    return np.nan_to_num((rows.astype(np.float64) - mean) / scale, nan=0.0)
