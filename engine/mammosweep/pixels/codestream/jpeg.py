"""The markers of JPEG (ITU-T T.81) and JPEG-LS (T.87): the frame, its scan, and where it ends."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydicom import uid

from mammosweep.errors import DecodeError, Reason
from mammosweep.geometry import Size
from mammosweep.pixels.codestream.outline import Outline, damaged, require_padding, torn

__all__ = [
    "BASELINE",
    "EXTENDED",
    "JPEG_LS",
    "LOSSLESS",
    "NOISE",
    "Jpeg",
    "Walk",
    "is_jpeg",
    "read_jpeg",
    "walk",
    "with_bytes_before_end",
]

# T.81 table B.1, T.87 C.1.1
SOI, EOI, SOS, DNL, DRI = 0xD8, 0xD9, 0xDA, 0xDC, 0xDD
BASELINE, EXTENDED, PROGRESSIVE, LOSSLESS, JPEG_LS = 0xC0, 0xC1, 0xC2, 0xC3, 0xF7
FRAMES = frozenset({*range(0xC0, 0xD0), JPEG_LS}) - {0xC4, 0xC8, 0xCC}  # without DHT, JPG and DAC
RESTARTS = range(0xD0, 0xD8)
MAX_SEGMENTS = 4096
MAX_SCANS = 100  # a progressive image has about 10; each costs a pass over it
BLOCK_PX = 8
# What follows the last code of a whole image changes nothing; where code is missing, it is read instead.
# No FF, as nothing need be escaped then; ones first, because libjpeg-turbo reads zeros where nothing is.
NOISE = b"\xfe" + bytes(151 * i % 251 for i in range(1, 2048))


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """What the markers say, whatever the process."""

    process: int  # second byte of the frame's marker
    precision: int
    size_px: Size
    num_components: int
    rows_at: int  # where the frame header's number of lines stands
    scan: bytes = field(repr=False)  # the first scan's parameters: its components and three bytes
    num_scans: int
    restart_interval: int
    restarts: bytes = field(repr=False)  # second bytes of the restart markers, in order
    end: int  # one past the end marker


@dataclass(frozen=True, slots=True, kw_only=True)
class Jpeg:
    """One gray scan of one component, all there as far as its markers tell."""

    outline: Outline
    process: int
    rows_at: int  # where the number of lines stands, in `outline.code`
    predictor: int  # T.81 table H.1; 0 but for JPEG Lossless
    near: int  # T.87: how far a sample may be off; 0 but for JPEG-LS


def is_jpeg(data: memoryview) -> bool:
    """Whether the bytes begin as JPEG and JPEG-LS do."""
    return bytes(data[:3]) == b"\xff\xd8\xff"


def read_jpeg(data: memoryview) -> Jpeg:
    """Read a JPEG or JPEG-LS image of one component.

    Raises:
        DecodeError: TRUNCATED, EXCESS_BYTES, DECODE_FAILED, DECODE_LIMIT or TRANSFER_SYNTAX.
    """
    found = walk(data)
    _require_known(found)
    _require_one_scan(found)
    require_padding(data[found.end :], "JPEG codestream")
    selection, _, transform = found.scan[-3:]
    outline = Outline(
        code=data[: found.end],
        syntaxes=_syntaxes(found.process, selection),
        size_px=found.size_px,
        precision=found.precision,
        num_components=found.num_components,
        is_lossy=found.process in (BASELINE, EXTENDED) or (found.process == JPEG_LS and selection > 0),
    )
    is_lossless = found.process == LOSSLESS
    if is_lossless and not (1 <= selection <= 7 and transform & 15 < found.precision):
        raise damaged(f"the scan has predictor {selection} and point transform {transform & 15}")
    return Jpeg(
        outline=outline,
        process=found.process,
        rows_at=found.rows_at,
        predictor=selection if is_lossless else 0,
        near=selection if found.process == JPEG_LS else 0,
    )


def _syntaxes(process: int, selection: int) -> tuple[str, ...]:
    """The transfer syntaxes of PS3.5 10.2 and 10.3 that allow a process and its predictor, or NEAR."""
    if process == LOSSLESS:
        return (uid.JPEGLosslessSV1, uid.JPEGLossless) if selection == 1 else (uid.JPEGLossless,)
    if process == JPEG_LS:
        return (uid.JPEGLSNearLossless,) if selection else (uid.JPEGLSLossless, uid.JPEGLSNearLossless)
    return (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit) if process == BASELINE else (uid.JPEGExtended12Bit,)


def _require_known(found: Walk) -> None:
    if found.process not in (BASELINE, EXTENDED, LOSSLESS, JPEG_LS):
        kind = "progressive" if found.process == PROGRESSIVE else "hierarchical or arithmetic"
        raise DecodeError(
            Reason.TRANSFER_SYNTAX,
            f"the codestream is {kind} JPEG (frame marker FF{found.process:02X}); expected sequential "
            "Huffman-coded JPEG, JPEG Lossless or JPEG-LS",
        )


def _require_one_scan(found: Walk) -> None:
    """One component has one scan (T.81 A.2); its restart markers count up from 0 (B.2.1)."""
    if found.num_components == 1 and found.num_scans != 1:
        raise damaged(f"the JPEG codestream has {found.num_scans} scans; one component needs 1")
    if found.process == JPEG_LS:
        return  # its restart intervals are counted in lines or pixels; CharLS looks after them
    expected = _num_restarts(found)
    if found.num_components == 1 and len(found.restarts) < expected:
        raise torn(f"the JPEG codestream has {len(found.restarts)} restart markers; expected {expected}")
    in_order = all(marker == 0xD0 + index % 8 for index, marker in enumerate(found.restarts))
    if not in_order or (found.num_components == 1 and len(found.restarts) > expected):
        raise damaged("the JPEG codestream's restart markers are out of order or too many")


def _num_restarts(found: Walk) -> int:
    """T.81 E.1.4: one restart marker after each interval but the last."""
    if not found.restart_interval:
        return 0
    side = 1 if found.process == LOSSLESS else BLOCK_PX
    units = -(-found.size_px.rows // side) * -(-found.size_px.columns // side)
    return max(-(-units // found.restart_interval) - 1, 0)


class _Cursor:
    """Steps from segment to segment (T.81 B.1.1)."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.at = 2  # behind SOI
        self.num_segments = 0
        self._markers: NDArray[np.intp] | None = None

    def marker(self) -> int:
        """The next marker's second byte; FF before it is fill (B.1.1.2)."""
        self.num_segments += 1
        if self.num_segments > MAX_SEGMENTS:
            raise DecodeError(Reason.DECODE_LIMIT, f"the JPEG codestream has over {MAX_SEGMENTS} segments")
        data, at, end = self.data, self.at, len(self.data)
        if at < end and data[at] != 0xFF:
            raise damaged(f"byte {at} of the JPEG codestream is no marker")
        while at < end and data[at] == 0xFF:
            at += 1
        if at >= end:
            raise torn("the JPEG codestream has no end marker (FFD9); it was cut short")
        self.at = at + 1
        return data[at]

    def segment(self) -> tuple[int, memoryview]:
        """Where the marker's parameters begin, and they themselves."""
        length = int.from_bytes(self.data[self.at : self.at + 2], "big")
        start, end = self.at + 2, self.at + length
        if end > len(self.data):
            raise torn("the JPEG codestream ends inside a marker segment")
        if length < 2:
            raise damaged(f"a JPEG marker segment has length {length}")
        self.at = end
        return start, self.data[start:end]

    def skip_entropy_coded(self, process: int) -> bytes:
        """Go to the marker behind a scan; give the restart markers on the way.

        In the code, FF is followed by 00 (T.81 B.1.1.5), in JPEG-LS by a 0 bit (T.87 A.1).
        """
        if self._markers is None:
            self._markers = _markers(self.data, self.at, process)
        rest = self._markers[np.searchsorted(self._markers, self.at) :]
        seconds = np.frombuffer(self.data, np.uint8)[rest + 1]
        others = np.flatnonzero((seconds < RESTARTS.start) | (seconds >= RESTARTS.stop))
        if others.size == 0:
            raise torn("the JPEG codestream has no end marker (FFD9); it was cut short")
        self.at = int(rest[others[0]])
        return seconds[: others[0]].tobytes()


