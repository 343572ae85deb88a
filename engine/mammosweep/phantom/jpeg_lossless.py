"""JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14, Selection Value 1) in numpy.

The encoder that imagecodecs brings uses predictor 6, which 1.2.840.10008.1.2.4.70 does not allow. Table,
figure and clause numbers are of ITU-T T.81.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

__all__ = ["encode_jpeg_lossless"]

NUM_CATEGORIES = 16  # SSSS 0..15: enough for 15 bits
# Lengths of the Huffman codes from the commonest category to the rarest. They leave the code of all ones
# free, as Annex C wants.
CODE_LENGTHS = (2, 3, 3, 3, 3, 3, *range(4, 14))


def encode_jpeg_lossless(pixels: NDArray[np.uint16], precision: int) -> bytes:
    """Encode (rows, columns) pixels of ``precision`` bits (at most 15) bit-exactly."""
    differences = _differences(pixels, precision)
    magnitude = np.abs(differences)
    category = np.frexp(magnitude.astype(np.float32))[1].astype(np.uint8)  # number of bits; exact below 2**24
    order = np.argsort(-np.bincount(category, minlength=NUM_CATEGORIES), kind="stable")
    codes, lengths = _huffman(order)
    # F.1.2.1.1: a negative difference is sent as the low bits of the difference minus one.
    low = np.where(differences < 0, differences + (1 << category.astype(np.int32)) - 1, differences)
    values = (codes[category].astype(np.uint64) << category.astype(np.uint64)) | low.astype(np.uint64)
    scan = _pack(values, lengths[category] + category.astype(np.int64))
    return _headers(pixels.shape, precision, order) + scan.replace(b"\xff", b"\xff\x00") + b"\xff\xd9"


def _differences(pixels: NDArray[np.uint16], precision: int) -> NDArray[np.int32]:
    """H.1.2.1: each pixel less its left neighbour; the first of a line less the one above."""
    image = pixels.astype(np.int32)
    predicted = np.empty_like(image)
    predicted[:, 1:] = image[:, :-1]
    predicted[1:, 0] = image[:-1, 0]
    predicted[0, 0] = 1 << (precision - 1)
    return (image - predicted).ravel()


def _huffman(order: NDArray[np.intp]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Give code and code length by category (Annex C, figures C.1 and C.2)."""
    codes, lengths = np.zeros(NUM_CATEGORIES, np.uint32), np.zeros(NUM_CATEGORIES, np.int64)
    code, previous = 0, CODE_LENGTHS[0]
    for category, length in zip(order, CODE_LENGTHS, strict=True):
        code <<= length - previous
        codes[category], lengths[category] = code, length
        code, previous = code + 1, length
    return codes, lengths


def _pack(values: NDArray[np.uint64], lengths: NDArray[np.int64]) -> bytes:
    """Lay bit strings of up to 32 bits end to end, padded with ones (F.1.2.3)."""
    ends = np.cumsum(lengths)
    total = int(ends[-1])
    starts = ends - lengths
    words, shift = starts >> 5, (64 - (starts & 31) - lengths).astype(np.uint64)
    placed = values << shift
    # Bit strings do not overlap, so adding is or-ing; sums below 2**32 are exact in float64.
    num_words = total // 32 + 2
    first = np.bincount(words, (placed >> np.uint64(32)).astype(np.float64), num_words)
    second = np.bincount(words + 1, (placed & np.uint64(0xFFFFFFFF)).astype(np.float64), num_words)
    packed = bytearray((first + second).astype(">u4").tobytes()[: (total + 7) // 8])
    packed[-1] |= (1 << (-total % 8)) - 1
    return bytes(packed)


def _headers(shape: tuple[int, ...], precision: int, order: NDArray[np.intp]) -> bytes:
    rows, columns = shape
    counts = bytes(CODE_LENGTHS.count(length) for length in range(1, 17))
    frame = struct.pack(">BHHBBBB", precision, rows, columns, 1, 1, 0x11, 0)  # SOF3, B.2.2
    table = b"\x00" + counts + bytes(order.tolist())  # DHT, B.2.4.2
    scan = bytes([1, 1, 0, 1, 0, 0])  # SOS, B.2.3: selection value 1
    return b"\xff\xd8" + _segment(0xC3, frame) + _segment(0xC4, table) + _segment(0xDA, scan)


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
