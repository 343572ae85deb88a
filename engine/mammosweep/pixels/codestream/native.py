"""Native pixels have no header: their number of bytes is all there is to check (PS3.5 8.1, A.1, A.2)."""

from __future__ import annotations

from mammosweep.errors import DecodeError, Reason
from mammosweep.pixels.codestream.outline import Outline, torn
from mammosweep.pixels.frame import EncodedFrame

__all__ = ["read_native"]


def read_native(encoded: EncodedFrame) -> Outline:
    """Count the bytes; one more makes an odd number even (PS3.5 8.1.1).

    Raises:
        DecodeError: TRUNCATED or EXCESS_BYTES.
    """
    expected = encoded.size_px.area * encoded.bits_allocated // 8
    found = len(encoded.data)
    if found < expected:
        raise torn(f"Pixel Data (7FE0,0010) holds {found} bytes; rows, columns and bits need {expected}")
    if found > expected + expected % 2:
        raise DecodeError(
            Reason.EXCESS_BYTES,
            f"Pixel Data (7FE0,0010) holds {found} bytes; rows, columns and bits need {expected}",
        )
    return Outline(
        code=encoded.data[:expected],
        syntaxes=(encoded.transfer_syntax,),
        size_px=encoded.size_px,
        precision=encoded.bits_allocated,
    )
