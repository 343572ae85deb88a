"""Reading a checkpoint's file, and the check that it is what it should be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mammosweep.errors import BundleError

__all__ = ["Shapes", "read_checkpoint", "require_layout"]

Shapes = Mapping[str, tuple[int, ...]]

NAMED = 3
"""How many names an error quotes."""


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """A state dict from a safetensors file, fractions as float32.

    Raises:
        BundleError: the file cannot be read as safetensors; a pickle is not even opened.
    """
    if path.suffix != ".safetensors":
        raise BundleError(
            f"{path} is not named .safetensors, the one format that is read: a .pth or .pt file can run code "
            "when it is loaded; where you trust it, convert it with "
            "safetensors.torch.save_file(torch.load(FILE, weights_only=True), 'FILE.safetensors')"
        )
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise BundleError(f"checkpoint {path} cannot be read as safetensors: {error}") from None
    return {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}


def require_layout(found: Mapping[str, Tensor], expected: Shapes, what: str) -> None:
    """Make sure that the state dict has the names and shapes of an architecture, and nothing else.

    Raises:
        BundleError: with the first few names that are missing, too many or of another shape.
    """
    misshapen = [
        f"{name} {tuple(found[name].shape)} instead of {shape}"
        for name, shape in expected.items()
        if name in found and tuple(found[name].shape) != shape
    ]
    problems = {
        "lacks": [name for name in expected if name not in found],
        "has, and should not,": [name for name in found if name not in expected],
        "has": misshapen,
    }
    said = [f"{verb} {_first(names)}" for verb, names in problems.items() if names]
    if said:
        raise BundleError(f"the checkpoint is no {what}: it {'; it '.join(said)}")


def _first(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
