"""JPEG (ITU-T T.81): Lossless with any predictor, baseline, and extended of 12 bits, with libjpeg-turbo 3.

No codec says so when the code of a scan ends too soon, with an end marker behind it: where bits are
missing libjpeg-turbo reads zeros, and what begins after that it fills with the middle of the range, without
decoding. So the frame header is made to promise more lines than there are. They hold no information; how
they are filled tells whether the code lasted to the last true pixel, and ended there:

====================  ========================  =====================
the code ends         first lines beyond        last lines beyond
====================  ========================  =====================
inside the image      filled                    filled
with the image        decoded from zeros        filled
after the image       decoded                   decoded, if far after
====================  ========================  =====================
"""

from __future__ import annotations

from dataclasses import dataclass

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from mammosweep.errors import DecodeError, Reason
from mammosweep.pixels.codestream.jpeg import LOSSLESS, NOISE, Jpeg, read_jpeg, with_bytes_before_end
from mammosweep.pixels.codestream.outline import torn
from mammosweep.pixels.decoders.seam import require_full, require_size, running, write
from mammosweep.pixels.frame import EncodedFrame, Stored

__all__ = ["decode_jpeg"]

Decoded = NDArray[np.uint16] | NDArray[np.uint8]

BLOCK_PX = 8
MAX_LINES = 65500  # libjpeg's own limit
# Some encoders fill up the last 32-bit word: so many one-bit codes.
MAX_PADDING_CODES = 32


@dataclass(frozen=True, slots=True)
class _Lines:
    """How many lines the header is made to promise."""

    true: int
    coded: int  # of which some may be a block's rest
    step: int  # lines that one row of codes stands for

    @property
    def promised(self) -> int:
        return self.coded + 2 * self.step


def decode_jpeg(encoded: EncodedFrame, out: Stored, *, reduce: int = 0) -> None:
    """Decode, and see that the code holds as many pixels as it should."""
    require_full(reduce, "libjpeg-turbo")
    require_size(encoded, out, reduce)
    jpeg = read_jpeg(encoded.data)
    lines = _lines(jpeg)
    with running("libjpeg-turbo"):
        decoded = _decode(jpeg, lines, b"")
    if _is_filled(decoded[lines.coded : lines.coded + lines.step], jpeg):
        _require_same_before_noise(decoded, jpeg, lines)
    _require_no_excess(decoded, jpeg, lines)
    write(decoded[: lines.true], out)


def _lines(jpeg: Jpeg) -> _Lines:
    rows = jpeg.outline.size_px.rows
    step = 1 if jpeg.process == LOSSLESS else BLOCK_PX
    lines = _Lines(rows, -(-rows // step) * step, step)
    if lines.promised > MAX_LINES:
        raise DecodeError(
            Reason.DECODE_LIMIT, f"the JPEG codestream has {rows} lines; expected at most {MAX_LINES - 24}"
        )
    return lines


def _decode(jpeg: Jpeg, lines: _Lines, extra: bytes) -> Decoded:
    code = with_bytes_before_end(jpeg, extra)
    code[jpeg.rows_at : jpeg.rows_at + 2] = lines.promised.to_bytes(2, "big")
    decoded: Decoded = imagecodecs.jpeg8_decode(code)
    return decoded


def _is_filled(lines: Decoded, jpeg: Jpeg) -> bool:
    return bool((lines == 1 << (jpeg.outline.precision - 1)).all())


def _require_same_before_noise(decoded: Decoded, jpeg: Jpeg, lines: _Lines) -> None:
    """Zeros may decode to just what filling gives; but what follows a whole image's code never matters."""
    with running("libjpeg-turbo"):
        again = _decode(jpeg, lines, NOISE)
    if not np.array_equal(decoded[: lines.true], again[: lines.true]):
        raise torn("the JPEG codestream's code ends before its last pixel")


def _require_no_excess(decoded: Decoded, jpeg: Jpeg, lines: _Lines) -> None:
    columns = jpeg.outline.size_px.columns
    if columns <= MAX_PADDING_CODES * lines.step:
        return  # padding may well reach the last line
    if not _is_filled(decoded[lines.coded + lines.step :], jpeg):
        raise DecodeError(
            Reason.EXCESS_BYTES,
            "the JPEG codestream's code goes on after its last pixel; copy the file again",
        )
