"""The seam to the codecs, and what their files share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mammosweep.errors import DecodeError, Reason
from mammosweep.pixels.frame import EncodedFrame, Stored, reduced_size

__all__ = ["Decoder", "require_full", "running", "write"]


class Decoder(Protocol):
    """Decodes one frame."""

    def __call__(self, encoded: EncodedFrame, out: Stored, *, reduce: int = 0) -> None:
        """Write (rows, columns) stored values into ``out``, of ``reduced_size(encoded.size_px, reduce)``.

        Raises:
            DecodeError: the bytes do not hold them.
        """


@contextmanager
def running(library: str) -> Iterator[None]:
    """Give whatever a codec raises as a DecodeError: each has exception types of its own."""
    try:
        yield
    except DecodeError:
        raise
    except MemoryError:
        raise DecodeError(
            Reason.DECODE_LIMIT, f"{library} needs more memory for the frame than may be used"
        ) from None
    except Exception as error:
        raise DecodeError(
            Reason.DECODE_FAILED,
            f"the codestream is damaged ({type(error).__name__} in {library}); copy the file again",
        ) from None


def require_full(reduce: int, library: str) -> None:
    """Refuse a reduced resolution where a codec has none: a slip of the caller's."""
    if reduce:
        raise ValueError(f"{library} decodes at full resolution only, not with reduce={reduce}")


def write(decoded: NDArray[np.uint16] | NDArray[np.uint8], out: Stored) -> None:
    """Copy into ``out`` what a codec made in memory of its own.

    Raises:
        DecodeError: SIZE_MISMATCH.
    """
    if decoded.shape != out.shape or decoded.dtype not in (np.uint8, np.uint16):
        raise DecodeError(
            Reason.SIZE_MISMATCH,
            f"the codec gave {' x '.join(map(str, decoded.shape))} values of type {decoded.dtype}; expected "
            f"{' x '.join(map(str, out.shape))} unsigned ones of 8 or 16 bits",
        )
    np.copyto(out, decoded)


def require_size(encoded: EncodedFrame, out: Stored, reduce: int) -> None:
    """Refuse an output array of another size: a slip of the caller's."""
    size = reduced_size(encoded.size_px, reduce)
    if out.shape != (size.rows, size.columns):
        raise ValueError(f"out is {out.shape}; the frame at reduce={reduce} is {size.rows} x {size.columns}")
