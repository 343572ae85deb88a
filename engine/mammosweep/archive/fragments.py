"""The outline of encapsulated pixel data (PS3.5 A.4): its items' lengths, unread."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

from mammosweep.errors import HeaderError, Reason

__all__ = ["Fragments", "check_fragments", "read_fragments"]

ITEM, DELIMITER = 0xFFFEE000, 0xFFFEE0DD
MAX_FRAGMENTS = 100_000


@dataclass(frozen=True, slots=True)
class Fragments:
    """What lies between Pixel Data's tag and its end."""

    num_offsets: int  # entries of the basic offset table, one for each frame where it is used
    sizes: tuple[int, ...]  # bytes of each fragment, in order
    starts: tuple[int, ...]  # where each fragment's bytes begin in the file
    end: int  # where the sequence ends, behind its delimiter
    torn: bool  # the file ends before the sequence does
    stray: bool  # something that is no item stands between the items


def read_fragments(stream: BinaryIO, size: int) -> Fragments:
    """Walk the items from the stream's position; `size` is where the file ends."""
    lengths: list[int] = []
    starts: list[int] = []
    torn = stray = False
    while len(lengths) <= MAX_FRAGMENTS:
        head = stream.read(8)
        if len(head) < 8:
            torn = True
            break
        group, element, length = struct.unpack("<HHL", head)
        tag = group << 16 | element
        if tag != ITEM:
            stray = tag != DELIMITER
            break
        if stream.tell() + length > size:
            torn = True
            break
        lengths.append(length)
        starts.append(stream.tell())
        stream.seek(length, 1)
    table, *sizes = lengths or [0]
    return Fragments(table // 4, tuple(sizes), tuple(starts[1:]), stream.tell(), torn, stray)


def check_fragments(fragments: Fragments, num_frames: int, *, one_each: bool) -> None:
    """Compare the items with the frames they carry; `one_each`: a frame is exactly one fragment.

    Raises:
        HeaderError: TRUNCATED or FRAGMENTS_INVALID.
    """
    num = len(fragments.sizes)
    if fragments.torn:
        raise HeaderError(
            Reason.TRUNCATED, f"the file ends inside Pixel Data, after {num} whole fragments; copy it again"
        )
    if fragments.stray:
        raise _invalid(f"what follows fragment {num} of Pixel Data is no item and no end")
    if num == 0 or not all(fragments.sizes):
        raise _invalid(
            f"Pixel Data holds {num} fragments, one or all of them empty" if num else "Pixel Data is empty"
        )
    if fragments.num_offsets not in (0, num_frames):
        raise _invalid(
            f"the offset table lists {fragments.num_offsets} frames; expected {num_frames} or none"
        )
    if num < num_frames or (one_each and num != num_frames):
        raise _invalid(f"Pixel Data holds {num} fragments; expected {num_frames}, one for each frame")


def _invalid(message: str) -> HeaderError:
    return HeaderError(Reason.FRAGMENTS_INVALID, message)
