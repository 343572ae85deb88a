"""One table of encodings, keyed by transfer syntax: what every decoder that claims a syntax is held to."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import imagecodecs
import numpy as np
from pydicom import uid

from mammosweep.geometry import Size
from mammosweep.phantom.codecs import Syntax, encode_frame
from mammosweep.phantom.jpeg_lossless import encode_jpeg_lossless
from mammosweep.pixels.frame import EncodedFrame

# Rows and columns: odd, no multiple of a block, a tile or a power of two, one row, one column.
SHAPES = [(67, 45), (64, 64), (9, 3329), (130, 129), (1, 300), (257, 1)]


@dataclass(frozen=True)
class Encoding:
    """A way to write pixels under a transfer syntax."""

    name: str
    syntax: str  # DICOM UID
    encode: Callable[[np.ndarray, int], bytes]  # pixels and their bits
    bits: int = 12
    bits_allocated: int = 16
    max_error: int = 0  # 0: lossless
    num_levels: int | None = None  # of the wavelet transform, where the encoder is told

    @property
    def id(self) -> str:
        return f"{uid.UID(self.syntax).keyword}-{self.name}-{self.bits}bit"

    def frame(self, shape: tuple[int, int]) -> tuple[np.ndarray, EncodedFrame]:
        """Pixels, and the same as a frame."""
        pixels = noisy(shape, self.bits)
        return pixels, framed(self.encode(pixels, self.bits), shape, self)


def framed(code: bytes, shape: tuple[int, int], encoding: Encoding) -> EncodedFrame:
    return EncodedFrame(
        data=memoryview(code),
        transfer_syntax=encoding.syntax,
        size_px=Size(*shape),
        bits_allocated=encoding.bits_allocated,
        bits_stored=encoding.bits,
    )


def noisy(shape: tuple[int, int], bits: int) -> np.ndarray:
    """A ramp with noise, runs of black, and both ends of the range side by side."""
    rng = np.random.default_rng([bits, *shape])
    top = (1 << bits) - 1
    ramp = np.linspace(0, top, shape[0] * shape[1]).reshape(shape)
    pixels = np.clip(ramp + rng.normal(0, top / 100, shape), 0, top).astype(np.uint16)
    pixels[rng.random(shape) < 0.02] = top
    pixels[: shape[0] // 3, shape[1] // 2 :] = 0
    return pixels


def small(pixels: np.ndarray, bits: int) -> np.ndarray:
    """The array type that encoders want: bytes where they suffice."""
    return pixels.astype(np.uint8) if bits <= 8 else pixels


def native(order: str, num_bytes: int):
    return lambda pixels, bits: pixels.astype(f"{order}u{num_bytes}").tobytes()


def rle(num_bytes: int):
    def encode(pixels: np.ndarray, bits: int) -> bytes:
        planes = [(pixels >> (8 * place)).astype(np.uint8) for place in reversed(range(num_bytes))]
        packed = [bytes(imagecodecs.packbits_encode(np.ascontiguousarray(p), axis=-1)) for p in planes]
        packed = [segment + b"\0" * (len(segment) % 2) for segment in packed]
        offsets = [64 + sum(map(len, packed[:place])) for place in range(num_bytes)]
        return struct.pack("<16L", num_bytes, *offsets, *[0] * (15 - num_bytes)) + b"".join(packed)

    return encode


def jpeg_lossless(predictor: int):
    def encode(pixels: np.ndarray, bits: int) -> bytes:
        data = small(pixels, bits)
        return bytes(imagecodecs.jpeg8_encode(data, lossless=True, predictor=predictor, bitspersample=bits))

    return encode


def jpeg_lossless_shifted(pixels: np.ndarray, bits: int) -> bytes:
    """A point transform of 2 (T.81 H.1.2.2): the two lowest bits are lost."""
    code = bytearray(encode_jpeg_lossless(pixels >> 2, bits - 2))
    code[code.index(b"\xff\xc3") + 4] = bits
    code[code.index(b"\xff\xda") + 9] = 2
    return bytes(code)


def jpeg_lossless_by_imagecodecs(pixels: np.ndarray, bits: int) -> bytes:
    """Predictor 6, by an encoder of other authors."""
    return bytes(imagecodecs.ljpeg_encode(pixels, bitspersample=bits))


def with_restarts(part: np.ndarray, num_parts: int, bits: int) -> bytes:
    """JPEG Lossless of ``part`` above itself, with a restart marker between the copies (T.81 E.1.4)."""
    code = encode_jpeg_lossless(part, bits)
    rows_at = code.index(b"\xff\xc3") + 5
    scan = code.index(b"\xff\xda")
    entropy = code[scan + 10 : -2]
    head = bytearray(code[: scan + 10])
    head[rows_at : rows_at + 2] = (num_parts * part.shape[0]).to_bytes(2, "big")
    interval = b"\xff\xdd\x00\x04" + part.size.to_bytes(2, "big")
    body = b"".join(entropy + bytes([0xFF, 0xD0 + index % 8]) for index in range(num_parts))
    return bytes(head[:scan]) + interval + bytes(head[scan:]) + body[:-2] + b"\xff\xd9"


def jpeg_dct(quality: int):
    def encode(pixels: np.ndarray, bits: int) -> bytes:
        return bytes(imagecodecs.jpeg8_encode(small(pixels, bits), level=quality, bitspersample=bits))

    return encode


def jpeg_ls(near: int):
    def encode(pixels: np.ndarray, bits: int) -> bytes:
        return bytes(imagecodecs.jpegls_encode(small(pixels, bits), level=near))

    return encode


def jpeg2000(*, psnr: float = 0, container: str = "j2k", levels: int | None = None, **options):
    def encode(pixels: np.ndarray, bits: int) -> bytes:
        code = imagecodecs.jpeg2k_encode(
            small(pixels, bits),
            level=psnr,
            codecformat=container,
            reversible=psnr == 0,
            bitspersample=bits,
            resolutions=None if levels is None else levels + 1,
            numthreads=1,
            **options,
        )
        return bytes(code)

    return encode


def jpeg2000_tiles(pixels: np.ndarray, bits: int) -> bytes:
    """Tiles of 32 rows and 64 columns, which imagecodecs does not write: each is encoded by itself.

    The codes are the same, as no level, code-block or precinct crosses from one tile to the next.
    """
    rows, columns = pixels.shape
    places = [(y, x) for y in range(0, rows, 32) for x in range(0, columns, 64)]
    tiles = [np.ascontiguousarray(pixels[y : y + 32, x : x + 64]) for y, x in places]
    # The encoder makes fewer levels where a tile is small; they all need the same.
    levels = max(0, min(min(tile.shape).bit_length() for tile in tiles) - 4)
    codes = [jpeg2000(levels=levels)(tile, bits) for tile in tiles]
    head = bytearray(codes[0][: codes[0].index(b"\xff\x90\x00\x0a")])
    head[8:32] = struct.pack(">6L", columns, rows, 0, 0, 64, 32)
    parts = [code[code.index(b"\xff\x90\x00\x0a") : -2] for code in codes]
    numbered = [part[:4] + struct.pack(">H", tile) + part[6:] for tile, part in enumerate(parts)]
    return bytes(head) + b"".join(numbered) + b"\xff\xd9"


def htj2k_tiles(pixels: np.ndarray, bits: int) -> bytes:
    """Tiles of 32 rows and 48 columns, each in a tile-part for each resolution."""
    return bytes(imagecodecs.htj2k_encode(small(pixels, bits), reversible=True, tile=(32, 48), tilepart=1))


def htj2k(pixels: np.ndarray, bits: int) -> bytes:
    if bits in (8, 16):
        return bytes(imagecodecs.htj2k_encode(small(pixels, bits), reversible=True))
    return encode_frame(pixels, Syntax.HTJ2K, bits)


def htj2k_lossy(pixels: np.ndarray, bits: int) -> bytes:
    """Quantised: both ends of the range overshoot."""
    return bytes(imagecodecs.htj2k_encode(small(pixels, bits), level=0.0005, reversible=False))


def each_depth(name: str, syntax: str, encode, depths=(8, 10, 12, 14, 16), **options) -> list[Encoding]:
    return [
        Encoding(name, syntax, encode, bits, bits_allocated=8 if bits == 8 else 16, **options)
        for bits in depths
    ]


LITTLE = (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian)

ENCODINGS: list[Encoding] = [
    *[
        Encoding(f"{num_bytes}-byte", str(syntax), native("<", num_bytes), 6 * num_bytes, 8 * num_bytes)
        for syntax in LITTLE
        for num_bytes in (1, 2)
    ],
    Encoding("1-byte", uid.ExplicitVRBigEndian, native(">", 1), 8, 8),
    Encoding("2-byte", uid.ExplicitVRBigEndian, native(">", 2), 12, 16),
    Encoding("2-byte", uid.ExplicitVRBigEndian, native(">", 2), 16, 16),
    Encoding("1-segment", uid.RLELossless, rle(1), 8, 8),
    Encoding("2-segments", uid.RLELossless, rle(2), 12, 16),
    Encoding("2-segments", uid.RLELossless, rle(2), 16, 16),
    *[
        encoding
        for predictor in range(1, 8)
        for encoding in each_depth(f"predictor{predictor}", uid.JPEGLossless, jpeg_lossless(predictor))
    ],
    Encoding("ljpeg", uid.JPEGLossless, jpeg_lossless_by_imagecodecs),
    *each_depth("turbo", uid.JPEGLosslessSV1, jpeg_lossless(1)),
    *each_depth("numpy", uid.JPEGLosslessSV1, encode_jpeg_lossless, (10, 12, 14)),
    Encoding("shifted", uid.JPEGLosslessSV1, jpeg_lossless_shifted, max_error=3),
    *each_depth("charls", uid.JPEGLSLossless, jpeg_ls(0)),
    *each_depth("near0", uid.JPEGLSNearLossless, jpeg_ls(0), (12,)),
    *each_depth("near2", uid.JPEGLSNearLossless, jpeg_ls(2), max_error=2),
    *each_depth("openjpeg", uid.JPEG2000Lossless, jpeg2000()),
    *each_depth("tiles", uid.JPEG2000Lossless, jpeg2000_tiles),
    Encoding("one-level", uid.JPEG2000Lossless, jpeg2000(levels=1), num_levels=1),
    Encoding("no-level", uid.JPEG2000Lossless, jpeg2000(levels=0), num_levels=0),
    Encoding("in-jp2", uid.JPEG2000Lossless, jpeg2000(container="jp2")),
    Encoding("reversible", uid.JPEG2000, jpeg2000()),
    *each_depth("psnr60", uid.JPEG2000, jpeg2000(psnr=60), (8,), max_error=3),
    *each_depth("psnr80", uid.JPEG2000, jpeg2000(psnr=80), (10, 12, 14, 16), max_error=60),
    *each_depth("openjph", uid.HTJ2KLossless, htj2k),
    *each_depth("tiles", uid.HTJ2KLossless, htj2k_tiles, (8, 16)),
    *each_depth("openjph", uid.HTJ2KLosslessRPCL, htj2k, (8, 12, 16)),
    *each_depth("reversible", uid.HTJ2K, htj2k, (12,)),
    *each_depth("lossy", uid.HTJ2K, htj2k_lossy, (8,), max_error=2),
    *each_depth("lossy", uid.HTJ2K, htj2k_lossy, (16,), max_error=200),
    *each_depth("quality100", uid.JPEGBaseline8Bit, jpeg_dct(100), (8,), max_error=3),
    *each_depth("quality100", uid.JPEGExtended12Bit, jpeg_dct(100), (12,), max_error=8),
    *each_depth("8-bit", uid.JPEGExtended12Bit, jpeg_dct(100), (8,), max_error=3),
]


def named(name: str, syntax: str, bits: int = 12) -> Encoding:
    """The encoding of the table with this name."""
    (found,) = [e for e in ENCODINGS if (e.name, e.syntax, e.bits) == (name, syntax, bits)]
    return found
