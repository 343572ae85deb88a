"""NVIDIA DALI: JPEG 2000 and HTJ2K on the CPU; with the same function, JPEG 2000 and JPEG Lossless on a GPU.

DALI's dynamic mode is used: there, a frame that cannot be decoded is an exception and the next one goes on,
where a pipeline would be broken from then on.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mammosweep.errors import DecodeError, DeviceError, Reason
from mammosweep.pixels.codestream.jpeg import NOISE, is_jpeg, read_jpeg, with_bytes_before_end
from mammosweep.pixels.codestream.jpeg2000 import read_jpeg2000
from mammosweep.pixels.codestream.outline import torn
from mammosweep.pixels.decoders.known_frame import KNOWN_BITS, known_codestreams, known_pixels
from mammosweep.pixels.decoders.seam import Decoder, require_full, require_size, running, write
from mammosweep.pixels.frame import EncodedFrame, Stored

__all__ = ["dali_decoder", "decode_graph", "self_check"]

Pixels = NDArray[np.uint16] | NDArray[np.uint8]
Graph = Callable[[Sequence[bytes | bytearray | memoryview], int], list[Pixels]]
"""Codestreams and their precision -> (rows, columns) values of each."""


@functools.cache
def dali_decoder(device_id: int | None) -> Decoder:
    """The decoder of one GPU, or of the CPU for ``None``; it has checked itself.

    Raises:
        DeviceError: there is no such GPU, or DALI gives other values than a known stream holds.
    """
    graph = decode_graph(device_id)
    self_check(graph, device_id)

    def decode(encoded: EncodedFrame, out: Stored, *, reduce: int = 0) -> None:
        require_full(reduce, "DALI")
        require_size(encoded, out, reduce)
        if is_jpeg(encoded.data):
            decoded = _jpeg_lossless(graph, encoded.data)
        else:
            decoded = _jpeg2000(graph, encoded.data)
        write(decoded, out)
        if not out.any():
            raise DecodeError(
                Reason.DECODE_FAILED, f"DALI gave zeros only for a codestream of {len(encoded.data)} bytes"
            )

    return decode


def decode_graph(device_id: int | None) -> Graph:
    """The steps that give stored values, on the CPU for ``None`` or on a GPU: the same for both.

    Raises:
        DeviceError: DALI cannot be loaded.
    """
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")  # a warning for each gray JPEG 2000 frame otherwise
    try:
        import nvidia.dali.experimental.dynamic as ndd
        from nvidia.dali.types import DALIImageType
    except Exception as error:  # whatever the loader of its libraries raises
        raise DeviceError(
            f"DALI cannot be loaded ({type(error).__name__}); set pixels.decoder to cpu"
        ) from None
    device = "cpu" if device_id is None else f"gpu:{device_id}"

    def decode(codestreams: Sequence[bytes | bytearray | memoryview], precision: int) -> list[Pixels]:
        dtype = ndd.uint8 if precision <= 8 else ndd.uint16  # as the stored values are, so none is scaled
        streams = [ndd.as_tensor(np.frombuffer(code, np.uint8), device="cpu") for code in codestreams]
        images = [
            ndd.decoders.image(stream, device=device, output_type=DALIImageType.ANY_DATA, dtype=dtype)
            for stream in streams
        ]
        return [np.asarray(image.cpu())[..., 0] for image in images]

    return decode


def self_check(graph: Graph, device_id: int | None) -> None:
    """Decode a known 12-bit frame in each format; values scaled to 16 bits are the error to expect.

    Raises:
        DeviceError: it cannot, or the values are others.
    """
    truth, codestreams = known_pixels(), known_codestreams()
    device = "the CPU" if device_id is None else f"GPU {device_id}"
    for name in ("JPEG 2000",) if device_id is None else ("JPEG 2000", "JPEG Lossless"):
        try:
            decoded = graph([codestreams[name]], KNOWN_BITS)[0]
        except Exception as error:  # DALI has no exception type of its own
            raise DeviceError(
                f"DALI cannot decode {name} on {device} ({type(error).__name__}); set pixels.decoder to cpu"
            ) from None
        if not np.array_equal(decoded, truth):
            raise DeviceError(
                f"DALI on {device} decodes a known 12-bit {name} frame to values up to {decoded.max()}; "
                f"expected those stored, up to {truth.max()}; set pixels.decoder to cpu"
            )


def _jpeg2000(graph: Graph, code: memoryview) -> Pixels:
    stream = read_jpeg2000(code)
    if stream.is_open_ended:
        raise DecodeError(
            Reason.DECODE_FAILED,
            "the last tile-part does not say its length: DALI cannot tell a cut; set pixels.decoder to cpu",
        )
    with running("DALI"):
        return graph([stream.outline.code], stream.outline.precision)[0]


def _jpeg_lossless(graph: Graph, code: memoryview) -> Pixels:
    """Twice, with other bytes behind the code: they differ where it ended too soon (see `jpeg.py`)."""
    jpeg = read_jpeg(code)
    with running("DALI"):
        first, second = graph(
            [with_bytes_before_end(jpeg, extra) for extra in (b"", NOISE)], jpeg.outline.precision
        )
    if not np.array_equal(first, second):
        raise torn("the JPEG codestream's code ends before its last pixel")
    return first
