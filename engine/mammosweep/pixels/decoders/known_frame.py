"""A frame whose values are known, for a decoder to check itself with."""

from __future__ import annotations

import imagecodecs
import numpy as np

from mammosweep.pixels.frame import Stored

__all__ = ["KNOWN_BITS", "known_codestreams", "known_pixels"]

KNOWN_BITS = 12


def known_pixels() -> Stored:
    """(48, 65) values from 0 to 4095: a ramp with a pattern in its lowest bits."""
    ramp = np.linspace(0, (1 << KNOWN_BITS) - 1, 48 * 65).astype(np.uint16).reshape(48, 65)
    ramp[1:-1, 1:-1] ^= (np.arange(46)[:, None] * np.arange(63) % 7).astype(np.uint16)
    return ramp


def known_codestreams() -> dict[str, bytes]:
    """The same values as JPEG 2000 and as JPEG Lossless with predictor 1, by that name; 12 bits each."""
    pixels = known_pixels()
    jpeg2000 = imagecodecs.jpeg2k_encode(
        pixels, level=0, codecformat="j2k", reversible=True, bitspersample=KNOWN_BITS, numthreads=1
    )
    lossless = imagecodecs.jpeg8_encode(pixels, lossless=True, predictor=1, bitspersample=KNOWN_BITS)
    return {"JPEG 2000": bytes(jpeg2000), "JPEG Lossless": bytes(lossless)}
