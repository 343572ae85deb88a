"""How files are spoilt: named kinds, each with what may become of its files.

Three verdicts. REFUSED: invalid by construction, so accepting such a file is a finding. SAME: neither pixels
nor what describes them was touched, so the file is refused, or its pixels are the original's. ANY: bits of an
entropy-coded stream, of its tables or of native pixels were changed; no syntax carries a checksum, so nobody
can tell whether the pixels are right, and only size, range, time and memory are judged.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from random import Random

from pydicom import uid
from tests.fuzz import codestreams
from tests.fuzz.codestreams import END
from tests.fuzz.corpus import COLUMNS, ITEM, ROWS, Seed

__all__ = ["KINDS", "Mutant", "Verdict", "mutant"]

ROWS_TAG, COLUMNS_TAG, FRAMES_TAG = 0x00280010, 0x00280011, 0x00280008
ALLOCATED_TAG, STORED_TAG, HIGH_BIT_TAG, SIGN_TAG = 0x00280100, 0x00280101, 0x00280102, 0x00280103
SAMPLES_TAG, PHOTOMETRIC_TAG = 0x00280002, 0x00280004
RLE = uid.RLELossless
J2K_LIKE = (uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K)


class Verdict(StrEnum):
    """What may become of a file."""

    REFUSED = "refused"
    SAME = "refused or the same pixels"
    ANY = "refused or any pixels"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A spoilt file and its verdict."""

    data: bytes
    verdict: Verdict


Kind = Callable[[Random, Seed, Sequence[Seed]], Mutant | None]
"""Makes a mutant of the seed, perhaps with another seed's help; None where it does not apply."""


def mutant(random: Random, corpus: Sequence[Seed]) -> tuple[str, Seed, Mutant]:
    """A kind, a seed, and what the one makes of the other."""
    while True:
        name, seed = random.choice(NAMES), random.choice(corpus)
        if (made := KINDS[name](random, seed, corpus)) is not None:
            return name, seed, made


def refused(data: bytes) -> Mutant:
    return Mutant(data, Verdict.REFUSED)


def same(data: bytes) -> Mutant:
    return Mutant(data, Verdict.SAME)


def anything(data: bytes) -> Mutant:
    return Mutant(data, Verdict.ANY)


def other(random: Random, low: int, high: int, but: int) -> int:
    """A whole number in low..high other than one."""
    value = random.randint(low, high - 1)
    return value + (value >= but)


# The file as a whole


