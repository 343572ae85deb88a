"""Codestreams that no honest encoder writes: bombs, cuts, other sizes."""

from __future__ import annotations

import struct

import imagecodecs
import numpy as np

__all__ = ["cut", "cut_but_ended", "j2k_bomb", "scan_bomb", "with_j2k_size"]

END = b"\xff\xd9"  # of JPEG, JPEG-LS and JPEG 2000 alike


def cut(share: float):
    """The first part of a codestream, its end marker lost."""
    return lambda stream: stream[: int(len(stream) * share) // 2 * 2]


def cut_but_ended(share: float):
    """The first part of a codestream, its end marker put back."""
    return lambda stream: stream[: int(len(stream) * share) // 2 * 2] + END


def with_j2k_size(stream: bytes, rows: int, columns: int) -> bytes:
    """Image and tile size in SIZ (T.800 A.5.1) replaced; nothing else."""
    at = stream.index(b"\xff\x51") + 6  # marker, Lsiz, Rsiz
    size = struct.pack(">LLLLLL", columns, rows, 0, 0, columns, rows)
    return stream[:at] + size + stream[at + len(size) :]


def j2k_bomb(rows: int, columns: int) -> bytes:
    """A valid JPEG 2000 codestream of some hundred bytes: every packet of the one tile is empty."""
    flat = np.full((64, 64), 2048, np.uint16)
    stream = imagecodecs.jpeg2k_encode(flat, level=0, codecformat="j2k", reversible=True, bitspersample=12)
    return with_j2k_size(bytes(stream), rows, columns)


def scan_bomb(rows: int, columns: int, scans: int, precision: int = 12) -> bytes:
    """A valid progressive JPEG (T.81 annex G) whose scans all say: nothing here, go through every block.

    A scan takes some 60 bytes, and of a decoder about 4 ms for 49 megapixels.
    """
    blocks = -(-rows // 8) * -(-columns // 8)
    tables = _segment(0xDB, b"\0" + b"\1" * 64) + _huffman(0x00, 0x00) + _huffman(0x10, 0xE0)
    frame = _segment(0xC2, struct.pack(">BHHB", precision, rows, columns, 1) + b"\1\x11\0")
    first = _scan(0, 0) + _packed("0" * blocks)
    return b"\xff\xd8" + tables + frame + first + (_scan(1, 63) + _packed(_all_ended(blocks))) * scans + END


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _huffman(which: int, symbol: int) -> bytes:
    """A table of one symbol, whose code is a single 0."""
    return _segment(0xC4, bytes([which, 1, *[0] * 15, symbol]))


def _scan(first: int, last: int) -> bytes:
    return _segment(0xDA, bytes([1, 1, 0x00, first, last, 0]))


def _all_ended(blocks: int) -> str:
    """Runs of "end of band" over at least so many blocks: EOB14 and 14 bits (T.81 G.1.2.2)."""
    bits = ""
    while blocks > 0:
        run = min(max(blocks, 1 << 14), (1 << 15) - 1)
        bits += "0" + format(run - (1 << 14), "014b")
        blocks -= run
    return bits


def _packed(bits: str) -> bytes:
    """Bits as entropy-coded bytes: filled with ones, a zero after each FF."""
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
