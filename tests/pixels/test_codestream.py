"""What a codestream says is held against the header before anything is decoded; what is cut short is seen."""

from __future__ import annotations

import struct
import tracemalloc
from dataclasses import replace

import imagecodecs
import numpy as np
import pytest
from pydicom import uid
from tests.pixels.encodings import ENCODINGS, LITTLE, named, noisy, with_restarts

from mammosweep.errors import DecodeError, Reason
from mammosweep.geometry import Size
from mammosweep.pixels.codestream import check_codestream
from mammosweep.pixels.codestream.jpeg import walk
from mammosweep.pixels.decoders.table import choose
from mammosweep.pixels.frame import EncodedFrame

MAX_PIXELS = 64_000_000
SHAPE = (67, 45)
COMPRESSED = [e for e in ENCODINGS if e.syntax not in (*LITTLE, uid.ExplicitVRBigEndian)]
WITH_END = [e for e in COMPRESSED if e.syntax != uid.RLELossless]
each = pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda e: e.id)
each_compressed = pytest.mark.parametrize("encoding", COMPRESSED, ids=lambda e: e.id)
each_with_end = pytest.mark.parametrize("encoding", WITH_END, ids=lambda e: e.id)

JPEG2000 = named("openjpeg", uid.JPEG2000Lossless)
SV1 = named("numpy", uid.JPEGLosslessSV1)
RLE = named("2-segments", uid.RLELossless)


def info_of(frame, **changes):
    return check_codestream(replace(frame, **changes), max_pixels=MAX_PIXELS)


def refusal(frame, **changes):
    with pytest.raises(DecodeError) as caught:
        info_of(frame, **changes)
    assert str(caught.value)
    return caught.value.reason


def edited(encoding, change):
    """A frame of which some bytes are other ones."""
    _, frame = encoding.frame(SHAPE)
    code = bytearray(frame.data)
    return replace(frame, data=memoryview(bytes(change(code) or code)))


@each
def test_a_sound_frame_passes_as_what_it_was_declared(encoding):
    _, frame = encoding.frame(SHAPE)

    info = info_of(frame)

    assert info.transfer_syntax == encoding.syntax
    assert encoding.bits <= info.precision <= encoding.bits_allocated
    assert encoding.num_levels in (None, info.num_levels)


@each_with_end
def test_a_frame_of_another_size_is_a_mismatch(encoding):
    _, frame = encoding.frame(SHAPE)

    assert refusal(frame, size_px=Size(68, 90)) is Reason.SIZE_MISMATCH
    assert refusal(frame, size_px=Size(20, 10)) is Reason.SIZE_MISMATCH


@pytest.mark.parametrize(
    "encoding", [e for e in ENCODINGS if e.syntax in (*LITTLE, uid.ExplicitVRBigEndian)], ids=lambda e: e.id
)
def test_native_pixels_of_another_size_are_too_few_or_too_many(encoding):
    _, frame = encoding.frame(SHAPE)

    assert refusal(frame, size_px=Size(68, 90)) is Reason.TRUNCATED
    assert refusal(frame, size_px=Size(20, 10)) is Reason.EXCESS_BYTES


@pytest.mark.parametrize("size", [Size(68, 90), Size(20, 10), Size(67, 44)], ids=str)
@pytest.mark.parametrize(
    "encoding", [e for e in ENCODINGS if e.syntax == uid.RLELossless], ids=lambda e: e.id
)
def test_run_lengths_of_another_size_are_seen_at_the_latest_as_they_are_unpacked(encoding, size):
    _, frame = encoding.frame(SHAPE)
    other = replace(frame, size_px=size)

    def check_and_unpack():
        info_of(other)
        choose(uid.RLELossless).load()(other, np.empty((size.rows, size.columns), np.uint16))

    with pytest.raises(DecodeError) as caught:
        check_and_unpack()

    assert caught.value.reason in (Reason.TRUNCATED, Reason.EXCESS_BYTES, Reason.SIZE_MISMATCH)


@each_with_end
def test_a_frame_of_fewer_bits_than_stored_is_refused(encoding):
    _, frame = encoding.frame(SHAPE)

    assert refusal(frame, bits_stored=17, bits_allocated=32) is Reason.BITS_INVALID


@pytest.mark.parametrize("encoding", [JPEG2000, SV1], ids=lambda e: e.id)
def test_more_bits_than_allocated_are_refused_and_up_to_it_let_through(encoding):
    _, frame = encoding.frame(SHAPE)

    assert refusal(frame, bits_stored=8, bits_allocated=8) is Reason.BITS_INVALID
    assert info_of(frame, bits_stored=10).precision == 12


