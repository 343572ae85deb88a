"""The checks of what the header says about the pixels (PS3.3 C.7.6.3, C.11.1, C.11.2), none of them read."""

from __future__ import annotations

import math
from itertools import zip_longest

from mammosweep.archive.attributes import Attributes, as_dataset, floats, integer, items, named, shown, text
from mammosweep.archive.case import HeaderCase
from mammosweep.archive.fragments import check_fragments
from mammosweep.archive.parsed import DOUBLE_PIXELS, FLOAT_PIXELS, PixelElement
from mammosweep.archive.sop_classes import IMAGE_CLASSES, TOMOSYNTHESIS_CLASSES
from mammosweep.archive.transfer_syntaxes import RLE
from mammosweep.errors import HeaderError, Reason

__all__ = [
    "check_bits",
    "check_frames",
    "check_luts",
    "check_photometric",
    "check_pixel_bytes",
    "check_presence",
    "check_rescale",
    "check_sign",
    "check_size",
    "check_window",
    "num_frames",
]

# PS3.3 C.7.6.3.1.2, the words that may be repeated in a message.
PHOTOMETRICS = frozenset(
    {
        *("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "HSV", "ARGB", "CMYK", "XYB", "YBR_FULL"),
        *("YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT"),
    }
)
GRAYS = frozenset({"MONOCHROME1", "MONOCHROME2"})
VOI_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
MAX_LUT_ENTRIES = 1 << 16


def check_presence(case: HeaderCase) -> None:
    """There are integer pixels. Objects that are no images have none: they are of another SOP class."""
    pixels = case.file.pixels
    if pixels is None or pixels.element.length == 0:
        if text(case.header, "SOPClassUID") not in IMAGE_CLASSES:
            return
        raise HeaderError(
            Reason.NO_PIXEL_DATA, f"{named('PixelData')} is missing or empty; expected one frame"
        )
    if pixels.element.tag in (FLOAT_PIXELS, DOUBLE_PIXELS):
        raise HeaderError(
            Reason.BITS_INVALID,
            f"the pixels are floating point, in element {pixels.element.name}; expected integers in "
            f"{named('PixelData')}",
        )


def check_size(case: HeaderCase) -> None:
    """Rows and Columns are sizes of an image, and none that no machine could hold."""
    if case.file.pixels is None:
        return
    limit = case.config.max_rows_columns
    for keyword in ("Rows", "Columns"):
        value = integer(case.header, keyword)
        if value is None or value < 1:
            found = "missing" if value is None else value
            raise HeaderError(Reason.SIZE_INVALID, f"{named(keyword)} is {found}; expected 1 to {limit}")
        if value > limit:
            raise HeaderError(
                Reason.SIZE_TOO_LARGE,
                f"{named(keyword)} is {value}; expected 1 to {limit} (archive.max_rows_columns)",
            )


def check_photometric(case: HeaderCase) -> None:
    """The image is gray."""
    if case.file.pixels is None:
        return
    samples = integer(case.header, "SamplesPerPixel")
    photometric = text(case.header, "PhotometricInterpretation")
    if samples not in (1, None) or photometric not in GRAYS:
        raise HeaderError(
            Reason.PHOTOMETRIC,
            f"{named('PhotometricInterpretation')} is {shown(photometric, PHOTOMETRICS)} with "
            f"{1 if samples is None else samples} samples a pixel; expected MONOCHROME1 or 2, with 1 sample",
        )


def check_bits(case: HeaderCase) -> None:
    """8 or 16 bits allocated, the stored ones at the bottom."""
    if case.file.pixels is None:
        return
    allocated, stored, high, sign = (
        integer(case.header, keyword)
        for keyword in ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
    )
    if allocated not in (8, 16):
        raise _bits("BitsAllocated", allocated, "8 or 16")
    if stored is None or not 1 <= stored <= allocated:
        raise _bits("BitsStored", stored, f"1 to {allocated}, the bits allocated")
    if high != stored - 1:
        raise _bits("HighBit", high, f"{stored - 1}, one less than the bits stored")
    if sign not in (0, 1):
        raise _bits("PixelRepresentation", sign, "0, unsigned")


def _bits(keyword: str, value: int | None, expected: str) -> HeaderError:
    found = "missing" if value is None else value
    return HeaderError(Reason.BITS_INVALID, f"{named(keyword)} is {found}; expected {expected}")


def num_frames(case: HeaderCase) -> int:
    """Number of Frames (0028,0008); one where it is missing or zero."""
    declared = integer(case.header, "NumberOfFrames")
    if declared is not None and declared < 0:
        raise HeaderError(Reason.HEADER_MALFORMED, f"{named('NumberOfFrames')} is {declared}; expected 1")
    return declared or 1


def check_pixel_bytes(case: HeaderCase) -> None:
    """Pixel Data holds as much as the header says, and the file as much as Pixel Data says."""
    pixels = case.file.pixels
    if pixels is None:
        return
    if pixels.fragments is not None:
        one_each = case.file.transfer_syntax == RLE
        check_fragments(pixels.fragments, num_frames(case), one_each=one_each)
        _check_nothing_follows(pixels)
        return
    length, expected = pixels.element.length, _native_bytes(case)
    if length > pixels.available:
        raise HeaderError(
            Reason.TRUNCATED,
            f"{named('PixelData')} declares {length} bytes where the file holds {pixels.available}; "
            "copy it again",
        )
    if length < expected:
        raise HeaderError(
            Reason.TRUNCATED,
            f"{named('PixelData')} holds {length} bytes; rows, columns and bits need {expected}",
        )
    if length > expected + expected % 2:  # values have even length: PS3.5 7.1.1
        raise HeaderError(
            Reason.EXCESS_BYTES,
            f"{named('PixelData')} holds {length} bytes; rows, columns and bits need {expected}",
        )
    _check_nothing_follows(pixels)


def _check_nothing_follows(pixels: PixelElement) -> None:
    if pixels.num_stray:
        raise HeaderError(
            Reason.EXCESS_BYTES,
            f"{pixels.num_stray} bytes behind {named('PixelData')} belong to no element; copy the file again",
        )


def _native_bytes(case: HeaderCase) -> int:
    rows, columns, bits = (integer(case.header, k) or 0 for k in ("Rows", "Columns", "BitsAllocated"))
    return rows * columns * num_frames(case) * bits // 8


def check_rescale(case: HeaderCase) -> None:
    """Slope and intercept are finite, the slope not 0 (PS3.3 C.11.1.1.2)."""
    for keyword in ("RescaleSlope", "RescaleIntercept"):
        values = _floats_or(case.header, keyword, Reason.RESCALE_INVALID)
        if not values:
            continue
        if len(values) > 1 or not math.isfinite(values[0]) or (keyword == "RescaleSlope" and values[0] == 0):
            wanted = "one finite number" + (" other than 0" if keyword == "RescaleSlope" else "")
            found = ", ".join(f"{value:g}" for value in values[:3])
            raise HeaderError(Reason.RESCALE_INVALID, f"{named(keyword)} is {found}; expected {wanted}")


def _floats_or(dataset: Attributes, keyword: str, reason: Reason) -> list[float]:
    try:
        return floats(dataset, keyword)
    except HeaderError as error:
        raise HeaderError(reason, str(error)) from None


def check_luts(case: HeaderCase) -> None:
    """Every LUT has a descriptor that its data bear out (PS3.3 C.11.1.1, C.11.2.1.1)."""
    for sequence in ("ModalityLUTSequence", "VOILUTSequence"):
        for item in items(case.header, sequence):
            _check_lut(item, sequence)


def _check_lut(item: Attributes, sequence: str) -> None:
    descriptor = _floats_or(item, "LUTDescriptor", Reason.LUT_INVALID)
    if len(descriptor) != 3:
        raise HeaderError(
            Reason.LUT_INVALID,
            f"{named('LUTDescriptor')} in {named(sequence)} has {len(descriptor)} values; expected 3",
        )
    bits = int(descriptor[2])
    # Of VR SS, entries above 32,767 read as negative; 0 stands for 65,536.
    entries = int(descriptor[0]) % MAX_LUT_ENTRIES or MAX_LUT_ENTRIES
    num_data = _num_lut_words(item) * (2 if bits == 8 else 1)  # 8 bit entries may be packed, two in a word
    if num_data < entries or not 8 <= bits <= 16:
        raise HeaderError(
            Reason.LUT_INVALID,
            f"{named('LUTDescriptor')} in {named(sequence)} says {entries} entries of {bits} bits where LUT "
            f"Data holds {num_data}; expected as many, of 8 to 16 bits",
        )


def _num_lut_words(item: Attributes) -> int:
    try:
        data = as_dataset(item).get("LUTData")
        return len(data) // 2 if isinstance(data, bytes) else len(data)
    except Exception:  # missing, a single number, or whatever pydicom raises on converting it
        return 0


def check_frames(case: HeaderCase) -> None:
    """A single frame: three-dimensional images are not read yet."""
    frames = num_frames(case)
    sop_class = text(case.header, "SOPClassUID")
    if frames == 1 and sop_class not in TOMOSYNTHESIS_CLASSES:
        return
    kind = "a tomosynthesis image" if sop_class in TOMOSYNTHESIS_CLASSES else "a multi-frame image"
    raise HeaderError(Reason.MULTI_FRAME, f"{kind} of {frames} frames; expected a single view of one frame")


def check_sign(case: HeaderCase) -> None:
    """The pixels are unsigned."""
    if case.file.pixels is not None and integer(case.header, "PixelRepresentation") == 1:
        raise HeaderError(
            Reason.SIGNED_PIXELS,
            f"{named('PixelRepresentation')} is 1, signed; expected 0, as mammography prescribes",
        )


def check_window(case: HeaderCase) -> None:
    """Of the windows, if any, one can be used, or there is a VOI LUT (C.11.2.1.2.1, C.11.2.1.3)."""
    if items(case.header, "VOILUTSequence"):
        return
    centers = _floats_or(case.header, "WindowCenter", Reason.WINDOW_INVALID)
    widths = _floats_or(case.header, "WindowWidth", Reason.WINDOW_INVALID)
    windows = list(zip_longest(centers, widths, fillvalue=math.nan))
    function = text(case.header, "VOILUTFunction").upper() or "LINEAR"
    if windows and function not in VOI_FUNCTIONS:
        raise HeaderError(
            Reason.WINDOW_INVALID,
            f"{named('VOILUTFunction')} is a word that is not defined; expected {', '.join(VOI_FUNCTIONS)}",
        )
    least = 1.0 if function == "LINEAR" else math.ulp(0.0)
    if windows and not any(math.isfinite(c) and math.isfinite(w) and w >= least for c, w in windows):
        raise HeaderError(
            Reason.WINDOW_INVALID,
            f"none of {len(windows)} windows is usable: {named('WindowWidth')} must be above 0, and at least "
            f"1 where {named('VOILUTFunction')} is LINEAR",
        )
