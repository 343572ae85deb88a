"""Native pixels, with numpy (PS3.5 8.1.1, A.1 to A.3, A.5)."""

from __future__ import annotations

import numpy as np
from pydicom.uid import ExplicitVRBigEndian

from mammosweep.pixels.codestream.native import read_native
from mammosweep.pixels.decoders.seam import require_full, require_size
from mammosweep.pixels.frame import EncodedFrame, Stored

__all__ = ["decode_native"]


def decode_native(encoded: EncodedFrame, out: Stored, *, reduce: int = 0) -> None:
    """Copy 8 or 16 bit values, in the byte order of their transfer syntax."""
    require_full(reduce, "numpy")
    require_size(encoded, out, reduce)
    order = ">" if encoded.transfer_syntax == ExplicitVRBigEndian else "<"
    dtype = np.dtype(f"{order}u{encoded.bits_allocated // 8}")
    np.copyto(out, np.frombuffer(read_native(encoded).code, dtype).reshape(out.shape))