def file_cut(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant:
    whole = seed.file()
    spare = 2 if seed.is_deflated else 1  # a pad byte, which is no loss
    return refused(whole[: random.randint(0, len(whole) - spare)])


def file_chunk_removed(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant:
    """In the header: refused, or nothing that matters. In Pixel Data: always too few bytes."""
    header, pixels, in_header = parts(random, seed)
    target = header if in_header else pixels
    start = random.randrange(len(target) - 1)
    size = random.randint(1, min(200, len(target) - start))
    return reassembled(seed, header, pixels, in_header, target[:start] + target[start + size :])


def file_chunk_inserted(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant:
    """In Pixel Data what no longer has room is no element either, so it cannot stand behind."""
    header, pixels, in_header = parts(random, seed)
    target = header if in_header else pixels
    start = random.randrange(1, len(target))
    junk = random.randbytes(random.randint(1, 200))
    return reassembled(seed, header, pixels, in_header, target[:start] + junk + target[start:])


def file_chunk_doubled(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant:
    header, pixels, in_header = parts(random, seed)
    target = header if in_header else pixels
    start = random.randrange(len(target) - 1)
    size = random.randint(1, min(200, len(target) - start))
    chunk = target[start : start + size]
    return reassembled(
        seed, header, pixels, in_header, target[: start + size] + chunk + target[start + size :]
    )


def parts(random: Random, seed: Seed) -> tuple[bytes, bytes, bool]:
    return seed.header, seed.pixel_data(seed.stream), random.random() < 0.5


def reassembled(seed: Seed, header: bytes, pixels: bytes, in_header: bool, changed: bytes) -> Mutant:
    if in_header:
        return same(seed.file(header=changed, pixel_data=pixels))
    data = seed.file(pixel_data=changed)
    return same(data) if changed == pixels else refused(data)


def file_bits_flipped_in_header(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant:
    header = flipped(random, seed.meta[128:] + seed.header, random.choice((1, 1, 1, 2, 8)))
    size = len(seed.meta) - 128
    return same(seed.file(meta=seed.meta[:128] + header[:size], header=header[size:]))


def file_preamble_changed(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant:
    return same(seed.file(meta=random.randbytes(128) + seed.meta[128:]))


def file_deflate_damaged(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant | None:
    if not seed.is_deflated:
        return None
    whole = seed.file()
    start = len(seed.meta)
    return anything(whole[:start] + flipped(random, whole[start:], 1))


def flipped(random: Random, data: bytes, bits: int) -> bytes:
    changed = bytearray(data)
    for _ in range(bits):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


# The header


def header_rows_or_columns(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant:
    tag, size = random.choice(((ROWS_TAG, ROWS), (COLUMNS_TAG, COLUMNS)))
    value = other(random, 0, random.choice((128, 4096, 65535)), but=size)
    return refused(seed.file(header=seed.with_number(tag, value)))


def header_rows_and_columns_swapped(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant:
    """As many pixels: where the stream has no size of its own, nothing shows it."""
    header = seed.with_number(ROWS_TAG, COLUMNS)
    at = seed.find(COLUMNS_TAG)
    header = header[: at.value] + struct.pack(f"{seed.order}H", ROWS) + header[at.stop :]
    data = seed.file(header=header)
    return anything(data) if seed.is_native or seed.syntax == RLE else refused(data)


def header_bits(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant:
    """One of the numbers that must fit together no longer does."""
    tag = random.choice((ALLOCATED_TAG, HIGH_BIT_TAG, SIGN_TAG, SAMPLES_TAG))
    value = other(random, 0, random.choice((32, 65535)), but=seed.number(tag))
    data = seed.file(header=seed.with_number(tag, value))
    # 8 bits may be allocated 16, which a codestream does not care about.
    fits = tag == ALLOCATED_TAG and value == 16 and not seed.is_native and seed.syntax != RLE
    return same(data) if fits else refused(data)


def header_bits_stored(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant:
    """Bits Stored and High Bit, in agreement: more bits than there are values for change none."""
    bits = other(random, 0, 20, but=seed.bits)
    header = bytearray(seed.with_number(STORED_TAG, bits))
    at = seed.find(HIGH_BIT_TAG)
    header[at.value : at.stop] = struct.pack(f"{seed.order}H", max(bits - 1, 0))
    data = seed.file(header=bytes(header))
    if not 1 <= bits <= seed.allocated:
        return refused(data)
    return same(data) if bits > seed.bits else anything(data)


def header_frames(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant:
    """Number of Frames other than 1, before Rows."""
    value = random.choice((b"2 ", b"-1", b"3.5 ", b"99999999", b"many"))
    kind = (
        struct.pack("<L", len(value))
        if seed.is_implicit
        else b"IS" + struct.pack(f"{seed.order}H", len(value))
    )
    at = seed.find(ROWS_TAG).start
    element = struct.pack(f"{seed.order}HH", 0x0028, 0x0008) + kind + value
    return refused(seed.file(header=seed.header[:at] + element + seed.header[at:]))


def header_photometric(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant:
    word = random.choice((b"RGB", b"PALETTE COLO", b"YBR_FULL", b"MONOCHROME3", b""))
    return refused(seed.file(header=seed.with_value(PHOTOMETRIC_TAG, word.ljust(12))))


def header_transfer_syntax(random: Random, seed: Seed, corpus: Sequence[Seed]) -> Mutant:
    """Another one is declared. What a codestream says itself may win, so the pixels must be the same."""
    syntax = random.choice(
        [s.syntax for s in corpus if s.syntax != seed.syntax] + ["1.2.840.10008.1.2.4.100"]
    )
    return same(seed.file(meta=declared(seed.meta, syntax)))


def declared(meta: bytes, syntax: str) -> bytes:
    """Meta information with another transfer syntax."""
    at = meta.index(b"\x02\x00\x10\x00UI")
    length = struct.unpack_from("<H", meta, at + 6)[0]
    value = syntax.encode() + b"\0" * (len(syntax) % 2)
    group = struct.unpack_from("<L", meta, 140)[0] + len(value) - length
    element = meta[at : at + 6] + struct.pack("<H", len(value)) + value
    return meta[:140] + struct.pack("<L", group) + meta[144:at] + element + meta[at + 8 + length :]


def header_length(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant:
    """An element's length is another one."""
    element = random.choice(seed.elements)
    width = 2 if element.value - element.start == 8 and not seed.is_implicit else 4
    value = random.choice((0, 1, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFF0, random.randrange(1 << 16)))
    length = struct.pack(f"{seed.order}{'H' if width == 2 else 'L'}", value & ((1 << 8 * width) - 1))
    at = element.value - width
    return same(seed.file(header=seed.header[:at] + length + seed.header[element.value :]))


def header_vr(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant | None:
    if seed.is_implicit:
        return None
    at = random.choice(seed.elements).start + 4
    vr = random.choice((b"OB", b"SQ", b"UN", b"US", b"DS", b"UI", b"LO", b"AT", b"OW", b"\0\0", b"zz"))
    return same(seed.file(header=seed.header[:at] + vr + seed.header[at + 2 :]))


def header_element_removed(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant:
    gone = random.choice(seed.elements)
    return same(seed.file(header=seed.header[: gone.start] + seed.header[gone.stop :]))


def header_value_noise(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant:
    """Random bytes in place of a value that does not describe pixels."""
    element = random.choice([e for e in seed.elements if e.tag >> 16 != 0x0028 and e.stop > e.value])
    noise = random.randbytes(element.stop - element.value)
    return same(seed.file(header=seed.header[: element.value] + noise + seed.header[element.stop :]))


# Pixel Data


def pixels_length(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant | None:
    """Native Pixel Data declares another length, or has another one."""
    if not seed.is_native:
        return None
    size = len(seed.stream)
    if random.random() < 0.5:
        wrong = other(random, 0, random.choice((2 * size, 0xFFFFFFFE)), but=size)
        return refused(seed.file(pixel_data=seed.pixel_data(seed.stream, length=wrong)))
    stream = (seed.stream * 2)[: 2 * other(random, 0, size, but=size // 2)]
    return refused(seed.file(stream=stream))


def fragments_split(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant | None:
    """Valid, but for RLE, whose frame is one fragment (PS3.5 A.4.2)."""
    if seed.is_native:
        return None
    data = seed.file(pixel_data=seed.pixel_data(*split(random, seed)))
    return refused(data) if seed.syntax == RLE else same(data)


def split(random: Random, seed: Seed) -> list[bytes]:
    stream = seed.stream
    cuts = sorted({0, len(stream), *(2 * random.randint(1, len(stream) // 2 - 1) for _ in range(3))})
    return [stream[a:b] for a, b in pairwise(cuts)]


def fragments_miscounted(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant | None:
    """One is missing, empty, there twice, or the first two are exchanged."""
    if seed.is_native:
        return None
    pieces = split(random, seed)
    index = random.randrange(len(pieces))
    change = random.choice(("none", "missing", "empty", "exchanged", "whole twice"))
    if change == "none":
        pieces = []
    elif change == "missing":
        del pieces[index]
    elif change == "empty":
        pieces.insert(index, b"")
    elif change == "exchanged":
        pieces[:2] = reversed(pieces[:2])
    else:
        pieces = [seed.stream, seed.stream]
    data = seed.file(pixel_data=seed.pixel_data(*pieces))
    # Amid entropy-coded data a gap need not show: the code may fall into step again, with no bit left over.
    is_gap = change == "missing" and 0 < index < len(pieces) and seed.syntax not in (RLE, *J2K_LIKE)
    return anything(data) if is_gap else refused(data)


def fragments_offsets(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant | None:
    """An offset table of the one frame, right or wrong: all fragments make the frame. Of more: refused."""
    if seed.is_native:
        return None
    num = random.choice((1, 1, 2, 5))
    offsets = tuple(random.choice((0, random.randrange(1 << 32))) for _ in range(num))
    data = seed.file(pixel_data=seed.pixel_data(seed.stream, offsets=offsets))
    return same(data) if num == 1 else refused(data)


def fragments_item_damaged(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant | None:
    """An item's tag or length, or the sequence's end, is changed."""
    if seed.is_native:
        return None
    whole = seed.pixel_data(seed.stream)
    item = whole.index(ITEM, 20)  # behind the offset table
    where = random.choice((item, item + 4, len(whole) - 8))
    size = 4 if where != item + 4 else len(whole) - item - 16
    wrong = struct.pack("<L", other(random, 0, random.choice((2 * size, 0xFFFFFFFF)), but=size))
    if where == item + 4:
        return refused(seed.file(pixel_data=whole[:where] + wrong + whole[where + 4 :]))
    broken = flipped(random, whole[where : where + 4], 1)
    return refused(seed.file(pixel_data=whole[:where] + broken + whole[where + 4 :]))


def pixels_values_changed(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant | None:
    if not seed.is_native:
        return None
    return anything(seed.file(stream=flipped(random, seed.stream, random.randint(1, 20))))


# The codestream


def stream_cut(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant | None:
    """Its last bytes are missing: at least two, of which RLE may have padded one."""
    if seed.is_native:
        return None
    least = 4 if seed.syntax == RLE else 1
    return refused(seed.file(stream=seed.stream[: random.randint(1, len(seed.stream) - least)]))


def stream_cut_but_ended(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant | None:
    """Bytes before the end marker are missing."""
    if seed.is_native or seed.syntax == RLE:
        return None
    return refused(seed.file(stream=seed.stream[: random.randint(2, len(seed.stream) - 3)] + END))


def stream_size(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant | None:
    """The codestream's own size is another."""
    stream = codestreams.resized(random, seed)
    return None if stream is None else refused(seed.file(stream=stream))


def stream_precision(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant | None:
    """Its own precision is another. That of Bits Allocated is legal: encoders write it whatever is stored."""
    precision = other(random, 1, 38, but=codestreams.precision(seed) or 0)
    stream = codestreams.with_precision(seed, precision)
    if stream is None:
        return None
    data = seed.file(stream=stream)
    return anything(data) if precision == seed.allocated else refused(data)


def stream_components(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant | None:
    stream = codestreams.with_components(seed, other(random, 0, 255, but=1))
    return None if stream is None else refused(seed.file(stream=stream))


def stream_tiles(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant | None:
    """Tiles that are smaller than the image: most are missing then."""
    if seed.syntax not in J2K_LIKE:
        return None
    return refused(seed.file(stream=codestreams.with_smaller_tiles(random, seed)))


def stream_tile_length(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant | None:
    """Psot is wrong; 0 would mean "up to the end"."""
    if seed.syntax not in J2K_LIKE:
        return None
    return refused(seed.file(stream=codestreams.with_wrong_tile_length(random, seed)))


def stream_segments(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant | None:
    """RLE: number and offsets of the segments are wrong."""
    if seed.syntax != RLE:
        return None
    return refused(seed.file(stream=codestreams.with_wrong_segments(random, seed)))


def stream_marker_length(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant | None:
    """The length of a marker segment is wrong: what follows is read out of step."""
    stream = codestreams.with_wrong_marker_length(random, seed)
    return None if stream is None else anything(seed.file(stream=stream))


def stream_bits_flipped_in_header(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant | None:
    if seed.is_native:
        return None
    start = codestreams.entropy_start(seed)
    head = flipped(random, seed.stream[:start], random.choice((1, 1, 3)))
    return anything(seed.file(stream=head + seed.stream[start:]))


def stream_bits_flipped_in_data(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant | None:
    if seed.is_native:
        return None
    start = codestreams.entropy_start(seed)
    data = flipped(random, seed.stream[start:], random.choice((1, 1, 4, 40)))
    return anything(seed.file(stream=seed.stream[:start] + data))


def stream_chunk_changed(random: Random, seed: Seed, _: Sequence[Seed]) -> Mutant | None:
    """A piece is removed, doubled or overwritten. It shows where tiles say their length, in JPEG 2000."""
    if seed.is_native:
        return None
    start = random.randrange(codestreams.entropy_start(seed), len(seed.stream) - 4)
    size = random.randint(1, min(300, len(seed.stream) - 2 - start))
    chunk, rest = seed.stream[start : start + size], seed.stream[start + size :]
    how = random.choice(("removed", "doubled", "noise"))
    middle = {"removed": b"", "doubled": chunk + chunk, "noise": random.randbytes(size)}[how]
    data = seed.file(stream=seed.stream[:start] + middle + rest)
    return refused(data) if seed.syntax in J2K_LIKE and how != "noise" else anything(data)


def spliced_streams(random: Random, seed: Seed, corpus: Sequence[Seed]) -> Mutant | None:
    """The beginning of one codestream, the rest of another syntax's."""
    mate = random.choice([s for s in corpus if not s.is_native and s.syntax != seed.syntax])
    if seed.is_native:
        return None
    head, tail = random.randrange(1, len(seed.stream)), random.randrange(1, len(mate.stream))
    data = seed.file(stream=seed.stream[:head] + mate.stream[tail:])
    return refused(data) if seed.syntax in J2K_LIKE else anything(data)


def spliced_files(random: Random, seed: Seed, corpus: Sequence[Seed]) -> Mutant | None:
    """One file's header before another syntax's Pixel Data: refused, or recovered with the same pixels."""
    mates = [s for s in corpus if s.syntax != seed.syntax and s.allocated == seed.allocated]
    mate = random.choice(mates)
    if seed.is_native or mate.is_native or "lossless" not in (seed.name + mate.name).lower():
        return None
    if not all(codestreams.is_lossless(s) for s in (seed, mate)):
        return None
    return same(seed.file(stream=mate.stream))


KINDS: dict[str, Kind] = {
    made.__name__.replace("_", " "): made
    for made in (
        *(file_cut, file_chunk_removed, file_chunk_inserted, file_chunk_doubled),
        *(file_bits_flipped_in_header, file_preamble_changed, file_deflate_damaged),
        *(header_rows_or_columns, header_rows_and_columns_swapped, header_bits, header_bits_stored),
        *(header_frames, header_photometric, header_transfer_syntax, header_length, header_vr),
        *(header_element_removed, header_value_noise),
        *(pixels_length, pixels_values_changed),
        *(fragments_split, fragments_miscounted, fragments_offsets, fragments_item_damaged),
        *(stream_cut, stream_cut_but_ended, stream_size, stream_precision, stream_components),
        *(stream_tiles, stream_tile_length, stream_segments, stream_marker_length),
        *(stream_bits_flipped_in_header, stream_bits_flipped_in_data, stream_chunk_changed),
        *(spliced_streams, spliced_files),
    )
}
NAMES = tuple(KINDS)
