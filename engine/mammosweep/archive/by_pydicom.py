"""Headers as pydicom reads them, without the values nobody asked for: whatever is not plain.

Only wanted attributes are kept, and thousands of private elements cost their tags. An element that declares
more than the file holds ends the reading.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset, read_partial
from pydicom.tag import BaseTag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from mammosweep.archive.parsed import (
    PIXEL_TAGS,
    UNDEFINED_LENGTH,
    Element,
    ParsedFile,
    PixelElement,
    pixels_at,
)
from mammosweep.archive.vendors import PRIVATE_TAGS
from mammosweep.archive.wanted import WANTED
from mammosweep.errors import HeaderError, Reason

__all__ = ["dataset_of", "parse_by_pydicom"]

SEQUENCE_END = bytes.fromhex("feffdde000000000")

MAX_ELEMENT_BYTES = 16 << 20  # of a kept value: the largest, a VOI LUT, has 128 KiB
MAX_ELEMENTS = 1_000_000  # of a whole header; a real one has hundreds
MAX_INFLATED_BYTES = 160 << 20  # a frame of 16 bit at the decoder's limit of 64 megapixels has 128 MiB

WANTED_TAGS = PRIVATE_TAGS | {attribute.tag for attribute in WANTED.values()}


def parse_by_pydicom(stream: BinaryIO, size: int, head: bytes) -> ParsedFile:
    """Do what `parse` does; the stream stands at its beginning."""
    watch = _Watch(stream, size)
    try:
        dataset = _read(watch, head)
    except (HeaderError, MemoryError):
        raise
    except OSError as error:
        if error.errno is not None:  # the storage's, not pydicom's
            raise
        raise watch.failure(error) from None
    except RecursionError:
        raise HeaderError(Reason.HEADER_MALFORMED, "sequences are nested too deeply to be read") from None
    except Exception as error:  # pydicom raises whatever the bytes provoke
        raise watch.failure(error) from None
    meta = dataset.file_meta
    return ParsedFile(
        header=dataset,
        transfer_syntax=str(meta.get("TransferSyntaxUID") or _guessed_syntax(dataset)),
        sop_class_of_file=str(meta.get("MediaStorageSOPClassUID", "")),
        pixels=watch.pixels(*_encoding(dataset)),
        num_private=watch.num_private,
        torn=watch.torn(),
        inflated=watch.inflated,
    )


def dataset_of(before_pixels: bytes) -> Dataset:
    """The wanted attributes of a header that is known to be sound."""
    return read_partial(BytesIO(before_pixels), specific_tags=list(WANTED_TAGS))


def _read(watch: _Watch, head: bytes) -> Dataset:
    wanted = list(WANTED_TAGS)
    if DeflatedExplicitVRLittleEndian.encode() not in head:
        return read_partial(watch.stream, watch, force=True, specific_tags=wanted)
    watch.stream.seek(_meta_offset(head))
    meta = read_dataset(watch.stream, False, True, stop_when=lambda tag, vr, length: tag.group != 2)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        watch.stream.seek(0)
        return read_partial(watch.stream, watch, force=True, specific_tags=wanted)
    body = _inflate(watch.stream.read())
    watch.stream, watch.size, watch.inflated = BytesIO(body), len(body), body
    dataset = read_dataset(watch.stream, False, True, stop_when=watch, specific_tags=wanted)
    dataset.file_meta = meta  # type: ignore[assignment]
    return dataset


def _meta_offset(head: bytes) -> int:
    return 132 if head[128:132] == b"DICM" else 0


def _inflate(data: bytes) -> bytes:
    """Undo the deflate of PS3.5 A.5, as far as a frame can need."""
    import imagecodecs  # few archives hold such files

    try:  # libdeflate takes two thirds of zlib's time, and says less of what is wrong
        return bytes(imagecodecs.deflate_decode(data, raw=True, out=MAX_INFLATED_BYTES))
    except imagecodecs.DeflateError:
        return _inflate_or_say_why_not(data)


def _inflate_or_say_why_not(data: bytes) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    body = inflater.decompress(data, MAX_INFLATED_BYTES)
    if inflater.unconsumed_tail:
        raise HeaderError(
            Reason.DECODE_LIMIT, f"the deflated data set grows beyond {MAX_INFLATED_BYTES >> 20} MiB"
        )
    if not inflater.eof:
        raise HeaderError(Reason.TRUNCATED, "the file ends inside its deflated data set; copy it again")
    return body


def _encoding(dataset: Dataset) -> tuple[bool, bool]:
    """Whether it is written in implicit VR, and whether in little endian."""
    is_implicit, is_little = dataset.original_encoding
    return bool(is_implicit), bool(is_little)


def _guessed_syntax(dataset: Dataset) -> str:
    """The native transfer syntax that pydicom found where the file names none."""
    is_implicit, is_little = _encoding(dataset)
    if not is_little:
        return str(ExplicitVRBigEndian)
    return str(ImplicitVRLittleEndian if is_implicit else ExplicitVRLittleEndian)


@dataclass(slots=True)
class _Watch:
    """Sees every element of the outermost level before its value is read; tells pydicom when to stop."""

    stream: BinaryIO
    size: int
    inflated: bytes | None = None
    last: Element | None = None
    stopped: bool = False
    num_elements: int = 0
    num_private: int = 0
    _swallowing: bool = False

    def __call__(self, tag: BaseTag, vr: str | None, length: int) -> bool:
        self.last = Element(int(tag), vr, length, self.stream.tell())
        if tag in PIXEL_TAGS:
            self.stopped = True
            return True
        self._count(tag)
        self._swallowing = length != UNDEFINED_LENGTH and self.last.offset + length > self.size
        is_too_long = length != UNDEFINED_LENGTH and length > MAX_ELEMENT_BYTES
        if tag in WANTED_TAGS and is_too_long and not self._swallowing:
            raise HeaderError(
                Reason.HEADER_MALFORMED,
                f"element {self.last.name} holds {length} bytes, more than any such value",
            )
        return self._swallowing

    def _count(self, tag: BaseTag) -> None:
        self.num_elements += 1
        self.num_private += tag.is_private
        if self.num_elements > MAX_ELEMENTS:
            raise HeaderError(Reason.HEADER_MALFORMED, f"the header has more than {MAX_ELEMENTS} elements")

    def pixels(self, is_implicit: bool, is_little: bool) -> PixelElement | None:
        """The pixel element, if the header ended at one."""
        if not self.stopped or self.last is None:
            return None
        return pixels_at(self.stream, self.size, self.last, is_implicit=is_implicit, is_little=is_little)

    def torn(self) -> str:
        """How the file ends too soon; empty when it ends with an element, or at the pixels."""
        if self.stopped:
            return ""
        if self.last is None:
            return "the file ends after its meta information; copy it again"
        if self._swallowing:
            available = self.size - self.last.offset
            return (
                f"element {self.last.name} declares {self.last.length} bytes where the file holds "
                f"{available} more; copy it again"
            )
        return (
            ""
            if self._ends_well()
            else f"the file ends inside or after element {self.last.name}; copy it again"
        )

    def _ends_well(self) -> bool:
        assert self.last is not None
        if self.last.length != UNDEFINED_LENGTH:
            return self.last.offset + self.last.length == self.size
        self.stream.seek(max(0, self.size - len(SEQUENCE_END)))
        return self.stream.read() == SEQUENCE_END

    def failure(self, error: Exception) -> HeaderError:
        """What an exception of the parser means: a torn file if it stopped at the end, damage elsewhere."""
        if self.stream.tell() >= self.size:
            place = (
                f"inside or after element {self.last.name}" if self.last else "inside its meta information"
            )
            return HeaderError(Reason.TRUNCATED, f"the file ends {place}; copy it again")
        return HeaderError(
            Reason.HEADER_MALFORMED,
            f"the header cannot be parsed ({type(error).__name__}); copy the file again",
        )
