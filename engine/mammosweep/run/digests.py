"""Which of millions of exams are known, in 20 bytes each."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["DigestIndex"]


class DigestIndex:
    """A number for each SHA-256 digest; of a digest that is given twice, the first one.

    The first 128 bits are kept: two exams that share them are less likely than a broken computer.
    """

    def __init__(self, pairs: Iterable[tuple[str, int]]) -> None:
        """Take pairs of a digest, in hexadecimal, and its number."""
        digests, numbers = bytearray(), array("i")
        for digest, number in pairs:
            digests += bytes.fromhex(digest[:32])
            numbers.append(number)
        halves = np.frombuffer(bytes(digests), dtype=np.uint64).reshape(-1, 2)
        order = np.lexsort((np.arange(len(halves)), halves[:, 1], halves[:, 0]))
        self._first = halves[order, 0]
        self._second = halves[order, 1]
        self._numbers = np.frombuffer(numbers, dtype=np.int32)[order]

    def __len__(self) -> int:
        """Entries, repeated ones counted."""
        return len(self._first)

    def __contains__(self, digest: object) -> bool:
        """Whether a digest is known."""
        return isinstance(digest, str) and bool(self.find([digest])[0] >= 0)

    def find(self, digests: Sequence[str]) -> NDArray[np.int64]:
        """(N,) the number of each digest; -1 where it is not known."""
        wanted = b"".join(bytes.fromhex(digest[:32]) for digest in digests)
        halves = np.frombuffer(wanted, dtype=np.uint64).reshape(-1, 2)
        found = np.full(len(halves), -1, dtype=np.int64)
        if not len(self._first):
            return found
        places = np.searchsorted(self._first, halves[:, 0]).clip(max=len(self._first) - 1)
        # Digests that share their first 64 bits stand beside each other, by their second ones.
        while True:
            same = self._first[places] == halves[:, 0]
            hit = same & (self._second[places] == halves[:, 1]) & (found < 0)
            found[hit] = self._numbers[places[hit]]
            go_on = same & (found < 0) & (places + 1 < len(self._first))
            if not go_on.any():
                return found
            places = np.where(go_on, places + 1, places)
