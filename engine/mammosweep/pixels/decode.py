"""One file's bytes become a frame: parse, check, decode, and say what stored values mean.

What is hostile about a file is met here and in what this calls, so it runs in a worker process that may be
lost (`isolation/`); `read_frame` itself knows nothing of processes.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import BinaryIO, cast

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import JPEGBaseline8Bit, RLELossless

from mammosweep.archive import pixel_module
from mammosweep.archive.attributes import integer, text, words
from mammosweep.archive.case import HeaderCase
from mammosweep.archive.manifest import ManifestRow
from mammosweep.archive.parse import parse, quiet
from mammosweep.archive.parsed import ParsedFile
from mammosweep.config import ArchiveConfig, PixelsConfig
from mammosweep.errors import DecodeError, Flag, Reason
from mammosweep.geometry import Size
from mammosweep.pixels.codestream import CodestreamInfo, check_codestream
from mammosweep.pixels.decoders.raster import decode_raster
from mammosweep.pixels.decoders.table import NATIVE, Codec, choose
from mammosweep.pixels.frame import EncodedFrame, Frame, Stored, reduced_size
from mammosweep.pixels.photometry import identity_table, needs_full_resolution, presentation_table
from mammosweep.records import View

__all__ = ["Allocate", "codec_for", "read_frame"]

Allocate = Callable[[Size], Stored]
"""Gives the (rows, columns) array that a frame is decoded into, filled with anything."""

HEAD_BYTES = 4096  # preamble and File Meta Information

CHECKS = (
    pixel_module.check_presence,
    pixel_module.check_size,
    pixel_module.check_photometric,
    pixel_module.check_bits,
    pixel_module.check_sign,
    pixel_module.check_frames,
    pixel_module.check_pixel_bytes,
    pixel_module.check_rescale,
    pixel_module.check_luts,
)
"""The header's checks that decoding relies on, made again on the bytes that are decoded."""

WITHOUT_PRECISION = NATIVE | {str(RLELossless)}
"""Encodings of bytes; every other codestream says itself how many bits a sample has."""

BYTES_A_PIXEL = 8
"""What decoding takes at most besides its output: OpenJPEG's image and tile, 32 bits each."""

GLANCE_PX = 64

# Sizes are bounded by max_megapixels here.
UNBOUNDED = ArchiveConfig(max_rows_columns=65535)


def allocate_anew(size: Size) -> Stored:
    """A new array."""
    return np.empty((size.rows, size.columns), np.uint16)


def read_frame(
    data: bytes | memoryview,
    view: View,
    config: PixelsConfig,
    *,
    grid_mm: float | None = None,
    device: str = "cpu",
    allocate: Allocate = allocate_anew,
) -> Frame:
    """Decode a view from its file's bytes.

    Args:
        data: the whole file.
        view: what the catalog knows of it.
        config: limits, and which decoders may be used.
        grid_mm: the finest grid that the frame is wanted for: where the codestream holds the frame at lower
            resolutions, the lowest one that is still finer is decoded. None: the full resolution.
        device: "cuda" for a GPU's decoder, where it knows the transfer syntax; it decodes full resolution.
        allocate: gives the array that the pixels are decoded into.

    Raises:
        HeaderError, DecodeError: the bytes are another file than the catalog knows, or its pixels are
            missing, damaged, of another size than the header says, larger than ``max_megapixels``, or alike.
    """
    if view.size_px.area > config.max_megapixels * 1e6:
        raise DecodeError(
            Reason.SIZE_TOO_LARGE,
            f"the frame has {view.size_px.rows} x {view.size_px.columns} pixels; at most "
            f"{config.max_megapixels:g} megapixels are decoded (pixels.max_megapixels)",
        )
    if view.size_bytes and len(data) != view.size_bytes:
        raise DecodeError(
            Reason.FILE_CHANGED,
            f"the file has {len(data)} bytes and had {view.size_bytes}: it changed since it was indexed; "
            "index it again",
        )
    if view.transfer_syntax.startswith("image/"):
        frame = _raster(data, view, allocate)
    else:
        with quiet():  # pydicom's warnings quote header values
            frame = _dicom(memoryview(data), view, config, grid_mm, device, allocate)
    return _checked(frame)