def _markers(data: memoryview, start: int, process: int) -> NDArray[np.intp]:
    stream = np.frombuffer(data, np.uint8)
    places = np.flatnonzero(stream[start:-1] == 0xFF) + start
    seconds = stream[places + 1]
    least = 0x80 if process == JPEG_LS else 0x01
    found: NDArray[np.intp] = places[(seconds >= least) & (seconds != 0xFF)]
    return found


def with_bytes_before_end(jpeg: Jpeg, extra: bytes) -> bytearray:
    """The codestream with something between its code and its end marker."""
    code = bytearray(jpeg.outline.code)
    code[-2:] = extra + b"\xff\xd9"
    return code


def walk(data: memoryview) -> Walk:
    """Follow the markers to the end of the image, over any number of scans.

    Raises:
        DecodeError: TRUNCATED, DECODE_FAILED or DECODE_LIMIT.
    """
    cursor = _Cursor(data)
    frame: tuple[int, int, memoryview] | None = None
    scans: list[bytes] = []
    interval, restarts = 0, b""
    while (marker := cursor.marker()) != EOI:
        if marker in (0x00, 0x01, SOI, DNL, *RESTARTS):
            raise damaged(f"the JPEG codestream has marker FF{marker:02X} where none may stand")
        at, body = cursor.segment()
        if marker in FRAMES:
            if frame is not None:
                raise damaged("the JPEG codestream has a second frame")
            frame = (marker, at, _frame_header(body))
        elif marker == DRI:
            interval = int.from_bytes(body, "big")
        elif marker == SOS:
            if frame is None:
                raise damaged("the JPEG codestream has a scan before its frame header")
            scans.append(_scan_header(body, len(scans)))
            restarts += cursor.skip_entropy_coded(frame[0])
    if frame is None or not scans:
        raise torn("the JPEG codestream ends before its image begins")
    process, at, header = frame
    return Walk(
        process=process,
        precision=header[0],
        size_px=Size(int.from_bytes(header[1:3], "big"), int.from_bytes(header[3:5], "big")),
        num_components=header[5],
        rows_at=at + 1,
        scan=scans[0],
        num_scans=len(scans),
        restart_interval=interval,
        restarts=restarts,
        end=cursor.at,
    )


def _frame_header(body: memoryview) -> memoryview:
    """T.81 B.2.2: precision, lines, samples a line, components and three bytes for each."""
    if len(body) < 9 or len(body) != 6 + 3 * body[5]:
        raise damaged(f"the JPEG frame header has {len(body) + 2} bytes, other than its components need")
    return body


def _scan_header(body: memoryview, num_before: int) -> bytes:
    """T.81 B.2.3: components, two bytes for each, and three of parameters."""
    if num_before >= MAX_SCANS:
        raise DecodeError(Reason.DECODE_LIMIT, f"the JPEG codestream has over {MAX_SCANS} scans")
    if len(body) < 6 or len(body) != 4 + 2 * body[0]:
        raise damaged(f"a JPEG scan header has {len(body) + 2} bytes, other than its components need")
    return bytes(body)
