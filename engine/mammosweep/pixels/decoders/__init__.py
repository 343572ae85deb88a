"""Decoders by transfer syntax: `table.py` says which there are; each library has one file.

A decoder takes what `check_codestream` let through. It writes stored values as they are: neither masked
nor rescaled, a 12-bit value as a 12-bit value.
"""

from __future__ import annotations

from mammosweep.pixels.decoders.seam import Decoder
from mammosweep.pixels.decoders.table import CODECS, Codec, choose

__all__ = ["CODECS", "Codec", "Decoder", "choose"]
