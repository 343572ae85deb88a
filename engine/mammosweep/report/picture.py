"""A grayscale picture inside a page. OpenCV's adapter for encoding."""

from __future__ import annotations

import base64

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["data_uri"]

# Grain and calcifications survive 90; a page of four films stays near 1 MB.
JPEG_QUALITY = 90


def data_uri(gray: NDArray[np.uint8]) -> str:
    """An (H, W) uint8 picture as a JPEG in a data URI.

    Raises:
        ValueError: the picture is empty, or too large for JPEG (65,535 pixels a side).
    """
    try:
        done, encoded = cv2.imencode(".jpg", gray, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    except cv2.error:
        done = False
    if not done:
        raise ValueError(f"a picture of {gray.shape} {gray.dtype} has no JPEG form; expected (H, W) uint8")
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode("ascii")
