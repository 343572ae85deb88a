"""Reasons, flags and states in words a reader understands, and text made safe to show."""

from __future__ import annotations

import unicodedata

from mammosweep.errors import Flag, Reason
from mammosweep.records import ExamStatus, ImageStatus, LesionType

__all__ = [
    "ABSENT",
    "NOTICE",
    "bundle_caution",
    "flag_words",
    "plain",
    "reason_words",
    "status_words",
    "type_words",
]

ABSENT = "\u2013"
"""Stands where there is no figure or word: an en dash."""

NOTICE = "Research use only. Not a medical device."

_FLAGS: dict[str, str] = {
    Flag.NO_PREAMBLE: "file has no DICOM preamble",
    Flag.CHARACTER_SET_UNKNOWN: "unknown character set in the header",
    Flag.DATE_IMPOSSIBLE: "impossible date in the header",
    Flag.PRIVATE_ELEMENTS_CAPPED: "too many private elements, the rest not read",
    Flag.LOSSY: "pixels were compressed with loss",
    Flag.STRAY_BITS_MASKED: "stray bits above Bits Stored were masked",
    Flag.TRANSFER_SYNTAX_RECOVERED: "declared in another transfer syntax than it is written in",
    Flag.NUMBER_OF_FRAMES_ZERO: "Number of Frames is 0, read as 1",
    Flag.BURNED_IN_ANNOTATION: "burned-in annotation declared",
    Flag.FROM_MANIFEST: "attributes come from the manifest",
    Flag.VENDOR_UNKNOWN: "no tested profile for this manufacturer and model",
    Flag.MISSING_VIEWS: "not all four views are present",
    Flag.ONE_BREAST: "one breast only",
    Flag.IMAGES_NOT_USED: "some images were not used",
    Flag.DUPLICATE_VIEWS: "a view was present more than once",
    Flag.EXTRA_VIEWS: "extra views were set aside",
    Flag.SPACING_DIFFERS: "pixel spacing differs between CC and MLO",
}

_REASONS: dict[str, str] = {
    Reason.EMPTY_FILE: "the file is empty",
    Reason.NOT_DICOM: "not a DICOM file",
    Reason.TRUNCATED: "the file is cut short",
    Reason.EXCESS_BYTES: "more pixel bytes than declared",
    Reason.FILE_TOO_LARGE: "the file is too large",
    Reason.OUTSIDE_ROOT: "the link leads out of the source",
    Reason.NOT_A_FILE: "not a regular file",
    Reason.FILE_CHANGED: "the file changed while it was read",
    Reason.FILE_MISSING: "the file is gone",
    Reason.PERMISSION_DENIED: "no permission to read the file",
    Reason.READ_FAILED: "the file could not be read",
    Reason.READ_TIMEOUT: "the storage did not answer in time",
    Reason.DICOMDIR: "a DICOMDIR, not an image",
    Reason.ARCHIVE_FILE: "an archive file, not an image",
    Reason.HEADER_MALFORMED: "the header is malformed",
    Reason.TRANSFER_SYNTAX: "wrong or unsupported transfer syntax",
    Reason.UID_INVALID: "a UID is invalid",
    Reason.UID_MISSING: "a UID is missing",
    Reason.DUPLICATE_FILE: "the same image again",
    Reason.UID_CONFLICT: "two different images share one UID",
    Reason.SEVERAL_PATIENTS: "several patients in one study",
    Reason.NO_PIXEL_DATA: "no pixel data",
    Reason.SIZE_INVALID: "invalid image size",
    Reason.SIZE_TOO_LARGE: "the image is too large",
    Reason.SIZE_MISMATCH: "the encoded size differs from the declared one",
    Reason.BITS_INVALID: "invalid bit depth",
    Reason.SIGNED_PIXELS: "signed pixels",
    Reason.RESCALE_INVALID: "invalid rescale slope or intercept",
    Reason.WINDOW_INVALID: "invalid window",
    Reason.LUT_INVALID: "invalid lookup table",
    Reason.PHOTOMETRIC: "not a grayscale image",
    Reason.MULTI_FRAME: "multi-frame or tomosynthesis image",
    Reason.LOSSY_NOT_ALLOWED: "lossy pixels, which the bundle does not allow",
    Reason.FRAGMENTS_INVALID: "the encoded pixel fragments are invalid",
    Reason.UNEXPECTED_ERROR: "an error that the engine did not foresee",
    Reason.DECODE_FAILED: "the pixels could not be decoded",
    Reason.DECODE_LIMIT: "decoding exceeded its limit",
    Reason.DECODER_CRASHED: "the decoder crashed on it",
    Reason.BLANK_IMAGE: "a blank image",
    Reason.NO_BREAST: "no breast found in the image",
    Reason.BREAST_IMPLAUSIBLE: "what was found has no breast's size or shape",
    Reason.QUALITY_CONTROL: "a phantom or quality-control image",
    Reason.LATERALITY_MISSING: "laterality is missing",
    Reason.LATERALITY_CONFLICT: "laterality attributes disagree",
    Reason.BOTH_BREASTS: "both breasts in one image",
    Reason.SIDE_CONTRADICTED: "possible left/right swap",
    Reason.VIEW_MISSING: "the view is missing in the header",
    Reason.VIEW_UNSUPPORTED: "neither a CC nor an MLO view",
    Reason.EXTRA_VIEW: "an extra view",
    Reason.DUPLICATE_VIEW: "another image of this view was used",
    Reason.SPACING_MISSING: "pixel spacing is missing",
    Reason.SPACING_IMPLAUSIBLE: "pixel spacing is implausible",
    Reason.SOP_CLASS: "unsupported SOP class",
    Reason.FOR_PROCESSING: "a For Processing image",
    Reason.NON_SCREENING: "not a screening study",
    Reason.CROP_TOO_LARGE: "the breast is too large for the network",
    Reason.NO_USABLE_VIEW: "no usable view",
    Reason.WORKER_DIED: "the process that screened it died each time",
}

_STATUS: dict[str, str] = {
    ImageStatus.USED: "used",
    ImageStatus.SET_ASIDE: "set aside",
    ImageStatus.REJECTED: "rejected",
    ExamStatus.SCORED: "scored",
    ExamStatus.FLAGGED: "flagged",
    ExamStatus.NOT_SCORED: "unassessed",
}

# Control characters, invisible and direction-changing ones, lone surrogates, line and paragraph separators:
# none belongs in an identifier, and each can make one look like another.
_UNSHOWN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def flag_words(flag: str) -> str:
    """A flag in words; one that this version does not know is shown as it is."""
    return _FLAGS.get(flag, flag.replace("_", " "))


def reason_words(reason: str | None) -> str:
    """A reason in words, empty for none; one that this version does not know is shown as it is."""
    return _REASONS.get(reason, reason.replace("_", " ")) if reason else ""


def status_words(status: str) -> str:
    """An image's or exam's status; an exam that was not scored is "unassessed"."""
    return _STATUS.get(status, status.replace("_", " "))


def type_words(lesion_type: str) -> str:
    """A lesion type in full."""
    return "architectural distortion" if lesion_type == LesionType.DISTORTION else str(lesion_type)


def bundle_caution(bundle: str, note: str = "") -> str:
    """What must be said of a bundle beside every score: its own note, or that its name says phantom."""
    if note:
        return note
    return (
        "Fitted on phantoms only: scores say nothing about patients." if "phantom" in bundle.lower() else ""
    )


def plain(text: str) -> str:
    """`text` without the characters that cannot be shown, or that could disguise it."""
    return "".join(character for character in text if unicodedata.category(character) not in _UNSHOWN)
