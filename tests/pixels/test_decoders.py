"""Every decoder gives the truth of every encoding that it claims; at lower resolutions they agree."""

from __future__ import annotations

from dataclasses import replace

import imagecodecs
import numpy as np
import pytest
import torch
from pydicom import uid
from tests.pixels.encodings import ENCODINGS, SHAPES, Encoding, framed, named, noisy, with_restarts

from mammosweep.errors import DecodeError, DeviceError, Reason
from mammosweep.geometry import Size
from mammosweep.phantom.jpeg_lossless import encode_jpeg_lossless
from mammosweep.pixels.codestream import check_codestream
from mammosweep.pixels.decoders import CODECS, choose
from mammosweep.pixels.decoders.image_codecs import decode_htj2k
from mammosweep.pixels.decoders.jpeg import decode_jpeg
from mammosweep.pixels.decoders.openjpeg import decode_jpeg2000
from mammosweep.pixels.frame import reduced_size

MAX_PIXELS = 64_000_000

needs_gpu = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]

CLAIMS = [
    pytest.param(
        codec, encoding, id=f"{codec.name}-{encoding.id}", marks=needs_gpu if codec.device == "cuda" else ()
    )
    for codec in CODECS
    for encoding in ENCODINGS
    if encoding.syntax in codec.syntaxes
]


def checked(frame):
    info = check_codestream(frame, max_pixels=MAX_PIXELS)
    return replace(frame, data=info.code, transfer_syntax=info.transfer_syntax), info


def decoded(decode, frame, reduce=0):
    size = reduced_size(frame.size_px, reduce)
    out = np.full((size.rows, size.columns), 0xA5A5, np.uint16)
    decode(frame, out, reduce=reduce)
    return out


@pytest.mark.parametrize(("codec", "encoding"), CLAIMS)
def test_a_decoder_gives_the_truth_of_every_encoding_that_it_claims(codec, encoding):
    for shape in SHAPES if codec.library != "dali" else SHAPES[:2]:
        pixels, frame = encoding.frame(shape)

        found = decoded(codec.load(), checked(frame)[0])

        assert np.abs(found.astype(int) - pixels).max() <= encoding.max_error, shape


def test_every_transfer_syntax_has_an_encoding_and_a_decoder():
    assert {encoding.syntax for encoding in ENCODINGS} == set().union(*(c.syntaxes for c in CODECS))


REDUCIBLE = [
    pytest.param(codec, encoding, id=f"{codec.name}-{encoding.id}")
    for codec in CODECS
    for encoding in ENCODINGS
    if codec.can_reduce and encoding.syntax in codec.syntaxes
]


@pytest.mark.parametrize(("codec", "encoding"), REDUCIBLE)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_lower_resolution_is_what_openjpeg_makes_of_it(codec, encoding, shape):
    frame, info = checked(encoding.frame(shape)[1])

    for reduce in range(info.num_levels + 1):
        found = decoded(codec.load(), frame, reduce)

        reference = decoded(decode_jpeg2000, frame, reduce)
        assert found.max() < 1 << encoding.bits
        # The inverse of the lossy wavelet is rounded in another place by OpenJPH: 3 of 65535 at most.
        tolerance = 3 if encoding.max_error else 0
        assert np.abs(found.astype(int) - reference).max() <= tolerance, reduce


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_the_second_resolution_halves_what_it_shows(bits):
    """OpenJPEG, by way of Pillow, against the transform of T.800 F.4 written out."""
    encoding = named("openjpeg", uid.JPEG2000Lossless, bits)
    pixels, frame = encoding.frame((130, 129))

    found = decoded(decode_jpeg2000, checked(frame)[0], reduce=1)

    np.testing.assert_array_equal(found, low_pass(pixels, bits))


def low_pass(pixels, bits):
    """The LL band of one 5-3 level: T.800 F.4.8.1, both ways, then clamped (G.1.2)."""
    samples = pixels.astype(int) - (1 << (bits - 1))
    low = _low_pass_columns(_low_pass_columns(samples).T).T
    return np.clip(low + (1 << (bits - 1)), 0, (1 << bits) - 1)


