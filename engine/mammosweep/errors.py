"""What can go wrong, and the closed list of words for it.

SweepError
├── ConfigError         the settings are wrong: stop before starting (exit 2)
│   └── BundleError     the model's files are wrong
├── SourceError         the archive, catalog or manifest as a whole cannot be read (exit 2)
├── DeviceError         the machine is wrong
│   └── PlanRefused     a compiled plan does not find what fp32 PyTorch finds
├── LedgerError         the output folder is in use, or its counts do not add up
└── ImageError          one image is wrong: becomes its row's reason, the run goes on
    ├── HeaderError
    ├── DecodeError
    └── GeometryError

Messages say what was found, what was expected and what to do. They may name attributes, tags, UIDs of
instances and numbers; never a patient's name, identifier, birth date or any other free text of a header.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = [
    "REASONS_VERSION",
    "TRANSIENT",
    "BundleError",
    "ConfigError",
    "DecodeError",
    "DeviceError",
    "Flag",
    "GeometryError",
    "HeaderError",
    "ImageError",
    "LedgerError",
    "PlanRefused",
    "Reason",
    "SourceError",
    "SweepError",
    "unforeseen",
]

REASONS_VERSION = 3
"""Raised whenever a word is added to, or taken from, `Reason` or `Flag`."""


class Reason(StrEnum):
    """Why a file was not used, or an exam not scored. Closed and versioned: `REASONS_VERSION`."""

    # the file
    EMPTY_FILE = "empty_file"
    NOT_DICOM = "not_dicom"
    TRUNCATED = "truncated"
    EXCESS_BYTES = "excess_bytes"
    FILE_TOO_LARGE = "file_too_large"
    OUTSIDE_ROOT = "outside_root"
    NOT_A_FILE = "not_a_file"
    FILE_CHANGED = "file_changed"
    FILE_MISSING = "file_missing"
    PERMISSION_DENIED = "permission_denied"
    READ_FAILED = "read_failed"
    READ_TIMEOUT = "read_timeout"
    DICOMDIR = "dicomdir"
    ARCHIVE_FILE = "archive_file"
    # the header
    HEADER_MALFORMED = "header_malformed"
    TRANSFER_SYNTAX = "transfer_syntax"
    UID_INVALID = "uid_invalid"
    UID_MISSING = "uid_missing"
    DUPLICATE_FILE = "duplicate_file"
    UID_CONFLICT = "uid_conflict"
    SEVERAL_PATIENTS = "several_patients"
    # the pixels
    NO_PIXEL_DATA = "no_pixel_data"
    SIZE_INVALID = "size_invalid"
    SIZE_TOO_LARGE = "size_too_large"
    SIZE_MISMATCH = "size_mismatch"
    BITS_INVALID = "bits_invalid"
    SIGNED_PIXELS = "signed_pixels"
    RESCALE_INVALID = "rescale_invalid"
    WINDOW_INVALID = "window_invalid"
    LUT_INVALID = "lut_invalid"
    PHOTOMETRIC = "photometric"
    MULTI_FRAME = "multi_frame"
    LOSSY_NOT_ALLOWED = "lossy_not_allowed"
    FRAGMENTS_INVALID = "fragments_invalid"
    DECODE_FAILED = "decode_failed"
    DECODE_LIMIT = "decode_limit"
    DECODER_CRASHED = "decoder_crashed"
    BLANK_IMAGE = "blank_image"
    NO_BREAST = "no_breast"
    BREAST_IMPLAUSIBLE = "breast_implausible"
    QUALITY_CONTROL = "quality_control"
    # the view
    LATERALITY_MISSING = "laterality_missing"
    LATERALITY_CONFLICT = "laterality_conflict"
    BOTH_BREASTS = "both_breasts"
    SIDE_CONTRADICTED = "side_contradicted"
    VIEW_MISSING = "view_missing"
    VIEW_UNSUPPORTED = "view_unsupported"
    EXTRA_VIEW = "extra_view"
    DUPLICATE_VIEW = "duplicate_view"
    SPACING_MISSING = "spacing_missing"
    SPACING_IMPLAUSIBLE = "spacing_implausible"
    SOP_CLASS = "sop_class"
    FOR_PROCESSING = "for_processing"
    NON_SCREENING = "non_screening"
    CROP_TOO_LARGE = "crop_too_large"
    UNEXPECTED_ERROR = "unexpected_error"
    # the exam
    NO_USABLE_VIEW = "no_usable_view"
    WORKER_DIED = "worker_died"


TRANSIENT = frozenset(
    {
        *(Reason.READ_FAILED, Reason.READ_TIMEOUT, Reason.PERMISSION_DENIED),
        *(Reason.FILE_MISSING, Reason.FILE_CHANGED),
    }
)
"""Reasons that lie with the storage and may be gone the next time, though nothing of the file changed."""


class Flag(StrEnum):
    """What a reader should know about an image that was used, or an exam that was scored."""

    # the image
    NO_PREAMBLE = "no_preamble"
    CHARACTER_SET_UNKNOWN = "character_set_unknown"
    DATE_IMPOSSIBLE = "date_impossible"
    PRIVATE_ELEMENTS_CAPPED = "private_elements_capped"
    LOSSY = "lossy"
    STRAY_BITS_MASKED = "stray_bits_masked"
    TRANSFER_SYNTAX_RECOVERED = "transfer_syntax_recovered"
    NUMBER_OF_FRAMES_ZERO = "number_of_frames_zero"
    BURNED_IN_ANNOTATION = "burned_in_annotation"
    FROM_MANIFEST = "from_manifest"
    VENDOR_UNKNOWN = "vendor_unknown"
    # the exam
    MISSING_VIEWS = "missing_views"
    ONE_BREAST = "one_breast"
    IMAGES_NOT_USED = "images_not_used"
    DUPLICATE_VIEWS = "duplicate_views"
    EXTRA_VIEWS = "extra_views"
    SPACING_DIFFERS = "spacing_differs"


class SweepError(Exception):
    """Everything mammosweep raises on purpose."""


class ConfigError(SweepError):
    """The settings are wrong."""


class BundleError(ConfigError):
    """The model's files are missing, changed or do not fit together."""


class SourceError(SweepError):
    """The archive, catalog or manifest as a whole cannot be read."""


class DeviceError(SweepError):
    """The machine cannot do what the settings ask of it."""


class PlanRefused(DeviceError):  # noqa: N818 - what becomes of a plan, as a run says it
    """A compiled plan does not agree with fp32 PyTorch on this machine."""


class LedgerError(SweepError):
    """The output folder is in use by another sweep, belongs to another, or does not add up."""


class ImageError(SweepError):
    """One image is wrong: `reason` and one sentence."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class HeaderError(ImageError):
    """What the header says cannot be used."""


class DecodeError(ImageError):
    """The pixels cannot be had, or not trusted."""


class GeometryError(ImageError):
    """The breast's place in the image cannot be used."""


def unforeseen(error: Exception) -> ImageError:
    """What an exception that nobody foresaw says of an image: its kind, for its text may quote the file."""
    return ImageError(
        Reason.UNEXPECTED_ERROR,
        f"reading its pixels ended in {type(error).__name__}, which was not foreseen; please report it",
    )
