"""Which object it is, and in which encoding: the checks of the file's structure and its UIDs."""

from __future__ import annotations

import re
from datetime import date, datetime

from mammosweep.archive.attributes import named, text, words
from mammosweep.archive.case import HeaderCase
from mammosweep.archive.parsed import PixelElement
from mammosweep.archive.transfer_syntaxes import (
    IMPLICIT,
    LOSSY_JPEG_8_BIT,
    NATIVE_SYNTAXES,
    SUPPORTED_SYNTAXES,
)
from mammosweep.errors import HeaderError, Reason

__all__ = [
    "LOSSY_JPEG_8_BIT",
    "check_structure",
    "check_transfer_syntax",
    "check_uids",
    "has_impossible_date",
    "has_unknown_character_set",
    "read_study_date",
    "read_uid",
    "syntax_name",
]

DICOMDIR_CLASS = "1.2.840.10008.1.3.10"  # Media Storage Directory Storage
# PS3.5 9.1: digits in components. A component with a leading zero is wrong, but harmless and common.
UID_PATTERN = re.compile(r"[0-9]+(\.[0-9]+)*", re.ASCII)
MAX_UID_LENGTH = 64
USUAL_CHARACTER_SETS = frozenset({"", "ISO_IR 6", "ISO_IR 100", "ISO_IR 192"})
FIRST_YEAR = 1900  # before X-ray images could be of anyone's breast


def check_structure(case: HeaderCase) -> None:
    """The header is whole, and not a directory of other files."""
    if DICOMDIR_CLASS in (case.file.sop_class_of_file, text(case.header, "SOPClassUID")):
        raise HeaderError(Reason.DICOMDIR, "a DICOMDIR; it is ignored, the files are found by themselves")
    if case.file.torn:
        raise HeaderError(Reason.TRUNCATED, case.file.torn)


def check_uids(case: HeaderCase) -> None:
    """SOP Class, SOP Instance and Study Instance UID are there and are UIDs."""
    for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID"):
        is_spared = keyword == "StudyInstanceUID" and case.row.exam_id is not None
        if read_uid(case, keyword) is None and not is_spared:
            raise HeaderError(Reason.UID_MISSING, f"{named(keyword)} is missing; expected a UID")


def read_uid(case: HeaderCase, keyword: str) -> str | None:
    """A UID; None where it is missing.

    Raises:
        HeaderError: UID_INVALID.
    """
    value = text(case.header, keyword)
    if len(value) > MAX_UID_LENGTH:
        raise HeaderError(
            Reason.UID_INVALID,
            f"{named(keyword)} has {len(value)} characters; expected at most {MAX_UID_LENGTH}",
        )
    if value and not UID_PATTERN.fullmatch(value):
        raise HeaderError(
            Reason.UID_INVALID,
            f"{named(keyword)} holds something other than a UID; expected digits between dots",
        )
    return value or None


def check_transfer_syntax(case: HeaderCase) -> None:
    """The encoding is one that can be decoded, and the pixels are written in it."""
    syntax = case.file.transfer_syntax
    if syntax not in SUPPORTED_SYNTAXES:
        raise HeaderError(
            Reason.TRANSFER_SYNTAX,
            f"{named('TransferSyntaxUID')} is {syntax_name(syntax)}; "
            f"supported: {', '.join(SUPPORTED_SYNTAXES)}",
        )
    if case.file.pixels is not None:
        _check_pixels_are_written_so(case.file.pixels, syntax)


def _check_pixels_are_written_so(pixels: PixelElement, syntax: str) -> None:
    found = "native" if pixels.fragments is None else "encapsulated"
    expected = "native" if syntax in NATIVE_SYNTAXES else "encapsulated"
    if found == expected:
        found = _vr_written(is_implicit=pixels.element.vr is None)
        expected = _vr_written(is_implicit=syntax == IMPLICIT)
    if found != expected:
        raise HeaderError(
            Reason.TRANSFER_SYNTAX,
            f"{named('TransferSyntaxUID')} is {syntax_name(syntax)}, but Pixel Data is written {found}; "
            f"expected {expected}",
        )


def _vr_written(*, is_implicit: bool) -> str:
    return f"{'implicit' if is_implicit else 'explicit'} VR"


def syntax_name(value: str) -> str:
    """A UID for a message, with its name if the standard has one."""
    if not UID_PATTERN.fullmatch(value) or len(value) > MAX_UID_LENGTH:
        return "not a UID"
    from pydicom.uid import UID  # with all of their names

    name = UID(value).name
    return value if name == value else f"{value} ({name})"


def read_study_date(case: HeaderCase) -> date | None:
    """Study Date (0008,0020); None where it is missing, and HeaderError where no day is called so."""
    value = text(case.header, "StudyDate").replace(".", "")  # ACR-NEMA wrote YYYY.MM.DD
    if not value:
        return None
    day = _day(value)
    if len(value) != 8 or day.year < FIRST_YEAR:
        raise HeaderError(Reason.HEADER_MALFORMED, f"{named('StudyDate')} is no date; expected YYYYMMDD")
    return day


def _day(value: str) -> date:
    try:
        if len(value) == 8 and value.isascii() and value.isdigit():
            return date(int(value[:4]), int(value[4:6]), int(value[6:]))
        return datetime.strptime(value, "%Y%m%d").date()
    except ValueError:
        return date.min


def has_impossible_date(case: HeaderCase) -> bool:
    """Whether Study Date names no day."""
    try:
        read_study_date(case)
    except HeaderError:
        return True
    return False


def has_unknown_character_set(case: HeaderCase) -> bool:
    """Whether Specific Character Set names one that is not defined."""
    named_sets = set(words(case.header, "SpecificCharacterSet")) - USUAL_CHARACTER_SETS
    if not named_sets:
        return False
    from pydicom.charset import python_encoding  # few files name another

    return not named_sets <= python_encoding.keys()
