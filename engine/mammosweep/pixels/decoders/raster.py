"""PNG, JPEG and TIFF, the formats of exported images, with imagecodecs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from mammosweep.errors import DecodeError, Reason
from mammosweep.geometry import Size
from mammosweep.pixels.codestream.jpeg import walk
from mammosweep.pixels.decoders.seam import running

__all__ = ["decode_raster"]

Pixels = NDArray[np.uint16] | NDArray[np.uint8]

RASTER: dict[str, Callable[..., Any]] = {
    "image/png": imagecodecs.png_decode,
    "image/jpeg": imagecodecs.jpeg8_decode,
    "image/tiff": imagecodecs.tiff_decode,
}


def decode_raster(data: bytes | memoryview, media_type: str, size_px: Size) -> Pixels:
    """(rows, columns) gray values of a PNG, JPEG or TIFF; colour is accepted when its channels are equal.

    Raises:
        DecodeError: damaged, cut short, coloured, of another depth than 8 or 16 bits, or of another size.
    """
    if media_type == "image/jpeg":
        walk(memoryview(data))  # it ends, after no more scans than a progressive image has
    with running("imagecodecs"):
        pixels = RASTER[media_type](data)
    if pixels.ndim == 3:
        gray = pixels[..., 0]
        if any(not np.array_equal(gray, pixels[..., c]) for c in range(1, min(pixels.shape[2], 3))):
            raise DecodeError(Reason.PHOTOMETRIC, "the image is coloured; expected gray")
        pixels = gray
    if pixels.ndim != 2 or pixels.dtype not in (np.uint8, np.uint16):
        raise DecodeError(
            Reason.BITS_INVALID, f"the image has type {pixels.dtype}; expected 8 or 16 bit gray"
        )
    if pixels.shape != (size_px.rows, size_px.columns):
        raise DecodeError(
            Reason.SIZE_MISMATCH,
            f"the image is {' x '.join(map(str, pixels.shape))}; its header said {size_px.rows} x "
            f"{size_px.columns} when indexed",
        )
    return np.ascontiguousarray(pixels)
