"""The PyPI package `medip`, decoding alone, with the decoders that its README recommends.

It uses pydicom with pylibjpeg (its extra ``jpeg``), reads a few header elements, masks the bits above Bits
Stored and converts to float32: the least that its public reader does. mammosweep's `read_frame`, which it is
compared with, checks the codestream and builds the presentation table besides.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from medip.io.dicom_reader import read_dicom_pixels
from numpy.typing import NDArray

__all__ = ["decode_by_medip"]


def decode_by_medip(path: Path) -> NDArray[np.float32]:
    """(rows, columns) stored values."""
    pixels: NDArray[np.float32] = read_dicom_pixels(path)
    return pixels
