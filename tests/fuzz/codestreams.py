"""Codestreams' own headers, as far as they are edited: T.81 B.2.2, T.87 C.2.2, T.800 A.5.1, PS3.5 G.5."""

from __future__ import annotations

import struct
from random import Random

from pydicom import uid
from tests.fuzz.corpus import COLUMNS, ROWS, Seed

__all__ = ["END", "entropy_start", "is_lossless", "precision", "resized"]

END = b"\xff\xd9"
J2K = (uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K)
JPEG = (
    *(uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1),
    *(uid.JPEGLSLossless, uid.JPEGLSNearLossless),
)
LOSSY = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLSNearLossless, uid.JPEG2000)
FRAME_MARKERS = (0xC0, 0xC1, 0xC2, 0xC3, 0xF7)
SOS, SOT, SIZ = b"\xff\xda", b"\xff\x90", b"\xff\x51"
RLE_HEADER = 64


def is_lossless(seed: Seed) -> bool:
    """Whether its stream decodes to what was encoded."""
    return seed.syntax not in LOSSY


def frame_header(seed: Seed) -> int:
    """Where the frame header's P stands in a JPEG or JPEG-LS stream."""
    return next(at for marker, at in segments(seed.stream) if marker in FRAME_MARKERS) + 4


def segments(stream: bytes) -> list[tuple[int, int]]:
    """Marker and place of every marker segment before the entropy-coded data."""
    found, at = [], 2
    while True:
        marker = stream[at + 1]
        found.append((marker, at))
        if marker in (SOS[1], SOT[1]):
            return found
        at += 2 + struct.unpack_from(">H", stream, at + 2)[0]


def entropy_start(seed: Seed) -> int:
    """Where the entropy-coded data begin."""
    if seed.syntax == uid.RLELossless:
        return RLE_HEADER
    _, at = segments(seed.stream)[-1]
    if seed.syntax in J2K:
        return seed.stream.index(b"\xff\x93", at) + 2  # SOD
    return at + 2 + int(struct.unpack_from(">H", seed.stream, at + 2)[0])


def patched(stream: bytes, at: int, value: bytes) -> bytes:
    return stream[:at] + value + stream[at + len(value) :]


def siz(seed: Seed) -> int:
    """Where SIZ stands."""
    return seed.stream.index(SIZ)


def resized(random: Random, seed: Seed) -> bytes | None:
    """Rows or columns as the stream says them are others; None where it says none."""
    rows, columns = ROWS, COLUMNS
    limit = random.choice((128, 4096, 65535))
    while (rows, columns) == (ROWS, COLUMNS):
        rows, columns = random.choice(((random.randint(0, limit), columns), (rows, random.randint(0, limit))))
    if seed.syntax in J2K:
        at = siz(seed) + 6
        stream = patched(seed.stream, at, struct.pack(">LL", columns, rows))
        # The tile is as large as the image, or most of it would be missing for another reason.
        return patched(stream, at + 16, struct.pack(">LL", max(columns, 1), max(rows, 1)))
    if seed.syntax in JPEG:
        return patched(seed.stream, frame_header(seed) + 1, struct.pack(">HH", rows, columns))
    return None


def precision(seed: Seed) -> int | None:
    """Bits a sample as the stream says them."""
    if seed.syntax in J2K:
        return (seed.stream[siz(seed) + 40] & 0x7F) + 1
    return seed.stream[frame_header(seed)] if seed.syntax in JPEG else None


def with_precision(seed: Seed, bits: int) -> bytes | None:
    """The stream with another precision; None where it says none."""
    if seed.syntax in J2K:
        return patched(seed.stream, siz(seed) + 40, bytes([bits - 1]))
    return patched(seed.stream, frame_header(seed), bytes([bits])) if seed.syntax in JPEG else None


def with_components(seed: Seed, num: int) -> bytes | None:
    """The stream with another number of components; None where it says none."""
    if seed.syntax in J2K:
        return patched(seed.stream, siz(seed) + 38, struct.pack(">H", num))
    return patched(seed.stream, frame_header(seed) + 5, bytes([num])) if seed.syntax in JPEG else None


def with_smaller_tiles(random: Random, seed: Seed) -> bytes:
    """XTsiz and YTsiz smaller than the image."""
    size = struct.pack(">LL", random.randint(0, COLUMNS - 1), random.randint(0, ROWS))
    return patched(seed.stream, siz(seed) + 22, size)


def with_wrong_tile_length(random: Random, seed: Seed) -> bytes:
    """Psot of the first tile part."""
    at = seed.stream.index(SOT) + 6
    right = struct.unpack_from(">L", seed.stream, at)[0]
    wrong = random.choice((right - 1, right + 1, right // 2, 2 * right, random.randint(1, 0xFFFFFFFF), 1, 12))
    wrong = right + 7 if wrong == right else wrong
    return patched(seed.stream, at, struct.pack(">L", wrong))


def with_wrong_segments(random: Random, seed: Seed) -> bytes:
    """The RLE header's number of segments, or the place of one."""
    num = struct.unpack_from("<L", seed.stream)[0]
    if random.random() < 0.5:
        wrong = random.choice([n for n in (0, 1, 2, 3, 15, 16, 0xFFFFFFFF) if n != num])
        return patched(seed.stream, 0, struct.pack("<L", wrong))
    index = random.randint(1, num)
    right = struct.unpack_from("<L", seed.stream, 4 * index)[0]
    wrong = random.choice((0, 4, 63, right + 1, right - 1, len(seed.stream), 0xFFFFFFF0))
    return patched(seed.stream, 4 * index, struct.pack("<L", wrong))


def with_wrong_marker_length(random: Random, seed: Seed) -> bytes | None:
    """The length of one marker segment; None where there is none."""
    if seed.syntax not in (*J2K, *JPEG):
        return None
    _, at = random.choice(segments(seed.stream))
    wrong = random.choice((0, 1, 2, 3, 0xFFFF, random.randrange(1 << 16)))
    return patched(seed.stream, at + 2, struct.pack(">H", wrong))
