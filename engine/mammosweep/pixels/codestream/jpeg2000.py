"""The headers of JPEG 2000 (ITU-T T.800) and HTJ2K (T.814), and the chain of their tile-parts."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from pydicom import uid

from mammosweep.errors import DecodeError, Reason
from mammosweep.geometry import Size
from mammosweep.pixels.codestream.outline import Outline, damaged, require_padding, torn

__all__ = ["Jpeg2000", "is_jpeg2000", "read_jpeg2000"]

# T.800 table A.2, T.814 A.4
SOC, SIZ, CAP, COD, SOT, EOC = 0xFF4F, 0xFF51, 0xFF50, 0xFF52, 0xFF90, 0xFFD9
JP2_SIGNATURE = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
CAP_HIGH_THROUGHPUT = 1 << (32 - 15)  # Pcap: Part 15 is used
RPCL = 2  # progression order, T.800 table A.16
MAX_HEADER_SEGMENTS = 4096
MAX_BOXES = 64
# Of a frame of 64 megapixels: tiles of 128 x 128, code-blocks of 16 x 16, packets for 100 layers at
# precincts of 256 x 256 and six resolutions. Codecs allocate for each of them before they read any.
MAX_TILES = 4096
MAX_TILE_PARTS = 65_536
MAX_CODE_BLOCKS = 1 << 19
MAX_PACKETS = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Jpeg2000:
    """A codestream whose tile-parts are all there."""

    outline: Outline
    is_high_throughput: bool
    is_reversible: bool
    is_open_ended: bool  # the last tile-part does not say its length: a cut cannot be seen from outside


@dataclass(frozen=True, slots=True, kw_only=True)
class _ImageSize:
    """SIZ (T.800 A.5.1)."""

    right: int
    bottom: int
    left: int
    top: int
    tile_width: int
    tile_height: int
    tiles_left: int
    tiles_top: int
    num_components: int
    precision: int
    is_signed: bool
    is_subsampled: bool

    @property
    def size_px(self) -> Size:
        return Size(self.bottom - self.top, self.right - self.left)

    @property
    def num_tiles(self) -> int:
        across = -(-(self.right - self.tiles_left) // self.tile_width)
        return across * -(-(self.bottom - self.tiles_top) // self.tile_height)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Coding:
    """COD (T.800 A.6.1)."""

    progression: int
    num_layers: int
    num_levels: int
    code_block_px: Size
    is_reversible: bool
    precincts: tuple[tuple[int, int], ...]  # exponents of width and height, from the lowest resolution


@dataclass(slots=True)
class _Chain:
    """The tile-parts, from the first SOT to EOC."""

    end: int = 0
    is_open_ended: bool = False
    num_parts: dict[int, int] = field(default_factory=dict)  # by tile
    num_promised: dict[int, int] = field(default_factory=dict)


def is_jpeg2000(data: memoryview) -> bool:
    """Whether the bytes begin as a codestream does (SOC, SIZ), or a JP2 file."""
    head = bytes(data[:12])
    return head.startswith(b"\xff\x4f\xff\x51") or head == JP2_SIGNATURE


def read_jpeg2000(data: memoryview) -> Jpeg2000:
    """Read the main header and follow the tile-parts; a JP2 file's boxes are taken off.

    Raises:
        DecodeError: TRUNCATED, EXCESS_BYTES, DECODE_FAILED, DECODE_LIMIT or PHOTOMETRIC.
    """
    is_file = bytes(data[:12]) == JP2_SIGNATURE
    code = _codestream_box(data) if is_file else data
    segments, first_part = _main_header(code)
    size = _image_size(segments[SIZ])
    coding = _coding(segments[COD])
    _require_affordable(size, coding)
    chain = _follow(code, first_part)
    _require_every_tile(chain, size.num_tiles)
    require_padding(code[chain.end :], "JPEG 2000 codestream")
    capabilities = segments.get(CAP, b"\0\0\0\0")
    is_high_throughput = bool(int.from_bytes(capabilities[:4], "big") & CAP_HIGH_THROUGHPUT)
    outline = Outline(
        code=code[: chain.end],
        syntaxes=_syntaxes(is_high_throughput, coding),
        size_px=size.size_px,
        precision=size.precision,
        is_signed=size.is_signed,
        num_components=size.num_components,
        num_levels=min(coding.num_levels, _most_halvings(size)),
        is_lossy=not coding.is_reversible,
    )
    return Jpeg2000(
        outline=outline,
        is_high_throughput=is_high_throughput,
        is_reversible=coding.is_reversible,
        is_open_ended=chain.is_open_ended,
    )


def _most_halvings(size: _ImageSize) -> int:
    """How often every tile can be halved to whole pixels, and is not halved to nothing (T.800 B.12)."""
    if (size.left, size.top, size.tiles_left, size.tiles_top) != (0, 0, 0, 0):
        return 0
    sides = size.tile_width | size.tile_height
    return 32 if size.num_tiles == 1 else (sides & -sides).bit_length() - 1


def _syntaxes(is_high_throughput: bool, coding: _Coding) -> tuple[str, ...]:
    """The transfer syntaxes that allow the codestream (PS3.5 A.4.4, 10.15 to 10.18), the narrowest first."""
    if not is_high_throughput:
        return (uid.JPEG2000Lossless, uid.JPEG2000) if coding.is_reversible else (uid.JPEG2000,)
    if not coding.is_reversible:
        return (uid.HTJ2K,)
    ordered = (uid.HTJ2KLosslessRPCL,) if coding.progression == RPCL else ()
    return (uid.HTJ2KLossless, *ordered, uid.HTJ2K)


def _codestream_box(data: memoryview) -> memoryview:
    """The contiguous codestream of a JP2 file (T.800 I.4, I.5.4); DICOM forbids it, some encoders do not."""
    at = 0
    for _ in range(MAX_BOXES):
        if at + 16 > len(data):
            break
        length, kind = struct.unpack_from(">L4s", data, at)
        head = 16 if length == 1 else 8
        length = struct.unpack_from(">Q", data, at + 8)[0] if length == 1 else length or len(data) - at
        if length < head:
            raise damaged(f"a box of the JP2 file has length {length}")
        if kind == b"jp2c":
            require_padding(data[at + length :], "JP2 file's codestream")
            return _require_codestream(data[at + head : at + length], at + length > len(data))
        at += length
    raise torn("the JP2 file ends before its codestream")


def _require_codestream(code: memoryview, is_cut: bool) -> memoryview:
    if is_cut:
        raise torn("the JP2 file ends inside its codestream")
    if bytes(code[:4]) != b"\xff\x4f\xff\x51":
        raise damaged("the JP2 file's codestream does not begin with SOC and SIZ")
    return code


def _main_header(code: memoryview) -> tuple[dict[int, bytes], int]:
    """The first segment of each kind, and where the first tile-part begins (T.800 A.3)."""
    segments: dict[int, bytes] = {}
    at = 2
    for _ in range(MAX_HEADER_SEGMENTS):
        marker, length = _words(code, at)
        if marker == SOT:
            for kind, name in ((SIZ, "SIZ"), (COD, "COD")):
                if kind not in segments:
                    raise damaged(f"the JPEG 2000 main header has no {name} segment")
            return segments, at
        if marker < 0xFF00 or length < 2:
            raise damaged(f"byte {at} of the JPEG 2000 main header begins no marker segment")
        if at + 2 + length > len(code):
            raise torn("the JPEG 2000 codestream ends inside its main header")
        segments.setdefault(marker, bytes(code[at + 4 : at + 2 + length]))
        at += 2 + length
    raise DecodeError(
        Reason.DECODE_LIMIT, f"the JPEG 2000 main header has over {MAX_HEADER_SEGMENTS} segments"
    )


def _words(code: memoryview, at: int) -> tuple[int, int]:
    if at + 4 > len(code):
        raise torn("the JPEG 2000 codestream ends inside its main header")
    marker, length = struct.unpack_from(">HH", code, at)
    return marker, length


def _image_size(segment: bytes) -> _ImageSize:
    if len(segment) < 39 or len(segment) != 36 + 3 * int.from_bytes(segment[34:36], "big"):
        raise damaged(f"SIZ has {len(segment) + 2} bytes, other than its components need")
    right, bottom, left, top, width, height, tiles_left, tiles_top, num = struct.unpack(">8LH", segment[2:36])
    depth, step_x, step_y = segment[36:39]
    size = _ImageSize(
        right=right,
        bottom=bottom,
        left=left,
        top=top,
        tile_width=width,
        tile_height=height,
        tiles_left=tiles_left,
        tiles_top=tiles_top,
        num_components=num,
        precision=(depth & 0x7F) + 1,
        is_signed=bool(depth & 0x80),
        is_subsampled=(step_x, step_y) != (1, 1),
    )
    _require_sound(size)
    return size


def _require_sound(size: _ImageSize) -> None:
    """T.800 B.2, B.3: the image has an area, and its first tile holds a part of it."""
    sides_are_sound = (
        tiles <= start < end and tile > 0 and tiles + tile > start
        for tiles, start, end, tile in (
            (size.tiles_left, size.left, size.right, size.tile_width),
            (size.tiles_top, size.top, size.bottom, size.tile_height),
        )
    )
    if not all(sides_are_sound):
        raise damaged("SIZ places the image, or its tiles, where none can be")
    if size.is_subsampled:
        raise DecodeError(
            Reason.PHOTOMETRIC, "the JPEG 2000 component is subsampled; expected one of all pixels"
        )


def _coding(segment: bytes) -> _Coding:
    if len(segment) < 10:
        raise damaged(f"COD has {len(segment) + 2} bytes; expected at least 12")
    style, progression, num_layers, _, levels, width, height, _, transform = struct.unpack(
        ">BBHBBBBBB", segment[:10]
    )
    precincts = tuple((size & 15, size >> 4) for size in segment[10:])
    if levels > 32 or width > 8 or height > 8 or width + height > 8 or num_layers == 0:
        raise damaged(f"COD asks for {levels} levels and code-blocks of 2^{width + 2} x 2^{height + 2}")
    if style & 1 and len(precincts) != levels + 1:
        raise damaged(f"COD has {len(precincts)} precinct sizes; expected {levels + 1}")
    return _Coding(
        progression=progression,
        num_layers=num_layers,
        num_levels=levels,
        code_block_px=Size(4 << height, 4 << width),
        is_reversible=transform == 1,
        precincts=precincts if style & 1 else ((15, 15),) * (levels + 1),
    )


def _require_affordable(size: _ImageSize, coding: _Coding) -> None:
    """No more tiles, code-blocks and packets than an image of the largest size has."""
    area = size.size_px.area
    num_blocks = max(size.num_tiles, -(-area // coding.code_block_px.area))
    for found, most, what in (
        (size.num_tiles, MAX_TILES, "tiles"),
        (num_blocks, MAX_CODE_BLOCKS, "code-blocks"),
        (_num_packets(size, coding), MAX_PACKETS, "packets"),
    ):
        if found > most:
            raise DecodeError(
                Reason.DECODE_LIMIT, f"the JPEG 2000 codestream has {found} {what}; expected at most {most}"
            )


def _num_packets(size: _ImageSize, coding: _Coding) -> int:
    """T.800 B.6, B.9: a packet for each precinct of each resolution, layer and tile (about, at the seams)."""
    width, height = min(size.tile_width, size.right), min(size.tile_height, size.bottom)
    precincts = 0
    for resolution, (across, down) in enumerate(coding.precincts):
        halvings = coding.num_levels - resolution
        columns, rows = -(-width // (1 << halvings)), -(-height // (1 << halvings))
        precincts += -(-columns // (1 << across)) * -(-rows // (1 << down))
    return precincts * coding.num_layers * size.num_tiles


def _follow(code: memoryview, at: int) -> _Chain:
    """Go from tile-part to tile-part by their lengths; the end marker follows the last (T.800 A.4.2)."""
    chain = _Chain()
    for _ in range(MAX_TILE_PARTS):
        marker = int.from_bytes(code[at : at + 2], "big")
        if marker == EOC:
            chain.end = at + 2
            return chain
        if at + 12 > len(code):
            raise torn("the JPEG 2000 codestream has no end marker (FFD9) behind its last tile-part")
        if marker != SOT:
            raise damaged(f"byte {at} of the JPEG 2000 codestream begins no tile-part and no end")
        at = _next_part(code, at, chain)
    raise DecodeError(Reason.DECODE_LIMIT, f"the JPEG 2000 codestream has over {MAX_TILE_PARTS} tile-parts")


def _next_part(code: memoryview, at: int, chain: _Chain) -> int:
    tile: int
    length: int
    _, tile, length, _, num_promised = struct.unpack_from(">HHLBB", code, at + 2)
    chain.num_parts[tile] = chain.num_parts.get(tile, 0) + 1
    if num_promised:
        chain.num_promised[tile] = num_promised
    if length == 0:  # it extends to the end marker
        chain.is_open_ended = True
        end = len(bytes(code[at:]).rstrip(b"\0")) + at
        if bytes(code[end - 2 : end]) != b"\xff\xd9":
            raise torn("the JPEG 2000 codestream has no end marker (FFD9); it was cut short")
        return end - 2
    if length < 14:
        raise damaged(f"a JPEG 2000 tile-part has length {length}; expected at least 14")
    if at + length + 2 > len(code):
        missing = at + length + 2 - len(code)
        raise torn(f"the JPEG 2000 codestream ends {missing} bytes before its tile-part and end marker do")
    return at + length


def _require_every_tile(chain: _Chain, num_tiles: int) -> None:
    if any(tile >= num_tiles for tile in chain.num_parts):
        raise damaged(f"a JPEG 2000 tile-part belongs to none of the {num_tiles} tiles")
    if len(chain.num_parts) < num_tiles:
        raise torn(f"the JPEG 2000 codestream has {len(chain.num_parts)} of {num_tiles} tiles")
    for tile, promised in chain.num_promised.items():
        if chain.num_parts[tile] != promised:
            raise torn(
                f"tile {tile} of the JPEG 2000 image has {chain.num_parts[tile]} of {promised} tile-parts"
            )
