"""The transfer syntaxes that are read (PS3.6 table A-1), by their UIDs."""

from __future__ import annotations

__all__ = [
    "BIG_ENDIAN",
    "DEFLATED",
    "IMPLICIT",
    "LOSSY_JPEG_8_BIT",
    "LOSSY_JPEG_12_BIT",
    "NATIVE_SYNTAXES",
    "RLE",
    "SUPPORTED_SYNTAXES",
]

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
RLE = "1.2.840.10008.1.2.5"
LOSSY_JPEG_8_BIT = "1.2.840.10008.1.2.4.50"
LOSSY_JPEG_12_BIT = "1.2.840.10008.1.2.4.51"

NATIVE_SYNTAXES = frozenset({IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN})
"""Pixels stand in them as they are; in the others they are encapsulated."""

SUPPORTED_SYNTAXES = (
    *(IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN, RLE, LOSSY_JPEG_8_BIT, LOSSY_JPEG_12_BIT),
    "1.2.840.10008.1.2.4.57",  # JPEG Lossless
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.80",  # JPEG-LS Lossless
    "1.2.840.10008.1.2.4.81",  # JPEG-LS Near-lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
    "1.2.840.10008.1.2.4.201",  # HTJ2K Lossless
    "1.2.840.10008.1.2.4.202",  # HTJ2K Lossless RPCL
    "1.2.840.10008.1.2.4.203",  # HTJ2K
)
