"""CPU decoders, by transfer syntax: imagecodecs for everything compressed, numpy for the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.uid import UID

from mammosweep.errors import DecodeError, Reason
from mammosweep.geometry import Size

__all__ = ["DECODERS", "decode_raster"]

Pixels = NDArray[np.uint16] | NDArray[np.uint8]


def _native(order: str) -> Callable[[bytes, Size, int], Pixels]:
    def decode(data: bytes, size: Size, bits_allocated: int) -> Pixels:
        dtype = np.dtype(f"{order}u{bits_allocated // 8}")
        expected = size.area * dtype.itemsize
        if len(data) < expected:
            raise DecodeError(
                Reason.TRUNCATED, f"Pixel Data holds {len(data)} bytes; the frame needs {expected}"
            )
        stored = np.frombuffer(data, dtype, count=size.area).reshape(size.rows, size.columns)
        return stored.astype(dtype.newbyteorder("="), copy=False)

    return decode


def _rle(data: bytes, size: Size, bits_allocated: int) -> Pixels:
    dtype = np.dtype(f"<u{bits_allocated // 8}")
    values = np.frombuffer(_run(imagecodecs.dicomrle_decode, data, dtype=dtype.str), dtype)
    if values.size != size.area:
        raise DecodeError(
            Reason.TRUNCATED if values.size < size.area else Reason.SIZE_MISMATCH,
            f"the RLE segments hold {values.size} pixels; Rows x Columns needs {size.area}",
        )
    return values.reshape(size.rows, size.columns)


def _codec(function: Callable[..., Any]) -> Callable[[bytes, Size, int], Pixels]:
    def decode(data: bytes, size: Size, bits_allocated: int) -> Pixels:
        del size, bits_allocated  # the codestream says them itself; the caller compares
        _require_end(data)
        pixels = _run(function, data)
        if pixels.ndim != 2 or pixels.dtype not in (np.uint8, np.uint16):
            raise DecodeError(
                Reason.SIZE_MISMATCH,
                f"the compressed image has shape {pixels.shape} and type {pixels.dtype}; expected one "
                "unsigned component of 8 or 16 bits",
            )
        return pixels  # type: ignore[no-any-return]

    return decode


def _require_end(data: bytes) -> None:
    """JPEG, JPEG-LS and JPEG 2000 all end with the marker FFD9 (before at most one byte of padding).

    Codecs differ in what they make of a codestream without it: some give an image with a gray rest.
    """
    if not data.rstrip(b"\0").endswith(b"\xff\xd9"):
        raise DecodeError(Reason.TRUNCATED, "the compressed image has no end marker (FFD9); it was cut short")


def _run(function: Callable[..., Any], data: bytes, **options: Any) -> Any:
    try:
        return function(data, **options)
    except Exception as error:  # each codec has its own exception type
        raise DecodeError(
            Reason.DECODE_FAILED, f"the compressed image is damaged ({type(error).__name__} in its codec)"
        ) from None


DECODERS: dict[UID, Callable[[bytes, Size, int], Pixels]] = {
    uid.ImplicitVRLittleEndian: _native("<"),
    uid.ExplicitVRLittleEndian: _native("<"),
    uid.DeflatedExplicitVRLittleEndian: _native("<"),
    uid.ExplicitVRBigEndian: _native(">"),
    uid.RLELossless: _rle,
    uid.JPEGExtended12Bit: _codec(imagecodecs.jpeg_decode),
    uid.JPEGLossless: _codec(imagecodecs.ljpeg_decode),
    uid.JPEGLosslessSV1: _codec(imagecodecs.ljpeg_decode),
    uid.JPEGLSLossless: _codec(imagecodecs.jpegls_decode),
    uid.JPEGLSNearLossless: _codec(imagecodecs.jpegls_decode),
    uid.JPEG2000Lossless: _codec(imagecodecs.jpeg2k_decode),
    uid.JPEG2000: _codec(imagecodecs.jpeg2k_decode),
    uid.HTJ2KLossless: _codec(imagecodecs.htj2k_decode),
    uid.HTJ2KLosslessRPCL: _codec(imagecodecs.htj2k_decode),
    uid.HTJ2K: _codec(imagecodecs.htj2k_decode),
}

RASTER: dict[str, Callable[..., Any]] = {
    "image/png": imagecodecs.png_decode,
    "image/jpeg": imagecodecs.jpeg_decode,
    "image/tiff": imagecodecs.tiff_decode,
}


def decode_raster(data: bytes, media_type: str) -> Pixels:
    """(rows, columns) gray values of a PNG, JPEG or TIFF; colour is accepted when its channels are equal.

    Raises:
        DecodeError: damaged, coloured, or of another depth than 8 or 16 bits.
    """
    pixels = _run(RASTER[media_type], data)
    if pixels.ndim == 3:
        gray = pixels[..., 0]
        if any(not np.array_equal(gray, pixels[..., c]) for c in range(1, min(pixels.shape[2], 3))):
            raise DecodeError(Reason.PHOTOMETRIC, "the image is coloured; expected gray")
        pixels = gray
    if pixels.ndim != 2 or pixels.dtype not in (np.uint8, np.uint16):
        raise DecodeError(
            Reason.BITS_INVALID, f"the image has type {pixels.dtype}; expected 8 or 16 bit gray"
        )
    return np.ascontiguousarray(pixels)