def _dicom(
    data: memoryview,
    view: View,
    config: PixelsConfig,
    grid_mm: float | None,
    device: str,
    allocate: Allocate,
) -> Frame:
    file = parse(cast("BinaryIO", _Stream(data)), len(data), bytes(data[:HEAD_BYTES]))
    dataset = file.dataset
    _check_header(file, view)
    encoded = _encoded(file, data, view)
    info = check_codestream(encoded, max_pixels=int(config.max_megapixels * 1e6))
    _require_allowed(encoded, info)
    table, voi = presentation_table(dataset)
    reduce = 0
    if config.reduced_resolution and grid_mm is not None and not needs_full_resolution(dataset, table):
        reduce = min(_levels_finer_than(grid_mm, view.spacing_mm), info.num_levels)
    codec = codec_for(info.transfer_syntax, config, device=device, reduce=reduce)
    reduce = reduce if codec.can_reduce else 0
    size = reduced_size(encoded.size_px, reduce)
    _require_memory(size, config)
    stored = allocate(size)
    codec.load()(encoded, stored, reduce=reduce)
    return Frame(
        stored=stored,
        table=table,
        size_px=view.size_px,
        reduce=reduce,
        voi=voi,
        orientation=_orientation(dataset),
        flags=_within_bits_stored(stored, encoded, info) + _flags(encoded, info),
    )


class _Stream(io.RawIOBase):
    """Bytes as a file, without a copy."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._data)}[whence]
        self._at = start + offset
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = self._data[self._at : self._at + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


def _check_header(file: ParsedFile, view: View) -> None:
    """The file is the one that was indexed, and its pixels are described as decoders need it."""
    if text(file.dataset, "SOPInstanceUID") != view.sop_instance_uid:
        raise DecodeError(
            Reason.FILE_CHANGED, "the file holds another instance since it was indexed; index it again"
        )
    if file.torn:
        raise DecodeError(Reason.TRUNCATED, file.torn)
    case = HeaderCase(file, ManifestRow(path=view.path), UNBOUNDED)
    for check in CHECKS:
        check(case)
    found = Size(integer(file.dataset, "Rows") or 0, integer(file.dataset, "Columns") or 0)
    if found != view.size_px:
        raise DecodeError(
            Reason.FILE_CHANGED,
            f"Rows x Columns is {found.rows} x {found.columns} and was {view.size_px.rows} x "
            f"{view.size_px.columns}: the file changed since it was indexed; index it again",
        )


def _encoded(file: ParsedFile, data: memoryview, view: View) -> EncodedFrame:
    pixels = file.pixels
    if pixels is None:
        raise DecodeError(Reason.NO_PIXEL_DATA, "Pixel Data (7FE0,0010) is missing; expected one frame")
    body = memoryview(file.inflated) if file.inflated is not None else data
    if pixels.fragments is None:
        start = pixels.element.offset
        pieces = [body[start : start + pixels.element.length]]
    else:
        fragments = zip(pixels.fragments.starts, pixels.fragments.sizes, strict=True)
        pieces = [body[start : start + size] for start, size in fragments]
    return EncodedFrame(
        data=pieces[0] if len(pieces) == 1 else memoryview(b"".join(pieces)),
        transfer_syntax=file.transfer_syntax,
        size_px=view.size_px,
        bits_allocated=integer(file.dataset, "BitsAllocated") or 0,
        bits_stored=integer(file.dataset, "BitsStored") or 0,
    )


def _require_allowed(encoded: EncodedFrame, info: CodestreamInfo) -> None:
    """The catalog judges 8-bit lossy JPEG by what is declared; here is one that was declared otherwise."""
    if info.transfer_syntax == JPEGBaseline8Bit != encoded.transfer_syntax:
        raise DecodeError(
            Reason.LOSSY_NOT_ALLOWED,
            "the codestream is 8 bit lossy JPEG, and declared as something else; expected a lossless copy",
        )


def _levels_finer_than(grid_mm: float, spacing_mm: tuple[float, float]) -> int:
    """How often a frame can be halved and its pixels still be no coarser than the grid's."""
    levels = 0
    while max(spacing_mm) * 2 ** (levels + 1) <= grid_mm:
        levels += 1
    return levels


