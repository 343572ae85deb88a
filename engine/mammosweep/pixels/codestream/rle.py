"""The header of DICOM's run lengths (PS3.5 Annex G): how many segments, and where each begins."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from itertools import pairwise

from pydicom.uid import RLELossless

from mammosweep.errors import DecodeError, Reason
from mammosweep.pixels.codestream.outline import Outline, damaged, torn
from mammosweep.pixels.frame import EncodedFrame

__all__ = ["Segments", "is_rle", "read_rle", "segments_of"]

HEADER_BYTES = 64
MAX_SEGMENTS = 15
MAX_RUN = 128  # bytes that two bytes of code can stand for (G.3.1)


@dataclass(frozen=True, slots=True)
class Segments:
    """The byte planes of a frame, packed; the most significant first (G.2)."""

    packed: tuple[memoryview, ...] = field(repr=False)


def is_rle(encoded: EncodedFrame) -> bool:
    """Whether the frame begins with an RLE header that fits its pixels, as no JPEG does."""
    if len(encoded.data) < HEADER_BYTES:
        return False
    num, first = struct.unpack_from("<2L", encoded.data)
    return (num, first) == (encoded.bits_allocated // 8, HEADER_BYTES)


def read_rle(encoded: EncodedFrame) -> Outline:
    """Check that the segments are as many as the pixels have bytes, and long enough.

    Whether a segment holds the very number of bytes is seen as it is unpacked.

    Raises:
        DecodeError: TRUNCATED, EXCESS_BYTES or DECODE_FAILED.
    """
    packed = segments_of(encoded.data).packed
    expected = encoded.bits_allocated // 8
    if len(packed) != expected:
        raise damaged(f"the RLE header lists {len(packed)} segments; gray pixels need {expected}")
    least = 2 * -(-encoded.size_px.area // MAX_RUN)
    most = 2 * encoded.size_px.area + 1
    for number, segment in enumerate(packed, 1):
        if len(segment) < least:
            raise torn(f"RLE segment {number} has {len(segment)} bytes; the frame needs at least {least}")
        if len(segment) > most:
            raise DecodeError(
                Reason.EXCESS_BYTES,
                f"RLE segment {number} has {len(segment)} bytes; the frame needs at most {most}",
            )
    return Outline(
        code=encoded.data,
        syntaxes=(str(RLELossless),),
        size_px=encoded.size_px,
        precision=encoded.bits_allocated,
    )


def segments_of(data: memoryview) -> Segments:
    """Cut the frame at the offsets of its header (G.5).

    Raises:
        DecodeError: TRUNCATED or DECODE_FAILED.
    """
    if len(data) < HEADER_BYTES:
        raise torn(f"the RLE frame has {len(data)} bytes; its header alone has {HEADER_BYTES}")
    num, *offsets = struct.unpack_from("<16L", data)
    if not 1 <= num <= MAX_SEGMENTS or offsets[0] != HEADER_BYTES or any(offsets[num:]):
        raise damaged(f"the RLE header lists {num} segments, the first at {offsets[0]}; expected 64")
    bounds = [*offsets[:num], len(data)]
    if any(end <= start for start, end in pairwise(bounds[:num])):
        raise damaged("the RLE header's offsets do not ascend")
    if bounds[num - 1] >= len(data):
        raise torn(f"the last RLE segment begins at byte {bounds[num - 1]} of {len(data)}")
    return Segments(tuple(data[start:end] for start, end in pairwise(bounds)))