@each
def test_a_frame_above_the_cap_is_refused(encoding):
    _, frame = encoding.frame(SHAPE)

    with pytest.raises(DecodeError) as caught:
        check_codestream(frame, max_pixels=67 * 45 - 1)
    assert caught.value.reason is Reason.SIZE_TOO_LARGE


@each
@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5, 0.9, 0.99])
def test_a_frame_cut_anywhere_is_refused(encoding, share):
    """RLE's last segment alone hides a cut, until it is unpacked."""
    _, frame = encoding.frame(SHAPE)
    is_hidden = encoding.syntax == uid.RLELossless and share >= 0.1

    cut = frame.data[: int(share * len(frame.data))]

    if not is_hidden:
        assert refusal(frame, data=cut) in (Reason.TRUNCATED, Reason.DECODE_FAILED)


@each_with_end
def test_a_frame_without_its_end_marker_is_cut_short(encoding):
    _, frame = encoding.frame(SHAPE)

    assert refusal(frame, data=frame.data[:-2]) is Reason.TRUNCATED
    assert refusal(frame, data=frame.data[:-1]) is Reason.TRUNCATED


@each_with_end
def test_zeros_may_follow_the_end_and_nothing_else(encoding):
    _, frame = encoding.frame(SHAPE)

    padded = info_of(frame, data=memoryview(bytes(frame.data) + b"\0\0\0"))

    assert bytes(padded.code).endswith(b"\xff\xd9")
    assert refusal(frame, data=memoryview(bytes(frame.data) * 2)) is Reason.EXCESS_BYTES
    assert refusal(frame, data=memoryview(bytes(frame.data) + b"\0" * 99 + b"\1")) is Reason.EXCESS_BYTES


@each_compressed
def test_a_wrong_transfer_syntax_is_recovered(encoding):
    _, frame = encoding.frame(SHAPE)
    narrowest = info_of(frame, transfer_syntax="1.2.3").transfer_syntax

    declared = sorted({e.syntax for e in COMPRESSED})
    found = {syntax: info_of(frame, transfer_syntax=syntax).transfer_syntax for syntax in declared}

    # Either what was declared allows this codestream, or the narrowest that does is named.
    kept = {syntax for syntax in declared if found[syntax] == syntax}
    assert {narrowest, encoding.syntax} <= kept
    assert len(kept) <= 3
    assert {found[syntax] for syntax in declared if syntax not in kept} == {narrowest}


@pytest.mark.parametrize(
    ("name", "written", "declared", "found"),
    [
        ("predictor7", uid.JPEGLossless, uid.JPEGLosslessSV1, uid.JPEGLossless),
        ("numpy", uid.JPEGLosslessSV1, uid.JPEGLossless, uid.JPEGLossless),  # allowed: any predictor
        ("numpy", uid.JPEGLosslessSV1, uid.JPEGExtended12Bit, uid.JPEGLosslessSV1),
        ("numpy", uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.JPEGLosslessSV1),
        ("numpy", uid.JPEGLosslessSV1, uid.RLELossless, uid.JPEGLosslessSV1),
        ("quality100", uid.JPEGExtended12Bit, uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit),
        ("near2", uid.JPEGLSNearLossless, uid.JPEGLSLossless, uid.JPEGLSNearLossless),
        ("charls", uid.JPEGLSLossless, uid.JPEG2000, uid.JPEGLSLossless),
        ("openjph", uid.HTJ2KLossless, uid.JPEG2000Lossless, uid.HTJ2KLossless),
        ("openjpeg", uid.JPEG2000Lossless, uid.HTJ2K, uid.JPEG2000Lossless),
        ("psnr80", uid.JPEG2000, uid.JPEG2000Lossless, uid.JPEG2000),
        ("2-segments", uid.RLELossless, uid.JPEG2000, uid.RLELossless),
    ],
)
def test_the_codestream_says_with_certainty_what_it_is(name, written, declared, found):
    _, frame = named(name, written).frame(SHAPE)

    assert info_of(frame, transfer_syntax=str(declared)).transfer_syntax == found


def test_bytes_of_no_known_codestream_are_refused():
    _, frame = JPEG2000.frame(SHAPE)

    assert refusal(frame, data=memoryview(bytes(1000))) is Reason.DECODE_FAILED


def test_nothing_is_allocated_for_a_frame_that_only_claims_to_be_large():
    _, frame = JPEG2000.frame(SHAPE)
    code = bytearray(frame.data)
    code[8:16] = code[24:32] = struct.pack(">2L", 12_000, 12_000)

    tracemalloc.start()
    assert refusal(frame, data=memoryview(code), size_px=Size(12_000, 12_000)) is Reason.SIZE_TOO_LARGE
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 1_000_000


