"""The records of this folder, and the sentences that its files share."""

from __future__ import annotations

from dataclasses import dataclass, field

from mammosweep.errors import DecodeError, Reason
from mammosweep.geometry import Size

__all__ = ["CodestreamInfo", "Outline", "damaged", "require_padding", "torn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """What a codestream's own header says."""

    code: memoryview = field(repr=False)  # the codestream, without a wrapper around it
    syntaxes: tuple[str, ...]  # the DICOM transfer syntaxes it may be sent under, the narrowest first
    size_px: Size
    precision: int  # bits of a sample
    is_signed: bool = False
    num_components: int = 1
    num_levels: int = 0  # of the wavelet transform: so many times the size can be halved
    is_lossy: bool = False  # values are near those that were encoded, and may lie beyond their range


@dataclass(frozen=True, slots=True, kw_only=True)
class CodestreamInfo:
    """A frame that may be decoded: its codestream agrees with the header and is all there."""

    transfer_syntax: str  # what the codestream is, whatever the header declares
    code: memoryview = field(repr=False)  # what a decoder takes
    precision: int  # bits of a sample: Bits Stored, or up to Bits Allocated
    num_levels: int  # `reduce` may be 0 up to this
    is_lossy: bool  # values beyond Bits Stored are overshoot, to be clamped; in others, they are stray bits


def torn(message: str) -> DecodeError:
    """The bytes end before the image does."""
    return DecodeError(Reason.TRUNCATED, f"{message}; copy the file again")


def damaged(message: str) -> DecodeError:
    """The bytes are not what the standard prescribes."""
    return DecodeError(Reason.DECODE_FAILED, f"{message}; copy the file again")


def require_padding(rest: memoryview, what: str) -> None:
    """Only zeros may follow the end of a codestream: one makes its length even (PS3.5 A.4), some send more.

    Raises:
        DecodeError: EXCESS_BYTES.
    """
    if any(rest[:16]) or bytes(rest).strip(b"\0"):
        raise DecodeError(
            Reason.EXCESS_BYTES, f"{len(rest)} bytes follow the end of the {what}; expected zeros at most"
        )