def _low_pass_columns(samples):
    extended = np.pad(samples, ((2, 3), (0, 0)), mode="reflect")
    high = extended[1:-1:2] - (extended[:-2:2] + extended[2::2]) // 2
    num = -(-len(samples) // 2)
    return samples[::2] + (high[:num] + high[1 : num + 1] + 2) // 4


@pytest.mark.parametrize("reduce", [1, 2, 3])
def test_black_beside_white_does_not_wrap_at_a_lower_resolution(reduce):
    """OpenJPH does not clamp the wavelet's overshoot: seen as black turned to 65473."""
    for bits in (8, 10, 12, 13, 14, 16):
        pixels = np.where(np.random.default_rng(bits).random((256, 256)) < 0.5, 0, (1 << bits) - 1)
        encoding = Encoding("checks", uid.HTJ2KLossless, named("openjph", uid.HTJ2KLossless).encode, bits)
        frame = framed(encoding.encode(pixels.astype(np.uint16), bits), (256, 256), encoding)

        found = decoded(decode_htj2k, frame, reduce)

        np.testing.assert_array_equal(found, decoded(decode_jpeg2000, frame, reduce))


def test_lossy_htj2k_does_not_wrap_at_full_resolution():
    encoding = named("lossy", uid.HTJ2K, 16)
    pixels = np.where(np.random.default_rng(0).random((256, 256)) < 0.5, 0, 65535).astype(np.uint16)
    frame = framed(encoding.encode(pixels, 16), (256, 256), encoding)
    assert np.abs(imagecodecs.htj2k_decode(frame.data).astype(int) - pixels).max() > 60_000  # OpenJPH's own

    found = decoded(decode_htj2k, frame)

    assert np.abs(found.astype(int) - pixels).max() <= encoding.max_error


@pytest.mark.parametrize("predictor", range(1, 8))
@pytest.mark.parametrize("bits", [9, 12, 16])
def test_jpeg_lossless_agrees_with_a_decoder_of_other_authors(predictor, bits):
    encoding = Encoding(
        "any", uid.JPEGLossless, named(f"predictor{predictor}", uid.JPEGLossless).encode, bits
    )
    pixels, frame = encoding.frame((67, 45))

    np.testing.assert_array_equal(imagecodecs.jpegsof3_decode(frame.data), pixels)
    np.testing.assert_array_equal(decoded(decode_jpeg, frame), pixels)


@pytest.mark.parametrize("num_parts", [1, 2, 11])
def test_jpeg_lossless_with_restart_intervals_is_read(num_parts):
    part = noisy((8, 100), 12)
    frame = framed(
        with_restarts(part, num_parts, 12), (8 * num_parts, 100), named("numpy", uid.JPEGLosslessSV1)
    )

    np.testing.assert_array_equal(decoded(decode_jpeg, checked(frame)[0]), np.tile(part, (num_parts, 1)))


# A scan's code is cut and an end marker put behind it: no codec complains.
CUT = [
    *[named(f"predictor{p}", uid.JPEGLossless, bits) for p in range(1, 8) for bits in (8, 12, 16)],
    named("numpy", uid.JPEGLosslessSV1),
    named("shifted", uid.JPEGLosslessSV1),
    named("charls", uid.JPEGLSLossless),
    named("near2", uid.JPEGLSNearLossless),
    named("quality100", uid.JPEGBaseline8Bit, 8),
    named("quality100", uid.JPEGExtended12Bit),
]


def cut_before_end(code, num_bytes):
    return code[: -2 - num_bytes].rstrip(b"\xff") + b"\xff\xd9"


@pytest.mark.parametrize("encoding", CUT, ids=lambda e: e.id)
@pytest.mark.parametrize("num_bytes", [2, 3, 10, 100, 1000])
def test_code_that_ends_before_the_image_is_refused_although_an_end_marker_follows(encoding, num_bytes):
    pixels = noisy((67, 65), encoding.bits)
    code = cut_before_end(encoding.encode(pixels, encoding.bits), num_bytes)
    frame = checked(framed(code, (67, 65), encoding))[0]

    with pytest.raises(DecodeError) as caught:
        decoded(choose(encoding.syntax).load(), frame)

    assert caught.value.reason in (Reason.TRUNCATED, Reason.DECODE_FAILED)


@pytest.mark.parametrize("encoding", CUT, ids=lambda e: e.id)
def test_code_that_goes_on_after_the_image_is_refused(encoding):
    """A header that says half the lines of its code."""
    pixels = noisy((128, 600), encoding.bits)
    code = bytearray(encoding.encode(pixels, encoding.bits))
    at = code.index(b"\x00\x80\x02\x58")
    code[at : at + 2] = (64).to_bytes(2, "big")

    with pytest.raises(DecodeError) as caught:
        decoded(choose(encoding.syntax).load(), checked(framed(bytes(code), (64, 600), encoding))[0])

    assert caught.value.reason in (Reason.EXCESS_BYTES, Reason.DECODE_FAILED)


@pytest.mark.parametrize("value", [0, 2047, 2048, 4095])
@pytest.mark.parametrize("syntax", [uid.JPEGLosslessSV1, uid.JPEGExtended12Bit])
def test_an_image_whose_lines_look_like_those_a_codec_fills_in_is_read(value, syntax):
    pixels = np.full((40, 64), value, np.uint16)
    encoding = named("numpy" if syntax == uid.JPEGLosslessSV1 else "quality100", syntax)
    frame = framed(encoding.encode(pixels, 12), (40, 64), encoding)

    np.testing.assert_allclose(decoded(decode_jpeg, frame), pixels, atol=encoding.max_error)


def test_padding_of_zeros_in_the_code_does_no_harm():
    pixels = noisy((40, 64), 12)
    code = encode_jpeg_lossless(pixels, 12)
    frame = framed(code[:-2] + b"\0\0\0" + code[-2:], (40, 64), named("numpy", uid.JPEGLosslessSV1))

    np.testing.assert_array_equal(decoded(decode_jpeg, frame), pixels)


@pytest.mark.parametrize("num_bytes", [1, 2])
def test_rle_segments_of_another_length_are_refused(num_bytes):
    encoding = named(f"{num_bytes}-segment{'s' * (num_bytes - 1)}", uid.RLELossless, 8 * num_bytes)
    _, frame = encoding.frame((67, 45))

    for rows, reason in ((68, Reason.TRUNCATED), (66, Reason.EXCESS_BYTES)):
        with pytest.raises(DecodeError) as caught:
            decoded(choose(uid.RLELossless).load(), replace(frame, size_px=Size(rows, 45)))
        assert caught.value.reason is reason


def test_a_cut_in_an_open_ended_htj2k_stream_is_seen():
    """OpenJPH decodes it without a word; OpenJPEG does not."""
    pixels = noisy((130, 129), 12)
    encoding = named("openjph", uid.HTJ2KLossless)
    code = bytearray(encoding.encode(pixels, 12))
    part = code.index(b"\xff\x90\x00\x0a")
    code[part + 6 : part + 10] = bytes(4)
    whole = framed(bytes(code), (130, 129), encoding)
    np.testing.assert_array_equal(decoded(decode_htj2k, whole), pixels)

    cut = checked(framed(bytes(code[:-200]) + b"\xff\xd9", (130, 129), encoding))[0]
    with pytest.raises(DecodeError):
        decoded(decode_htj2k, cut)


def test_the_fastest_codec_that_can_is_chosen():
    assert choose(uid.JPEG2000Lossless).name == "openjpeg"
    assert choose(uid.JPEG2000Lossless, reduce=1).name == "openjpeg-reduced"
    assert choose(uid.JPEG2000Lossless, prefer="dali").name == "dali"
    assert choose(uid.JPEG2000Lossless, device="cuda").name == "dali-gpu"
    assert choose(uid.RLELossless, device="cuda", prefer="dali").name == "packbits"
    assert choose(uid.HTJ2K, reduce=2, prefer="cpu").name == "openjph"


@pytest.mark.parametrize(("syntax", "reduce"), [("1.2.3", 0), (uid.RLELossless, 1)])
def test_no_codec_is_a_reason(syntax, reduce):
    with pytest.raises(DecodeError) as caught:
        choose(syntax, reduce=reduce)
    assert caught.value.reason is Reason.TRANSFER_SYNTAX


def test_dali_refuses_itself_when_values_come_back_scaled():
    from mammosweep.pixels.decoders.dali import self_check
    from mammosweep.pixels.decoders.known_frame import known_pixels

    with pytest.raises(DeviceError, match="65520"):
        self_check(lambda codes, bits: [known_pixels() << 4], None)


def test_dali_goes_on_after_a_bad_frame():
    encoding = named("openjpeg", uid.JPEG2000Lossless)
    decode = choose(uid.JPEG2000Lossless, prefer="dali").load()
    pixels, frame = encoding.frame((64, 64))
    code = bytearray(frame.data)
    code[code.index(b"\xff\x52") + 12] = 0xFF  # code-blocks of another kind

    with pytest.raises(DecodeError):
        decoded(decode, replace(frame, data=memoryview(bytes(code))))
    np.testing.assert_array_equal(decoded(decode, frame), pixels)


def test_zeros_only_are_an_error_of_dali():
    encoding = named("openjpeg", uid.JPEG2000Lossless)
    decode = choose(uid.JPEG2000Lossless, prefer="dali").load()
    black = framed(encoding.encode(np.zeros((64, 64), np.uint16), 12), (64, 64), encoding)

    with pytest.raises(DecodeError, match="zeros only"):
        decoded(decode, black)
