"""Values that read the same whoever reads them: texts of ASCII characters, numbers, unsigned shorts.

For these, what is given here is what pydicom gives, after the trimming that `attributes` does; a test holds
the two together. Everything else is left to pydicom.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

__all__ = ["CONVERTERS", "PADDING", "Plain", "Span"]

PADDING = "\0 \t\r\n"
MAX_INTEGER_LENGTH = 12  # of IS (PS3.5 6.2)


class Span(NamedTuple):
    """Where an element's value lies in a file."""

    vr: bytes
    start: int
    stop: int  # behind the delimiter, where the length is undefined
    is_undefined: bool


Plain: TypeAlias = str | int | list[str] | None
"""One text, or the text of one number; several texts; one number. None: it is not plain."""

Convert = Callable[[str], Plain]


def _text(value: str) -> Plain:
    """AS, CS, DA, LO, SH, UI."""
    text = value.strip(PADDING)
    if not text.isascii() or not text.isprintable():
        return None
    if not text:
        return None if value.strip("\0 ") else ""  # a tab is a value for pydicom
    return text.split("\\") if "\\" in text else text


def _number(value: str) -> Plain:
    """DS: whether it is a number is seen when it is used as one."""
    text = value.strip().rstrip(" \0")
    if not text.isascii() or not text.isprintable():
        return None
    return text.split("\\") if "\\" in text else text


def _integer(value: str) -> Plain:
    """IS: one whole number."""
    text = value.strip(" ")
    return text if text.isascii() and text.isdigit() and len(text) <= MAX_INTEGER_LENGTH else None


def _unsigned_short(value: str) -> Plain:
    """US: one number."""
    return ord(value[0]) | ord(value[1]) << 8 if len(value) == 2 else None


CONVERTERS: Mapping[bytes, Convert] = {
    **dict.fromkeys((b"CS", b"DA", b"LO", b"SH", b"UI"), _text),
    b"DS": _number,
    b"IS": _integer,
    b"US": _unsigned_short,
}
"""By VR, what makes a value of the characters that its bytes are in Latin-1."""
