"""The corpus: one small valid file for each transfer syntax, and where its parts lie."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import dcmwrite, uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from mammosweep.phantom import PhantomConfig, PhantomExam, Syntax, make_exam
from mammosweep.phantom.codecs import encode_frame
from mammosweep.phantom.dicom import header_of

__all__ = ["COLUMNS", "ROWS", "Element", "Seed", "make_corpus"]

ROWS, COLUMNS = 96, 80
BITS = 12
ITEM, DELIMITER = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\0\0\0\0"
LONG_VRS = {b"OB", b"OW", b"SQ", b"UN", b"UT", b"OF", b"OD", b"UC", b"UR"}
META_START = 144  # behind the preamble, DICM and the group's length

Pixels = NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Element:
    """Where an element of the outermost level lies in a seed's header."""

    tag: int  # group << 16 | element
    start: int
    value: int
    stop: int
    vr: bytes  # empty where it is implicit


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """A valid file in its parts: preamble and meta information, header, Pixel Data."""

    name: str
    syntax: str
    meta: bytes = field(repr=False)
    header: bytes = field(repr=False)  # the data set before Pixel Data
    stream: bytes = field(repr=False)  # the codestream without padding, or native pixels
    stored: Pixels = field(repr=False)  # what it decodes to
    allocated: int = 16
    bits: int = BITS
    elements: tuple[Element, ...] = field(default=(), repr=False)

    @property
    def is_native(self) -> bool:
        return not UID(self.syntax).is_encapsulated

    @property
    def is_deflated(self) -> bool:
        return self.syntax == uid.DeflatedExplicitVRLittleEndian

    @property
    def order(self) -> str:
        """Of the data set's bytes, as `struct` writes it."""
        return ">" if self.syntax == uid.ExplicitVRBigEndian else "<"

    @property
    def is_implicit(self) -> bool:
        return self.syntax == uid.ImplicitVRLittleEndian

    def file(
        self,
        *,
        meta: bytes | None = None,
        header: bytes | None = None,
        stream: bytes | None = None,
        pixel_data: bytes | None = None,
    ) -> bytes:
        """The file, some of its parts replaced; ``pixel_data`` is the whole element."""
        body = self.header if header is None else header
        body += (
            self.pixel_data(self.stream if stream is None else stream) if pixel_data is None else pixel_data
        )
        if self.is_deflated:
            body = deflated(body)
        return (self.meta if meta is None else meta) + body

    def pixel_data(
        self, *fragments: bytes, offsets: tuple[int, ...] = (), length: int | None = None
    ) -> bytes:
        """The element Pixel Data; native pixels are a single fragment."""
        if self.is_native:
            return self._native(fragments[0], length)
        items = [struct.pack(f"<{len(offsets)}L", *offsets), *map(even, fragments)]
        content = b"".join(ITEM + struct.pack("<L", len(item)) + item for item in items)
        return b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + content + DELIMITER

    def _native(self, pixels: bytes, length: int | None) -> bytes:
        tag = struct.pack(f"{self.order}HH", 0x7FE0, 0x0010)
        kind = b"" if self.is_implicit else (b"OW\0\0" if self.allocated == 16 else b"OB\0\0")
        return tag + kind + struct.pack(f"{self.order}L", len(pixels) if length is None else length) + pixels

    def find(self, tag: int) -> Element:
        """An element of the header by its tag."""
        return next(element for element in self.elements if element.tag == tag)

    def with_value(self, tag: int, value: bytes) -> bytes:
        """The header with an element's value replaced by one of the same length."""
        element = self.find(tag)
        assert len(value) == element.stop - element.value
        return self.header[: element.value] + value + self.header[element.stop :]

    def with_number(self, tag: int, value: int) -> bytes:
        """The header with an unsigned short replaced."""
        return self.with_value(tag, struct.pack(f"{self.order}H", value))

    def number(self, tag: int) -> int:
        """An unsigned short of the header."""
        element = self.find(tag)
        return int(struct.unpack(f"{self.order}H", self.header[element.value : element.stop])[0])


def even(data: bytes) -> bytes:
    """Padded to an even length, as every value is."""
    return data + b"\0" * (len(data) % 2)


def deflated(body: bytes) -> bytes:
    """PS3.5 A.5."""
    packer = zlib.compressobj(6, wbits=-15)
    return even(packer.compress(body) + packer.flush())


def make_corpus() -> tuple[Seed, ...]:
    """Every transfer syntax that is read, some also in 8 bits; the same every time."""
    exam = make_exam(11, 0, PhantomConfig(spacing_mm=0.4, lesion_rate=1.0))
    pixels = small_pixels(exam)
    return tuple(_seed(exam, pixels, *entry) for entry in _ENTRIES)


