"""How pixels become the bytes of Pixel Data, by transfer syntax."""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import StrEnum

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from mammosweep.phantom.jpeg_lossless import encode_jpeg_lossless

__all__ = ["Syntax", "encode_frame"]

Pixels = NDArray[np.uint16]


class Syntax(StrEnum):
    """The transfer syntaxes phantoms can be written in; all lossless."""

    EXPLICIT = "explicit"
    IMPLICIT = "implicit"
    JPEG_LOSSLESS = "jpeg-lossless"
    JPEG2000 = "jpeg2000"
    JPEG_LS = "jpeg-ls"
    RLE = "rle"
    HTJ2K = "htj2k"

    @property
    def uid(self) -> UID:
        """Transfer Syntax UID (0002,0010)."""
        return _UIDS[self]


_UIDS: dict[Syntax, UID] = {
    Syntax.EXPLICIT: ExplicitVRLittleEndian,
    Syntax.IMPLICIT: ImplicitVRLittleEndian,
    Syntax.JPEG_LOSSLESS: JPEGLosslessSV1,
    Syntax.JPEG2000: JPEG2000Lossless,
    Syntax.JPEG_LS: JPEGLSLossless,
    Syntax.RLE: RLELossless,
    Syntax.HTJ2K: HTJ2KLossless,
}


def encode_frame(pixels: Pixels, syntax: Syntax, bits_stored: int) -> bytes:
    """Encode one (rows, columns) frame bit-exactly."""
    return _ENCODERS[syntax](pixels, bits_stored)


def _native(pixels: Pixels, bits_stored: int) -> bytes:
    return pixels.astype("<u2").tobytes()


def _jpeg2000(pixels: Pixels, bits_stored: int) -> bytes:
    code = imagecodecs.jpeg2k_encode(
        pixels, level=0, codecformat="j2k", reversible=True, bitspersample=bits_stored, numthreads=1
    )
    return bytes(code)


def _htj2k(pixels: Pixels, bits_stored: int) -> bytes:
    """Encode with the precision that is stored; the encoder knows 16 bits only.

    Signed samples are coded without a level shift, so the stream of ``pixels - 2**(bits - 1)`` holds the
    very coefficients of unsigned ``bits``-bit samples (T.800 G.1.2); the number of bit planes stands in QCD.
    What is left to change is Ssiz, the sample's precision and sign, in the SIZ segment (T.800 A.5.1).
    """
    centred = (pixels.astype(np.int32) - (1 << (bits_stored - 1))).astype(np.int16)
    code = bytearray(imagecodecs.htj2k_encode(centred, reversible=True))
    ssiz = code.index(b"\xff\x51") + 40
    if code[ssiz] != 0x8F:
        raise RuntimeError(f"Ssiz of an HTJ2K stream is {code[ssiz]:#x}; expected 0x8f, signed 16 bit")
    code[ssiz] = bits_stored - 1
    return bytes(code)


def _jpeg_ls(pixels: Pixels, bits_stored: int) -> bytes:
    # The encoder writes a precision of Bits Allocated, as DCMTK's does too.
    return bytes(imagecodecs.jpegls_encode(pixels))


def _rle(pixels: Pixels, bits_stored: int) -> bytes:
    """PS3.5 Annex G: the high bytes, then the low bytes, each row packed by itself, segments even."""
    segments = [
        bytes(imagecodecs.packbits_encode(np.ascontiguousarray(plane), axis=-1))
        for plane in ((pixels >> 8).astype(np.uint8), (pixels & 0xFF).astype(np.uint8))
    ]
    high, low = (segment + b"\x00" * (len(segment) % 2) for segment in segments)
    return struct.pack("<16L", 2, 64, 64 + len(high), *[0] * 13) + high + low


_ENCODERS: dict[Syntax, Callable[[Pixels, int], bytes]] = {
    Syntax.EXPLICIT: _native,
    Syntax.IMPLICIT: _native,
    Syntax.JPEG_LOSSLESS: encode_jpeg_lossless,
    Syntax.JPEG2000: _jpeg2000,
    Syntax.JPEG_LS: _jpeg_ls,
    Syntax.RLE: _rle,
    Syntax.HTJ2K: _htj2k,
}
