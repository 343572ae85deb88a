"""What a reason means for a file: set aside or rejected."""

from __future__ import annotations

from dataclasses import replace

from mammosweep.errors import Reason
from mammosweep.records import ImageRecord, ImageStatus

__all__ = ["SET_ASIDE_REASONS", "refused", "status_of"]

SET_ASIDE_REASONS = frozenset(
    {
        Reason.DICOMDIR,
        Reason.DUPLICATE_FILE,
        Reason.UID_CONFLICT,
        Reason.SEVERAL_PATIENTS,
        Reason.SIGNED_PIXELS,
        Reason.WINDOW_INVALID,
        Reason.MULTI_FRAME,
        Reason.LOSSY_NOT_ALLOWED,
        Reason.QUALITY_CONTROL,
        Reason.LATERALITY_MISSING,
        Reason.LATERALITY_CONFLICT,
        Reason.BOTH_BREASTS,
        Reason.SIDE_CONTRADICTED,
        Reason.VIEW_MISSING,
        Reason.VIEW_UNSUPPORTED,
        Reason.EXTRA_VIEW,
        Reason.DUPLICATE_VIEW,
        Reason.SPACING_MISSING,
        Reason.SPACING_IMPLAUSIBLE,
        Reason.SOP_CLASS,
        Reason.FOR_PROCESSING,
        Reason.NON_SCREENING,
        # what pixels reveal
        Reason.BLANK_IMAGE,
        Reason.NO_BREAST,
        Reason.BREAST_IMPLAUSIBLE,
        Reason.CROP_TOO_LARGE,
    }
)
"""The file is sound, but holds nothing that can be scored; every other reason rejects it."""


def status_of(reason: Reason) -> ImageStatus:
    """What becomes of a file for this reason."""
    return ImageStatus.SET_ASIDE if reason in SET_ASIDE_REASONS else ImageStatus.REJECTED


def refused(record: ImageRecord, reason: Reason, message: str) -> ImageRecord:
    """The record of a file that is not used; everything read so far stays."""
    return replace(record, status=status_of(reason), reason=reason, message=message)
