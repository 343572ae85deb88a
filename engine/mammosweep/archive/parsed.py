"""What parsing a DICOM file gives: its attributes, and where its pixels lie."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from mammosweep.archive.fragments import Fragments, read_fragments
from mammosweep.archive.trailing import num_stray_bytes
from mammosweep.archive.values import Header

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from mammosweep.archive.attributes import Attributes

__all__ = [
    "DOUBLE_PIXELS",
    "FLOAT_PIXELS",
    "PIXEL_TAGS",
    "UNDEFINED_LENGTH",
    "Element",
    "ParsedFile",
    "PixelElement",
    "pixels_at",
]

UNDEFINED_LENGTH = 0xFFFFFFFF
FLOAT_PIXELS, DOUBLE_PIXELS, PIXELS = 0x7FE00008, 0x7FE00009, 0x7FE00010
PIXEL_TAGS = frozenset({FLOAT_PIXELS, DOUBLE_PIXELS, PIXELS})


@dataclass(frozen=True, slots=True)
class Element:
    """Where an element of the outermost level stands."""

    tag: int
    vr: str | None  # None: written in implicit VR
    length: int
    offset: int  # of its value

    @property
    def name(self) -> str:
        """Group and element."""
        return f"({self.tag >> 16:04X},{self.tag & 0xFFFF:04X})"


@dataclass(frozen=True, slots=True)
class PixelElement:
    """Pixel Data, unread."""

    element: Element
    available: int  # bytes from its value to the file's end
    fragments: Fragments | None  # None unless its length is undefined
    num_stray: int  # bytes behind it that are no elements


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """What a file's header holds and how its parsing ended."""

    header: Attributes
    transfer_syntax: str
    sop_class_of_file: str  # Media Storage SOP Class UID (0002,0002)
    pixels: PixelElement | None
    num_private: int
    torn: str  # how the file ends too soon, as a sentence; empty when it does not
    inflated: bytes | None = field(default=None, repr=False)  # a deflated data set; offsets are into it

    @property
    def dataset(self) -> Dataset:
        """The header as pydicom reads it."""
        return self.header.dataset if isinstance(self.header, Header) else self.header


def pixels_at(
    stream: BinaryIO, size: int, element: Element, *, is_implicit: bool, is_little: bool
) -> PixelElement:
    """What follows the pixels' tag: the outline of their fragments, and of what is behind them."""
    fragments, end = None, element.offset + element.length
    if element.length == UNDEFINED_LENGTH:
        stream.seek(element.offset)
        fragments = read_fragments(stream, size)
        end = fragments.end
    num_stray = num_stray_bytes(stream, end, size, element.tag, is_implicit=is_implicit, is_little=is_little)
    return PixelElement(element, size - element.offset, fragments, num_stray)