def _require_memory(size: Size, config: PixelsConfig) -> None:
    """Codecs say of memory that they lack what they say of damage."""
    needed_mib = BYTES_A_PIXEL * size.area / 2**20
    if needed_mib > config.memory_mib:
        raise DecodeError(
            Reason.DECODE_LIMIT,
            f"decoding {size.rows} x {size.columns} pixels may take {needed_mib:.0f} MiB; at most "
            f"{config.memory_mib} MiB are allowed (pixels.memory_mib)",
        )


def codec_for(transfer_syntax: str, config: PixelsConfig, *, device: str = "cpu", reduce: int = 0) -> Codec:
    """The codec that the settings ask for, if it knows the syntax; else the one that reads least.

    Raises:
        DecodeError: TRANSFER_SYNTAX, none knows it.
    """
    asked = choose(transfer_syntax, device=device, prefer=config.decoder)
    if reduce == 0 or asked.device == "cuda" or asked.library == config.decoder:
        return asked
    return choose(transfer_syntax, reduce=reduce)


def _within_bits_stored(stored: Stored, encoded: EncodedFrame, info: CodestreamInfo) -> tuple[Flag, ...]:
    """Clamp what loss made overshoot; mask other data, which may lie above Bits Stored.

    Raises:
        DecodeError: BITS_INVALID, values are larger for another reason.
    """
    mask = (1 << encoded.bits_stored) - 1
    largest = int(stored.max())
    if largest <= mask:
        return ()
    if info.transfer_syntax not in WITHOUT_PRECISION:
        _require_room_above(int(stored.min()), mask, encoded, info)
    if info.is_lossy:
        np.minimum(stored, np.uint16(mask), out=stored)
        return ()
    np.bitwise_and(stored, np.uint16(mask), out=stored)
    return (Flag.STRAY_BITS_MASKED,)


def _require_room_above(smallest: int, mask: int, encoded: EncodedFrame, info: CodestreamInfo) -> None:
    """Only the bits allocated leave room above Bits Stored, and only for some pixels.

    A codestream of another precision than it was made with shifts every value.
    """
    if info.precision != encoded.bits_allocated or smallest > mask:
        raise DecodeError(
            Reason.BITS_INVALID,
            f"the codestream's samples have {info.precision} bits, and values beyond the "
            f"{encoded.bits_stored} of Bits Stored (0028,0101)",
        )


def _flags(encoded: EncodedFrame, info: CodestreamInfo) -> tuple[Flag, ...]:
    applies = {
        Flag.TRANSFER_SYNTAX_RECOVERED: info.transfer_syntax != encoded.transfer_syntax,
        Flag.LOSSY: info.is_lossy,
    }
    return tuple(flag for flag, truth in applies.items() if truth)


def _orientation(dataset: Dataset) -> tuple[str, str] | None:
    values = words(dataset, "PatientOrientation")
    return (values[0], values[1]) if len(values) == 2 else None


def _raster(data: bytes | memoryview, view: View, allocate: Allocate) -> Frame:
    pixels = decode_raster(data, view.transfer_syntax, view.size_px)
    stored = allocate(view.size_px)
    stored[...] = pixels
    return Frame(stored=stored, table=identity_table(_bits_used(stored)), size_px=view.size_px)


def _bits_used(pixels: Stored) -> int:
    """The fewest bits that hold its values: exports keep 12 bit values in 16 bit files and do not say so."""
    return max(int(pixels.max()).bit_length(), 8)


def _checked(frame: Frame) -> Frame:
    if _is_constant(frame.stored):
        raise DecodeError(
            Reason.BLANK_IMAGE,
            f"every pixel has the stored value {frame.stored.flat[0]}; expected a mammogram",
        )
    return frame


def _is_constant(stored: Stored) -> bool:
    """Most images show at a glance that they are not; only the others are looked at whole."""
    glance = stored[::GLANCE_PX, ::GLANCE_PX]
    return bool(glance.min() == glance.max() and stored.min() == stored.max())
