r"""File names as they are written into records, and back.

A name on disk is bytes; a record's path is text on one line. Undecodable bytes become ``\xNN``, characters
that do not print (newlines, controls, direction marks) ``\uNNNN``, and a backslash ``\\``, so that every
path in a record leads back to its file.
"""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["escape_name", "locate", "unescape_name"]

_ESCAPE = re.compile(r"\\(\\|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")
_UNDECODABLE = range(0xDC80, 0xDD00)  # how Python's surrogateescape carries bytes 0x80 to 0xff


def escape_name(name: str) -> str:
    r"""Write a path as `os` gives it on one printable line.

    >>> print(escape_name("left\nCC.dcm"))
    left\u000aCC.dcm
    """
    if name.isprintable() and "\\" not in name:
        return name
    return "".join(map(_escape, name))


def locate(root: Path, path: str) -> Path:
    """The file that a record's ``path`` names below ``root``."""
    return root / unescape_name(path)


def unescape_name(path: str) -> str:
    """A record's ``path`` as its storage knows it."""
    if "\\" not in path:
        return path
    return _ESCAPE.sub(_unescape, path)


def _escape(character: str) -> str:
    code = ord(character)
    if character == "\\":
        return "\\\\"
    if character.isprintable():
        return character
    if code in _UNDECODABLE:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _unescape(match: re.Match[str]) -> str:
    kind, digits = match[1][0], match[1][1:]
    if kind == "\\":
        return "\\"
    return chr(int(digits, 16) + (0xDC00 if kind == "x" else 0))
