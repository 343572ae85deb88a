"""The least that decoding and normalising can take: bytes that must move, at the bandwidth measured."""

from __future__ import annotations

import time

import numpy as np

from benchmarks.harness import Row, figure_row

__all__ = ["NETWORK_PIXEL_BYTES", "floor_bytes", "memory_bandwidth_row"]

COPY_BYTES = 256 << 20  # far beyond any cache
NETWORK_PIXEL_BYTES = 4  # float32
BREAST_SHARE = 0.5
"""Of a frame's pixels that the crop holds, about: what is read again for the canvas."""


def memory_bandwidth_row() -> Row:
    """Bytes read plus bytes written per second by a copy on one core."""
    source = np.ones(COPY_BYTES, np.uint8)
    target = np.zeros_like(source)
    rates = []
    for _ in range(5):
        start = time.perf_counter()
        np.copyto(target, source)
        rates.append(2 * COPY_BYTES / (time.perf_counter() - start) / 1e9)
    return figure_row("pixels/memory-bandwidth", "GB/s", rates)


def floor_bytes(num_pixels: int, bits_per_pixel: float, spacing_mm: float, grid_mm: float) -> float:
    """Bytes that one view moves between memory and core at least.

    The file is read once, stored pixels (2 bytes) are written once and read twice (segmentation needs the
    whole frame before the crop is known; the canvas then reads the crop), network pixels are written once.
    """
    file = num_pixels * bits_per_pixel / 8
    stored = num_pixels * 2 * (2 + BREAST_SHARE)
    network = num_pixels * BREAST_SHARE * (spacing_mm / grid_mm) ** 2 * NETWORK_PIXEL_BYTES
    return file + stored + network
