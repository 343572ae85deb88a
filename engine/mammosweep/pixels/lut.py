"""Lookup tables as the header holds them: Modality LUT (PS3.3 C.11.1) and VOI LUT (C.11.2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from mammosweep.errors import DecodeError, Reason

__all__ = ["Lut", "read_lut"]

NUM_WORDS = 1 << 16
BYTE_BITS = 8


@dataclass(frozen=True, slots=True)
class Lut:
    """Maps whole numbers from ``first`` on; what lies outside gets the first or the last entry."""

    entries: NDArray[np.uint16] = field(repr=False)
    first: int
    bits: int

    @property
    def largest(self) -> int:
        """The end of its output range."""
        return (1 << self.bits) - 1

    def of(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """What it maps values to."""
        position = np.clip(values - self.first, 0, self.entries.size - 1).astype(np.int64)
        return np.minimum(self.entries[position], self.largest).astype(np.float64)


def read_lut(item: Dataset, *, big_endian: bool, signed: bool) -> Lut:
    """The LUT of one item of a sequence.

    Args:
        item: with LUT Descriptor (number of entries, first value mapped, bits per entry) and LUT Data.
        big_endian: how words of VR OW are written.
        signed: the values it is applied to can be negative, so that the descriptor's second value is signed.

    Raises:
        DecodeError: LUT_INVALID, its descriptor cannot be read, or its data do not bear it out.
    """
    num_entries, first, bits = _descriptor(item, signed)
    words = _words(item, big_endian)
    entries = _unpacked(words) if bits == BYTE_BITS and words.size < num_entries else words
    if entries.size < num_entries or not BYTE_BITS <= bits <= 16:
        raise DecodeError(
            Reason.LUT_INVALID,
            f"LUT Descriptor (0028,3002) says {num_entries} entries of {bits} bits; LUT Data (0028,3006) "
            f"holds {entries.size}, expected as many, of 8 to 16 bits",
        )
    return Lut(entries[:num_entries], first, bits)


def _descriptor(item: Dataset, signed: bool) -> tuple[int, int, int]:
    try:
        num_entries, first, bits = (int(value) for value in item.LUTDescriptor)
    except (AttributeError, TypeError, ValueError):
        raise DecodeError(
            Reason.LUT_INVALID, "LUT Descriptor (0028,3002) cannot be read; expected three whole numbers"
        ) from None
    # Its VR, US or SS, is one for all three. Entries are never negative, and 0 stands for 65,536.
    num_entries = num_entries % NUM_WORDS or NUM_WORDS
    is_negative = signed and NUM_WORDS // 2 <= first < NUM_WORDS
    return num_entries, first - NUM_WORDS if is_negative else first, bits


def _words(item: Dataset, big_endian: bool) -> NDArray[np.uint16]:
    """LUT Data as 16-bit words: raw bytes where its VR is OW, numbers where it is US or SS."""
    try:
        data: Any = item.LUTData
        if isinstance(data, bytes):
            return np.frombuffer(data, ">u2" if big_endian else "<u2").astype(np.uint16)
        return (np.atleast_1d(np.asarray(data, dtype=np.int64)) % NUM_WORDS).astype(np.uint16)
    except (AttributeError, TypeError, ValueError, OverflowError):
        raise DecodeError(Reason.LUT_INVALID, "LUT Data (0028,3006) cannot be read") from None


def _unpacked(words: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Two 8-bit entries of each word, the low byte's first (C.11.1.1.1: as with 8 bits allocated)."""
    return np.stack([words & 0xFF, words >> 8], axis=1).ravel().astype(np.uint16)