def test_with_room_above_bits_stored_the_resolution_is_not_lowered():
    """A lower resolution's overshoot would pass for stray bits, and be masked to black."""
    _, frame = JPEG2000.frame(SHAPE)

    assert info_of(frame).num_levels > 0
    assert info_of(frame, bits_stored=11).num_levels == 0


@each
def test_a_codestream_says_whether_it_lost_something(encoding):
    is_shifted = encoding.name == "shifted"  # lost, but within the range

    assert info_of(encoding.frame(SHAPE)[1]).is_lossy == (encoding.max_error > 0 and not is_shifted)


# JPEG 2000


def test_a_signed_component_is_refused():
    def sign(code):
        code[42] |= 0x80

    assert refusal(edited(JPEG2000, sign)) is Reason.SIGNED_PIXELS


def test_a_subsampled_component_is_refused():
    def subsample(code):
        code[43] = 2

    assert refusal(edited(JPEG2000, subsample)) is Reason.PHOTOMETRIC


def test_colour_is_refused():
    colour = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), np.uint8)
    _, frame = named("openjpeg", uid.JPEG2000Lossless, 8).frame(SHAPE)

    for code in (
        imagecodecs.jpeg2k_encode(colour, level=0, codecformat="j2k", reversible=True),
        imagecodecs.jpeg8_encode(colour),
        imagecodecs.jpegls_encode(colour),
    ):
        assert refusal(frame, data=memoryview(bytes(code))) is Reason.PHOTOMETRIC


@pytest.mark.parametrize("tile", [(1, 1), (8, 8)])
def test_more_tiles_than_any_image_has_are_refused(tile):
    def cut_up(code):
        code[8:16] = struct.pack(">2L", 4000, 4000)
        code[24:32] = struct.pack(">2L", *tile)

    assert refusal(edited(JPEG2000, cut_up), size_px=Size(4000, 4000)) is Reason.DECODE_LIMIT


def test_more_packets_than_any_image_has_are_refused():
    def layer(code):
        at = code.index(b"\xff\x52")
        code[at + 6 : at + 8] = b"\xff\xff"
        code[8:16] = code[24:32] = struct.pack(">2L", 7000, 7000)
        coding = code[at + 4 : at + 14]
        levels = coding[5]
        coding[0] |= 1  # precincts follow
        segment = bytes(coding) + b"\x11" * (levels + 1)  # of 2 x 2
        return code[:at] + b"\xff\x52" + struct.pack(">H", 2 + len(segment)) + segment + code[at + 14 :]

    assert refusal(edited(JPEG2000, layer), size_px=Size(7000, 7000)) is Reason.DECODE_LIMIT


def test_a_missing_tile_is_a_cut():
    _, frame = named("tiles", uid.JPEG2000Lossless).frame(SHAPE)
    code = bytes(frame.data)
    last = code.rindex(b"\xff\x90\x00\x0a")

    assert refusal(frame, data=memoryview(code[:last] + b"\xff\xd9")) is Reason.TRUNCATED


def test_a_missing_tile_part_is_a_cut():
    _, frame = named("tiles", uid.HTJ2KLossless, 16).frame(SHAPE)
    code = bytes(frame.data)
    last = code.rindex(b"\xff\x90\x00\x0a")

    assert refusal(frame, data=memoryview(code[:last] + b"\xff\xd9")) is Reason.TRUNCATED


def test_a_piece_missing_from_the_middle_is_damage():
    for name, syntax in (("openjpeg", uid.JPEG2000Lossless), ("openjph", uid.HTJ2KLossless)):
        _, frame = named(name, syntax).frame((130, 129))
        code = bytes(frame.data)
        without = memoryview(code[:2000] + code[2600:])
        assert refusal(frame, data=without) in (Reason.TRUNCATED, Reason.DECODE_FAILED)


def test_a_jp2_file_is_unwrapped_and_its_cut_seen():
    _, frame = named("in-jp2", uid.JPEG2000Lossless).frame(SHAPE)

    assert bytes(info_of(frame).code[:2]) == b"\xff\x4f"
    assert refusal(frame, data=frame.data[:60]) is Reason.TRUNCATED


def test_tiles_that_do_not_halve_are_not_reduced():
    def shift(code):  # an image that begins at column 1
        code[8:12], code[16:20] = struct.pack(">L", 46), struct.pack(">L", 1)
        code[24:28] = struct.pack(">L", 46)

    assert info_of(JPEG2000.frame(SHAPE)[1]).num_levels > 0
    assert info_of(edited(JPEG2000, shift)).num_levels == 0


# JPEG


