"""Which object it is, and in which encoding: the checks of the file's structure and its UIDs."""

from __future__ import annotations

import re
from datetime import date, datetime

from pydicom import uid
from pydicom.charset import python_encoding
from pydicom.uid import UID

from mammosweep.archive.attributes import named, text, words
from mammosweep.archive.case import HeaderCase
from mammosweep.errors import HeaderError, Reason

__all__ = [
    "LOSSY_JPEG_8_BIT",
    "SUPPORTED_SYNTAXES",
    "check_structure",
    "check_transfer_syntax",
    "check_uids",
    "has_impossible_date",
    "has_unknown_character_set",
    "read_study_date",
    "read_uid",
    "syntax_name",
]

DICOMDIR_CLASS = uid.MediaStorageDirectoryStorage
LOSSY_JPEG_8_BIT = uid.JPEGBaseline8Bit

SUPPORTED_SYNTAXES: tuple[UID, ...] = (
    *(uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian),
    *(uid.ExplicitVRBigEndian, uid.RLELossless, uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit),
    *(uid.JPEGLossless, uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.JPEGLSNearLossless),
    *(uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K),
)

# PS3.5 9.1: digits in components. A component with a leading zero is wrong, but harmless and common.
UID_PATTERN = re.compile(r"[0-9]+(\.[0-9]+)*", re.ASCII)
MAX_UID_LENGTH = 64
FIRST_YEAR = 1900  # before X-ray images could be of anyone's breast


def check_structure(case: HeaderCase) -> None:
    """The header is whole, and not a directory of other files."""
    if DICOMDIR_CLASS in (case.file.sop_class_of_file, text(case.dataset, "SOPClassUID")):
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
    value = text(case.dataset, keyword)
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
    syntax = UID(case.file.transfer_syntax)
    if syntax not in SUPPORTED_SYNTAXES:
        raise HeaderError(
            Reason.TRANSFER_SYNTAX,
            f"{named('TransferSyntaxUID')} is {syntax_name(syntax)}; "
            f"supported: {', '.join(SUPPORTED_SYNTAXES)}",
        )
    if case.file.pixels is not None:
        _check_pixels_are_written_so(case, syntax)


def _check_pixels_are_written_so(case: HeaderCase, syntax: UID) -> None:
    assert case.file.pixels is not None
    is_encapsulated = case.file.pixels.fragments is not None
    is_implicit = case.file.pixels.element.vr is None
    found = "encapsulated" if is_encapsulated else "native"
    expected = "encapsulated" if syntax.is_encapsulated else "native"
    if found == expected:
        found = f"{'implicit' if is_implicit else 'explicit'} VR"
        expected = f"{'implicit' if syntax.is_implicit_VR else 'explicit'} VR"
    if found != expected:
        raise HeaderError(
            Reason.TRANSFER_SYNTAX,
            f"{named('TransferSyntaxUID')} is {syntax_name(syntax)}, but Pixel Data is written {found}; "
            f"expected {expected}",
        )


def syntax_name(value: str) -> str:
    """A UID for a message, with its name if the standard has one."""
    if not UID_PATTERN.fullmatch(value) or len(value) > MAX_UID_LENGTH:
        return "not a UID"
    name = UID(value).name
    return value if name == value else f"{value} ({name})"


def read_study_date(case: HeaderCase) -> date | None:
    """Study Date (0008,0020); None where it is missing, and HeaderError where no day is called so."""
    value = text(case.dataset, "StudyDate").replace(".", "")  # ACR-NEMA wrote YYYY.MM.DD
    if not value:
        return None
    try:
        day = datetime.strptime(value, "%Y%m%d").date()
    except ValueError:
        day = date.min
    if len(value) != 8 or day.year < FIRST_YEAR:
        raise HeaderError(Reason.HEADER_MALFORMED, f"{named('StudyDate')} is no date; expected YYYYMMDD")
    return day


def has_impossible_date(case: HeaderCase) -> bool:
    """Whether Study Date names no day."""
    try:
        read_study_date(case)
    except HeaderError:
        return True
    return False


def has_unknown_character_set(case: HeaderCase) -> bool:
    """Whether Specific Character Set names one that is not defined."""
    return any(word and word not in python_encoding for word in words(case.dataset, "SpecificCharacterSet"))
