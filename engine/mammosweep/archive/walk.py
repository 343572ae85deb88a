"""A header as most files are written, read without an object for every element.

Most of a header's time goes into elements that nobody asks for. So the usual case is walked here: File Meta
Information, then little endian elements whose VRs are known and whose lengths fit, up to the pixels. Whatever
else a file holds raises `UnusualError`; pydicom then reads it from its beginning and decides what it is. So
nothing here may be more lenient than pydicom; where it costs nothing it is stricter.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from mammosweep.archive.plain import CONVERTERS, Convert, Plain, Span
from mammosweep.archive.trailing import LONG_VRS, VRS
from mammosweep.archive.transfer_syntaxes import BIG_ENDIAN, DEFLATED, IMPLICIT, SUPPORTED_SYNTAXES
from mammosweep.archive.wanted import ITEM_ATTRIBUTES, WANTED, Attribute

__all__ = ["Found", "NeedsMoreError", "UnusualError", "Walk", "items_of", "walk"]

UNDEFINED_LENGTH = 0xFFFFFFFF
PIXEL_TAGS = (0x7FE00008, 0x7FE00009, 0x7FE00010)  # float, double, and integers
META_START = 132  # behind the preamble and "DICM"
GROUP_LENGTH = b"\2\0\0\0UL\4\0"
MAX_DEPTH = 8  # of sequences within sequences
MAX_KINDS = 10_000  # that are remembered: an archive's files have a few hundred

USUAL_SYNTAXES = frozenset(SUPPORTED_SYNTAXES) - {DEFLATED, BIG_ENDIAN}
USUAL_CHARACTER_SETS = ("", "ISO_IR 6", "ISO_IR 100", "ISO_IR 192")
"""ASCII characters are written in them as in ASCII."""

SHORT_VRS = VRS - LONG_VRS

_head = struct.Struct("<6sH").unpack_from  # tag and VR, short length
_bare_head = struct.Struct("<LL").unpack_from  # tag, length
_long = struct.Struct("<L").unpack_from

Place: TypeAlias = tuple[bytes, int, int, bool]
"""The fields of a `Span`."""

Found: TypeAlias = dict[str, "Plain | Span"]
"""By keyword: the value where it is plain, the place of any other."""


class UnusualError(Exception):
    """The header is not as most are; pydicom is asked what it is."""


class NeedsMoreError(UnusualError):
    """The header goes on behind the bytes at hand."""


def _swapped(tag: int) -> int:
    """A tag as its four bytes in the file, read as one number: ``element << 16 | group``."""
    return (tag & 0xFFFF) << 16 | tag >> 16


CLASS_OF_FILE, SYNTAX = _swapped(0x00020002), _swapped(0x00020010)
ITEM, ITEM_END, SEQUENCE_END = map(_swapped, (0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD))
PIXELS, MISPLACED = " pixels", " misplaced"  # in place of a keyword


def _names(attributes: Mapping[str, Attribute], *misplaced: int) -> dict[int, str]:
    """Swapped tag to keyword; what is not in it is stepped over."""
    names = dict.fromkeys((ITEM, ITEM_END, SEQUENCE_END, *map(_swapped, misplaced)), MISPLACED)
    return names | {_swapped(attribute.tag): keyword for keyword, attribute in attributes.items()}


NAMES = _names(WANTED) | dict.fromkeys(map(_swapped, PIXEL_TAGS), PIXELS)
NAMES_IN_ITEMS = _names(ITEM_ATTRIBUTES, 0x00080005)  # where an item has a character set of its own
VR_OF = {keyword: attribute.vr.encode() for keyword, attribute in {**WANTED, **ITEM_ATTRIBUTES}.items()}
"""For implicit VR."""
SEQUENCES = frozenset(keyword for keyword, vr in VR_OF.items() if vr == b"SQ")


@dataclass(frozen=True, slots=True)
class Walk:
    """A usual header, up to its pixels."""

    found: Found
    transfer_syntax: str
    class_of_file: str  # Media Storage SOP Class UID
    is_implicit: bool
    start_of_pixels: int  # where their element begins
    pixels: tuple[int, str | None, int, int]  # tag, VR (None: not written), length, where the value begins
    num_private: int


def walk(data: bytes) -> Walk:
    """Find the attributes of a file.

    Args:
        data: its first bytes, with "DICM" at 128.

    Raises:
        UnusualError: the header is not as most are, or has no pixels.
        NeedsMoreError: the pixels do not begin in these bytes.
    """
    try:
        syntax, class_of_file, at = _meta(data)
        if syntax not in USUAL_SYNTAXES:
            raise UnusualError
        is_implicit = syntax == IMPLICIT
        found, start, num_private = (_implicit if is_implicit else _explicit)(data, at)
        pixels = _pixels(data, start, is_implicit=is_implicit)
    except struct.error:
        raise NeedsMoreError from None
    if found.get("SpecificCharacterSet", "") not in USUAL_CHARACTER_SETS:
        raise UnusualError
    return Walk(found, syntax, class_of_file, is_implicit, start, pixels, num_private)


def _meta(data: bytes) -> tuple[str, str, int]:
    """Transfer syntax, Media Storage SOP Class, and where the data set begins."""
    if not data.startswith(GROUP_LENGTH, META_START):
        raise UnusualError
    uids = {CLASS_OF_FILE: "", SYNTAX: ""}
    at = META_START
    while True:
        tag = _long(data, at)[0]
        if tag & 0xFFFF != 2:
            break
        vr, value, stop, _ = _explicit_place(data, at, depth=0)
        if tag in uids:
            uids[tag] = _uid(vr, data[value:stop])
        at = stop
    if tag & 0xFFFF == 0:  # a command set
        raise UnusualError
    return uids[SYNTAX], uids[CLASS_OF_FILE], at


def _uid(vr: bytes, value: bytes) -> str:
    plain = value.rstrip(b"\0 ")
    if vr != b"UI" or not plain.replace(b".", b"").isdigit():
        raise UnusualError
    return plain.decode("ascii")


# What the first six bytes of explicitly written elements, tag and VR, were found to be: an archive repeats
# them. Those in `_steps` are stepped over, and have the two bytes of length that most have.
_steps: dict[bytes, bool] = {}  # whether it is private
_kept: dict[bytes, tuple[str, Convert]] = {}


def _learn(head: bytes) -> None:
    """Remember a tag and VR, unless it is of the kinds that are rare."""
    tag, vr = _long(head)[0], head[4:]
    keyword, convert = NAMES.get(tag), CONVERTERS.get(vr)
    if vr not in SHORT_VRS or len(_steps) + len(_kept) > MAX_KINDS:
        return
    if keyword is None:
        _steps[head] = bool(tag & 1)  # the number of a private group is odd
    elif convert is not None and keyword in VR_OF and keyword not in SEQUENCES:
        _kept[head] = keyword, convert


def _explicit(data: bytes, at: int) -> tuple[Found, int, int]:
    """Attributes, where the pixels begin, and how many private elements stand before them."""
    found: Found = {}
    num_private = 0
    text = data.decode("latin-1")
    head_of, step_of, kept_of = _head, _steps.get, _kept.get  # in a loop that takes a third of all time
    while True:
        head, length = head_of(data, at)
        is_private = step_of(head)
        if is_private is not None:
            at += 8 + length
            num_private += is_private
            continue
        kept = kept_of(head)
        if kept is not None:
            keyword, convert = kept
            value, at = at + 8, at + 8 + length
            plain = convert(text[value:at]) if length else []
            found[keyword] = Span(head[4:], value, at, False) if plain is None else plain
            continue
        tag = _long(head)[0]
        name = NAMES.get(tag)
        if name == PIXELS:
            return found, at, num_private
        _learn(head)
        place = _explicit_place(data, at, depth=0)
        at = place[2]
        num_private += tag & 1
        if name is not None:
            found[name] = _value(name, place, text[place[1] : at])


def _explicit_place(data: bytes, at: int, *, depth: int) -> Place:
    head, length = _head(data, at)
    vr = head[4:]
    if vr in SHORT_VRS:
        return vr, at + 8, at + 8 + length, False
    if vr not in LONG_VRS:
        raise UnusualError
    (length,) = _long(data, at + 8)
    value = at + 12
    if length != UNDEFINED_LENGTH:
        return vr, value, value + length, False
    if vr != b"SQ":
        raise UnusualError
    return vr, value, _items(data, value, None, is_implicit=False, depth=depth)[1], True


def _implicit(data: bytes, at: int) -> tuple[Found, int, int]:
    """As `_explicit`."""
    first = data[at + 4 : at + 6]
    if first.isalpha() and first.isupper():  # a VR: it is written in explicit VR, whatever it says
        raise UnusualError
    found: Found = {}
    num_private = 0
    text = data.decode("latin-1")
    while True:
        (tag,) = _long(data, at)
        name = NAMES.get(tag)
        if name == PIXELS:
            return found, at, num_private
        place = _implicit_place(data, at, name, depth=0)
        at = place[2]
        if name is not None:
            found[name] = _value(name, place, text[place[1] : at])
        num_private += tag & 1


def _implicit_place(data: bytes, at: int, name: str | None, *, depth: int) -> Place:
    tag, length = _bare_head(data, at)
    vr, value = VR_OF.get(name or "", b""), at + 8
    if length != UNDEFINED_LENGTH:
        return vr, value, value + length, False
    if not _is_sequence(data, tag, value):
        raise UnusualError
    return vr, value, _items(data, value, None, is_implicit=True, depth=depth)[1], True


def _is_sequence(data: bytes, tag: int, value: int) -> bool:
    from pydicom.datadict import dictionary_VR  # few files are written so

    try:
        return dictionary_VR(_swapped(tag)) == "SQ"
    except KeyError:  # a private one is what it looks like
        return bool(_long(data, value)[0] == ITEM)


def _value(name: str, place: Place, raw: str) -> Plain | Span:
    """What is found of an attribute, by the bytes of its value as Latin-1 has them."""
    vr, start, stop, _ = place
    if (vr == b"SQ") is not (name in SEQUENCES) or name == MISPLACED:
        raise UnusualError
    if start == stop:
        return []
    convert = CONVERTERS.get(vr)
    plain = None if convert is None else convert(raw)
    return Span(*place) if plain is None else plain


def _pixels(data: bytes, at: int, *, is_implicit: bool) -> tuple[int, str | None, int, int]:
    if is_implicit:
        tag, length = _bare_head(data, at)
        return _swapped(tag), None, length, at + 8
    head, length = _head(data, at)
    tag, vr = _swapped(_long(head)[0]), head[4:]
    if vr not in VRS:
        raise UnusualError
    if vr in LONG_VRS:
        return tag, vr.decode("ascii"), _long(data, at + 8)[0], at + 12
    return tag, vr.decode("ascii"), length, at + 8


def items_of(data: bytes, span: Span, *, is_implicit: bool) -> list[Found]:
    """The attributes of each item of a code sequence.

    Raises:
        UnusualError: the sequence is not as most are.
    """
    stop = None if span.is_undefined else span.stop
    try:
        return _items(data, span.start, stop, is_implicit=is_implicit, depth=0)[0]
    except struct.error:
        raise UnusualError from None


def _items(
    data: bytes, at: int, stop: int | None, *, is_implicit: bool, depth: int
) -> tuple[list[Found], int]:
    """Each item's attributes, and where the sequence ends: at `stop`, or behind its delimiter."""
    items: list[Found] = []
    while at != stop:
        tag, length = _bare_head(data, at)
        at += 8
        if tag == SEQUENCE_END and stop is None and length == 0:
            break
        if tag != ITEM or depth == MAX_DEPTH or (stop is not None and at > stop):
            raise UnusualError
        end = None if length == UNDEFINED_LENGTH else at + length
        found, at = _item(data, at, end, is_implicit=is_implicit, depth=depth + 1)
        items.append(found)
    return items, at


def _item(data: bytes, at: int, end: int | None, *, is_implicit: bool, depth: int) -> tuple[Found, int]:
    """An item's attributes, and where it ends: at `end`, or behind its delimiter."""
    found: Found = {}
    while at != end:
        tag, length = _bare_head(data, at)
        if tag == ITEM_END and end is None and length == 0:
            return found, at + 8
        name = NAMES_IN_ITEMS.get(tag)
        place = (
            _implicit_place(data, at, name, depth=depth)
            if is_implicit
            else _explicit_place(data, at, depth=depth)
        )
        at = place[2]
        if end is not None and at > end:
            raise UnusualError
        if name is not None:
            found[name] = _value(name, place, data[place[1] : at].decode("latin-1"))
    return found, at
