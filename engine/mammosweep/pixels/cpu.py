"""Moved to `decoders/raster.py`; this name stays until nobody uses it."""

from __future__ import annotations

from mammosweep.pixels.decoders.raster import decode_raster

__all__ = ["decode_raster"]