def small_pixels(exam: PhantomExam) -> Pixels:
    """A whole view, made so small that it decodes in no time."""
    small = cv2.resize(exam.views[0].pixels, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(small, dtype=np.uint16)


Encode = Callable[[Pixels], bytes]


def _phantom(syntax: Syntax) -> Encode:
    return lambda pixels: encode_frame(pixels, syntax, BITS)


def _native(kind: str) -> Encode:
    return lambda pixels: pixels.astype(kind).tobytes()


def _j2k(pixels: Pixels, *, reversible: bool, level: int) -> bytes:
    return bytes(
        imagecodecs.jpeg2k_encode(
            pixels, level=level, codecformat="j2k", reversible=reversible, bitspersample=BITS, numthreads=1
        )
    )


def _rle_8(pixels: Pixels) -> bytes:
    packed = bytes(imagecodecs.packbits_encode(pixels.astype(np.uint8), axis=-1))
    return struct.pack("<16L", 1, 64, *[0] * 14) + even(packed)


_ENTRIES: tuple[tuple[str, str, int, Encode], ...] = (
    ("implicit", uid.ImplicitVRLittleEndian, 16, _native("<u2")),
    ("explicit", uid.ExplicitVRLittleEndian, 16, _native("<u2")),
    ("explicit 8 bit", uid.ExplicitVRLittleEndian, 8, _native("u1")),
    ("deflated", uid.DeflatedExplicitVRLittleEndian, 16, _native("<u2")),
    ("big endian", uid.ExplicitVRBigEndian, 16, _native(">u2")),
    ("RLE", uid.RLELossless, 16, _phantom(Syntax.RLE)),
    ("RLE 8 bit", uid.RLELossless, 8, _rle_8),
    (
        "JPEG Baseline",
        uid.JPEGBaseline8Bit,
        8,
        lambda p: bytes(imagecodecs.jpeg8_encode(p.astype(np.uint8), 95)),
    ),
    (
        "JPEG Extended",
        uid.JPEGExtended12Bit,
        16,
        lambda p: bytes(imagecodecs.jpeg_encode(p, level=98, bitspersample=12)),
    ),
    ("JPEG Lossless", uid.JPEGLossless, 16, _phantom(Syntax.JPEG_LOSSLESS)),
    ("JPEG Lossless SV1", uid.JPEGLosslessSV1, 16, _phantom(Syntax.JPEG_LOSSLESS)),
    ("JPEG-LS", uid.JPEGLSLossless, 16, _phantom(Syntax.JPEG_LS)),
    ("JPEG-LS near", uid.JPEGLSNearLossless, 16, lambda p: bytes(imagecodecs.jpegls_encode(p, level=2))),
    ("JPEG 2000 lossless", uid.JPEG2000Lossless, 16, _phantom(Syntax.JPEG2000)),
    ("JPEG 2000", uid.JPEG2000, 16, lambda p: _j2k(p, reversible=False, level=60)),
    ("HTJ2K lossless", uid.HTJ2KLossless, 16, _phantom(Syntax.HTJ2K)),
    ("HTJ2K lossless RPCL", uid.HTJ2KLosslessRPCL, 16, _phantom(Syntax.HTJ2K)),
    ("HTJ2K", uid.HTJ2K, 16, _phantom(Syntax.HTJ2K)),
)


def _seed(exam: PhantomExam, pixels: Pixels, name: str, syntax: str, allocated: int, encode: Encode) -> Seed:
    shown = pixels if allocated == 16 else (pixels >> (BITS - 8))
    stream = encode(shown)
    whole = _written(exam, syntax, allocated)
    meta_size = META_START + struct.unpack_from("<L", whole, META_START - 4)[0]
    body = whole[meta_size:]
    if syntax == uid.DeflatedExplicitVRLittleEndian:
        body = zlib.decompressobj(-15).decompress(body)
    made = Seed(
        name=name,
        syntax=syntax,
        meta=whole[:meta_size],
        header=body,
        stream=stream,
        stored=shown,
        allocated=allocated,
        bits=min(BITS, allocated),
    )
    return _with_elements(made)


def _written(exam: PhantomExam, syntax: str, allocated: int) -> bytes:
    """A header without pixels as a file."""
    dataset = _header(exam, allocated)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def _header(exam: PhantomExam, allocated: int) -> Dataset:
    dataset = header_of(exam, exam.views[0], 1)
    dataset.Rows, dataset.Columns = ROWS, COLUMNS
    dataset.BitsAllocated = allocated
    dataset.BitsStored = min(BITS, allocated)
    dataset.HighBit = dataset.BitsStored - 1
    return dataset


def _with_elements(seed: Seed) -> Seed:
    elements = []
    at = 0
    while at < len(seed.header):
        element = _element(seed, at)
        elements.append(element)
        at = element.stop
    values = {name: getattr(seed, name) for name in Seed.__slots__}
    return Seed(**values | {"elements": tuple(elements)})


def _element(seed: Seed, at: int) -> Element:
    group, number = struct.unpack_from(f"{seed.order}HH", seed.header, at)
    tag = group << 16 | number
    if seed.is_implicit:
        length = struct.unpack_from("<L", seed.header, at + 4)[0]
        return Element(tag, at, at + 8, at + 8 + length, b"")
    vr = seed.header[at + 4 : at + 6]
    if vr in LONG_VRS:
        length = struct.unpack_from(f"{seed.order}L", seed.header, at + 8)[0]
        return Element(tag, at, at + 12, at + 12 + length, vr)
    length = struct.unpack_from(f"{seed.order}H", seed.header, at + 6)[0]
    return Element(tag, at, at + 8, at + 8 + length, vr)