@pytest.mark.parametrize("process", [0xC2, 0xC5, 0xC9, 0xCB])
def test_processes_that_are_not_sequential_huffman_are_refused(process):
    def rename(code):
        code[code.index(b"\xff\xc3") + 1] = process

    assert refusal(edited(SV1, rename)) is Reason.TRANSFER_SYNTAX


def test_a_second_scan_is_refused():
    def repeat(code):
        scan = code.index(b"\xff\xda")
        return code[:-2] + code[scan:]

    assert refusal(edited(SV1, repeat)) is Reason.DECODE_FAILED


@pytest.mark.parametrize("num_scans", [101, 100_000])
def test_a_bomb_of_scans_is_refused_after_a_hundred(num_scans):
    code = bytes(imagecodecs.jpeg8_encode(np.zeros((64, 64), np.uint8)))
    scan = code.index(b"\xff\xda")

    with pytest.raises(DecodeError) as caught:
        walk(memoryview(code[:scan] + code[scan:-2] * num_scans + b"\xff\xd9"))

    assert caught.value.reason is Reason.DECODE_LIMIT


@pytest.mark.parametrize(
    ("offset", "value"), [(7, 0), (7, 8), (9, 13)], ids=["predictor 0", "predictor 8", "point transform"]
)
def test_a_scan_header_that_no_encoder_writes_is_damage(offset, value):
    def change(code):
        code[code.index(b"\xff\xda") + offset] = value

    assert refusal(edited(SV1, change)) is Reason.DECODE_FAILED


def restarted(change=lambda code: code):
    part = noisy((8, 100), 12)
    code = change(bytearray(with_restarts(part, 9, 12)))
    return EncodedFrame(
        data=memoryview(bytes(code)),
        transfer_syntax=str(uid.JPEGLosslessSV1),
        size_px=Size(72, 100),
        bits_allocated=16,
        bits_stored=12,
    )


def test_restart_markers_are_counted_and_in_order():
    def without_the_last(code):
        return code[: code.rindex(b"\xff\xd7")] + b"\xff\xd9"

    def without_one(code):
        return code[: code.index(b"\xff\xd3")] + code[code.index(b"\xff\xd4") :]

    assert info_of(restarted()).transfer_syntax == uid.JPEGLosslessSV1
    assert refusal(restarted(without_the_last)) is Reason.TRUNCATED
    assert refusal(restarted(without_one)) in (Reason.TRUNCATED, Reason.DECODE_FAILED)
    assert refusal(restarted(lambda code: code.replace(b"\xff\xd3", b"\xff\xd4"))) is Reason.DECODE_FAILED


def test_a_jpeg_of_no_end_of_segments_is_refused():
    def comment(code):
        return code[:2] + b"\xff\xfe\x00\x02" * 5000 + code[2:]

    assert refusal(edited(SV1, comment)) is Reason.DECODE_LIMIT


# RLE


@pytest.mark.parametrize(
    ("at", "value", "reason"),
    [
        (0, 0, Reason.DECODE_FAILED),
        (0, 1, Reason.DECODE_FAILED),
        (0, 3, Reason.DECODE_FAILED),
        (0, 99, Reason.DECODE_FAILED),
        (4, 60, Reason.DECODE_FAILED),
        (8, 64, Reason.DECODE_FAILED),
        (8, 1, Reason.DECODE_FAILED),
        (8, 10**6, Reason.TRUNCATED),
        (8, 66, Reason.TRUNCATED),
        (60, 70, Reason.DECODE_FAILED),
    ],
)
def test_an_rle_header_that_does_not_add_up_is_refused(at, value, reason):
    def change(code):
        code[at : at + 4] = struct.pack("<L", value)

    assert refusal(edited(RLE, change)) is reason


def test_an_rle_segment_far_too_long_is_refused():
    _, frame = RLE.frame(SHAPE)

    assert refusal(frame, data=memoryview(bytes(frame.data) + bytes(10_000))) is Reason.EXCESS_BYTES


# Native


@pytest.mark.parametrize("num_bytes", [1, 2])
def test_native_pixels_are_counted(num_bytes):
    encoding = named(f"{num_bytes}-byte", uid.ExplicitVRLittleEndian, 6 * num_bytes)
    _, frame = encoding.frame((5, 5))
    code = bytes(frame.data)

    assert len(info_of(frame).code) == 25 * num_bytes
    assert refusal(frame, data=memoryview(code[:-1])) is Reason.TRUNCATED
    assert refusal(frame, data=memoryview(code + b"\0\0")) is Reason.EXCESS_BYTES
    assert (num_bytes == 1) == (len(code) % 2 == 1)
    if num_bytes == 1:
        assert len(info_of(frame, data=memoryview(code + b"\0")).code) == 25  # made even
