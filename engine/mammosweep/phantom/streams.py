"""Random numbers by name: what is drawn for one part of an exam never shifts what another part gets."""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["random_stream", "uid_from"]


def random_stream(seed: int, index: int, *part: str) -> np.random.Generator:
    """Give the generator of one named part of exam ``index``."""
    name = hashlib.sha256("/".join(part).encode()).digest()
    return np.random.default_rng([seed, index, int.from_bytes(name[:8], "big")])


def uid_from(*parts: object) -> str:
    """Derive a UID under 2.25 (PS3.5 B.2) from what it names: 128 bits of its SHA-256."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"
