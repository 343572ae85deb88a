"""What follows the pixels: few elements may, and nothing that is none.

Bytes too many behind the pixels are the only trace of bytes that slipped into them.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

__all__ = ["num_stray_bytes"]

UNDEFINED_LENGTH = 0xFFFFFFFF
MAX_ELEMENTS = 1000  # signatures and padding are one or two
LONG_VRS = frozenset(
    {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
)
VRS = LONG_VRS | frozenset(
    {
        *(b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FL", b"FD", b"IS", b"LO", b"LT", b"PN", b"SH"),
        *(b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"),
    }
)


def num_stray_bytes(
    stream: BinaryIO, start: int, size: int, last_tag: int, *, is_implicit: bool, is_little: bool
) -> int:
    """Count the bytes from the first that begins no element (PS3.5 7.1) to the end.

    Args:
        stream: the data set.
        start: where the pixels end.
        size: where the data set ends.
        last_tag: the pixels' own; tags ascend.
        is_implicit: the VR is not written.
        is_little: the byte order is little endian.
    """
    order = "<" if is_little else ">"
    for _ in range(MAX_ELEMENTS):
        if start >= size:
            return 0
        stream.seek(start)
        tag, length, head = _element(stream.read(12), order, is_implicit)
        if tag <= last_tag:
            return size - start
        if length == UNDEFINED_LENGTH:
            return 0  # a sequence: its items say themselves where it ends
        if start + head + length > size:
            return size - start
        start, last_tag = start + head + length, tag
    return size - start


def _element(head: bytes, order: str, is_implicit: bool) -> tuple[int, int, int]:
    """Tag, length of the value, and bytes before it; a tag of 0 where there is no element."""
    if len(head) < 8:
        return 0, 0, 0
    group, element = struct.unpack_from(f"{order}HH", head)
    tag = group << 16 | element
    if is_implicit:
        return tag, struct.unpack_from(f"{order}L", head, 4)[0], 8
    if head[4:6] not in VRS:
        return 0, 0, 0
    if head[4:6] not in LONG_VRS:
        return tag, struct.unpack_from(f"{order}H", head, 6)[0], 8
    return (tag, struct.unpack_from(f"{order}L", head, 8)[0], 12) if len(head) == 12 else (0, 0, 0)
