"""JPEG 2000 (ITU-T T.800) at any of its resolutions, with the OpenJPEG that Pillow brings."""

from __future__ import annotations

import warnings
from io import BytesIO
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from mammosweep.errors import DecodeError, Reason
from mammosweep.pixels.codestream.jpeg2000 import read_jpeg2000
from mammosweep.pixels.decoders.seam import require_size, running, write
from mammosweep.pixels.frame import EncodedFrame, Stored

__all__ = ["decode_jpeg2000"]


def decode_jpeg2000(encoded: EncodedFrame, out: Stored, *, reduce: int = 0) -> None:
    """Decode without the ``reduce`` finest levels of the wavelet transform."""
    require_size(encoded, out, reduce)
    outline = read_jpeg2000(encoded.data).outline
    if reduce > outline.num_levels:
        raise DecodeError(
            Reason.DECODE_FAILED,
            f"the JPEG 2000 codestream has {outline.num_levels} levels; {reduce} were to be left out",
        )
    with running("OpenJPEG"):
        decoded = _read(outline.code, out.shape, reduce)
    if outline.precision > 8:
        np.right_shift(decoded, 16 - outline.precision, out=decoded)  # Pillow's 16-bit gray spans all 16
    write(decoded, out)


def _read(code: memoryview, shape: tuple[int, ...], reduce: int) -> NDArray[np.uint16] | NDArray[np.uint8]:
    """Pillow's gray values, 8 bit or spread over 16.

    Set by itself, ``image.reduce`` makes Pillow expect halves rounded to the nearest where T.800 B.15 takes
    ceilings, and fail for every size that 2**reduce does not divide. So its tile is described here.
    """
    rows, columns = shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the size was checked
        image = Image.open(BytesIO(code), formats=("JPEG2000",))
    _, _, offset, arguments = image.tile[0]
    codec, _, *rest = cast("tuple[Any, ...]", arguments)
    image._size = (columns, rows)
    image.tile = [ImageFile._Tile("jpeg2k", (0, 0, columns, rows), offset, (codec, reduce, *rest))]
    return np.array(image)
