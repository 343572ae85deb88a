"""Codecs that imagecodecs brings: CharLS, OpenJPEG, OpenJPH, PackBits. JPEG has a file of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from mammosweep.errors import DecodeError, Reason
from mammosweep.pixels.codestream.jpeg2000 import read_jpeg2000
from mammosweep.pixels.codestream.outline import torn
from mammosweep.pixels.codestream.rle import segments_of
from mammosweep.pixels.decoders import openjpeg
from mammosweep.pixels.decoders.seam import Decoder, require_full, require_size, running, write
from mammosweep.pixels.frame import EncodedFrame, Stored

__all__ = ["decode_htj2k", "decode_jpeg_ls", "decode_rle", "jpeg2000_decoder"]

# Up to here a wavelet's overshoot, at most 2.2 times the range, still fits 16 bits beside the range.
MAX_CLAMPED_BITS = 13
INT16_SIGN = 1 << 15

_packbits: Callable[..., Any] = imagecodecs.packbits_decode  # takes more types than its stub says


def decode_rle(encoded: EncodedFrame, out: Stored, *, reduce: int = 0) -> None:
    """PS3.5 Annex G: each byte of the pixels is a PackBits segment, the most significant first."""
    require_full(reduce, "PackBits")
    require_size(encoded, out, reduce)
    planes = [_unpacked(segment, out.size) for segment in segments_of(encoded.data).packed]
    out.reshape(-1)[:] = planes[-1]
    if len(planes) == 2:
        # The high byte's place in memory; faster than shifting and adding.
        out.view(np.uint8).reshape(-1, 2)[:, 1 if sys.byteorder == "little" else 0] = planes[0]


def _unpacked(segment: memoryview, size: int) -> NDArray[np.uint8]:
    """PackBits' bytes; one zero, which makes a segment even, may follow them (G.5)."""
    plane = np.empty(size, np.uint8)
    try:
        num = len(_packbits(segment, out=plane))
    except imagecodecs.PackbitsError as error:
        if "TOO_SMALL" in str(error):
            raise DecodeError(
                Reason.EXCESS_BYTES, f"an RLE segment unpacks to more than the frame's {size} bytes"
            ) from None
        raise torn("an RLE segment ends inside a run") from None
    if num < size:
        raise torn(f"an RLE segment unpacks to {num} bytes; the frame needs {size}")
    return plane


def decode_jpeg_ls(encoded: EncodedFrame, out: Stored, *, reduce: int = 0) -> None:
    """ITU-T T.87, with CharLS, which notices where the code ends too soon."""
    require_full(reduce, "CharLS")
    require_size(encoded, out, reduce)
    with running("CharLS"):
        _decode(imagecodecs.jpegls_decode, encoded.data, out)


def jpeg2000_decoder(num_threads: int = 1) -> Decoder:
    """ITU-T T.800 and T.814 at full resolution, with OpenJPEG."""

    def decode_jpeg2000(encoded: EncodedFrame, out: Stored, *, reduce: int = 0) -> None:
        require_full(reduce, "OpenJPEG by imagecodecs")
        require_size(encoded, out, reduce)
        with running("OpenJPEG"):
            code = read_jpeg2000(encoded.data).outline.code
            _decode(imagecodecs.jpeg2k_decode, code, out, numthreads=num_threads)

    return decode_jpeg2000


def _decode(function: Callable[..., Any], code: memoryview, out: Stored, **options: int) -> None:
    """Into ``out`` where the codec makes 16-bit values; of up to 8 bits it makes 8-bit ones."""
    try:
        function(code, out=out, **options)
    except ValueError:  # "invalid output shape or dtype"
        write(function(code, **options), out)


def decode_htj2k(encoded: EncodedFrame, out: Stored, *, reduce: int = 0) -> None:
    """ITU-T T.814, with OpenJPH where its values can be trusted, else with OpenJPEG.

    OpenJPH as imagecodecs calls it does not clamp: where the wavelet overshoots the range, at a lower
    resolution or after loss, black turns white. With room in 16 bits that is undone here (T.800 G.1.2).
    Nor does it mind if a tile-part ends too soon; one that says its length was checked before.
    """
    require_size(encoded, out, reduce)
    stream = read_jpeg2000(encoded.data)
    precision = stream.outline.precision
    may_overshoot = reduce > 0 or not stream.is_reversible
    fits = 8 < precision <= MAX_CLAMPED_BITS
    if stream.is_open_ended or (may_overshoot and not fits):
        decode = openjpeg.decode_jpeg2000 if reduce else jpeg2000_decoder()
        decode(encoded, out, reduce=reduce)
        return
    with running("OpenJPH"):
        _decode(imagecodecs.htj2k_decode, stream.outline.code, out, skipres=reduce)
    if may_overshoot:
        out[out >= INT16_SIGN] = 0
        np.minimum(out, (1 << precision) - 1, out=out)
