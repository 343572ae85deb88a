"""PNG, JPEG and TIFF images that a manifest names: their header is their size, the manifest says the rest."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import BinaryIO

from PIL import Image

from mammosweep.archive.manifest import ManifestRow
from mammosweep.archive.view_identity import check_spacing
from mammosweep.config import ArchiveConfig
from mammosweep.errors import Flag, HeaderError, Reason
from mammosweep.geometry import Size
from mammosweep.records import ImageRecord

__all__ = ["check_raster", "raster_record", "read_size"]

FORMATS = ("PNG", "JPEG", "TIFF")
GRAY_MODES = frozenset({"L", "LA", "I;16", "I;16B", "I;16L"})
COLOUR_MODES = frozenset({"RGB", "RGBA"})  # may be gray in three channels: known once they are decoded


def raster_record(record: ImageRecord, row: ManifestRow, media_type: str) -> ImageRecord:
    """The record with what the manifest and the name say."""
    return replace(
        record,
        transfer_syntax=media_type,
        sop_instance_uid=_uid_of(record.path),
        exam_id=row.exam_id,
        study_date=row.study_date,
        laterality=row.laterality,
        view_position=row.view,
        spacing_mm=row.spacing_mm,
        flags=(Flag.LOSSY, Flag.FROM_MANIFEST) if media_type == "image/jpeg" else (Flag.FROM_MANIFEST,),
    )


def _uid_of(path: str) -> str:
    """A UID of the form of PS3.5 B.2, the same for the same path."""
    return f"2.25.{int.from_bytes(hashlib.sha256(path.encode()).digest()[:16])}"


def read_size(stream: BinaryIO) -> Size:
    """Rows and columns, from the image's header.

    Raises:
        HeaderError: damaged, too large, or neither gray nor RGB.
    """
    try:
        stream.seek(0)
        with Image.open(stream, formats=FORMATS) as image:
            num_frames = getattr(image, "n_frames", 1)
            mode, size = image.mode, Size(image.height, image.width)
    except Image.DecompressionBombError:
        raise HeaderError(
            Reason.SIZE_TOO_LARGE, "the image claims more pixels than any mammogram has"
        ) from None
    except OSError as error:
        if error.errno is not None:  # the storage's, not Pillow's
            raise
        raise HeaderError(Reason.HEADER_MALFORMED, "the image's header is damaged; copy it again") from None
    except Exception as error:  # each format's reader raises its own
        raise HeaderError(
            Reason.HEADER_MALFORMED, f"the image's header cannot be read ({type(error).__name__})"
        ) from None
    if num_frames > 1:
        raise HeaderError(Reason.MULTI_FRAME, f"the image has {num_frames} pages; expected one view")
    _check_mode(mode)
    return size


def _check_mode(mode: str) -> None:
    if mode in GRAY_MODES or mode in COLOUR_MODES:
        return
    if mode in ("1", "I", "F"):
        raise HeaderError(
            Reason.BITS_INVALID, f"the image's pixels are of mode {mode}; expected 8 or 16 bit gray"
        )
    raise HeaderError(Reason.PHOTOMETRIC, f"the image's pixels are of mode {mode}; expected gray or RGB")


def check_raster(record: ImageRecord, config: ArchiveConfig) -> None:
    """The manifest says what such an image cannot say itself.

    Raises:
        HeaderError: an exam, side, view or spacing is missing, or the size or spacing impossible.
    """
    limit = config.max_rows_columns
    if max(record.rows or 0, record.columns or 0) > limit:
        raise HeaderError(
            Reason.SIZE_TOO_LARGE,
            f"the image has {record.rows} x {record.columns} pixels; expected at most {limit} a side "
            "(archive.max_rows_columns)",
        )
    _check_given(record.exam_id, Reason.UID_MISSING, "exam_id")
    _check_given(record.laterality, Reason.LATERALITY_MISSING, "laterality")
    _check_given(record.view_position, Reason.VIEW_MISSING, "view")
    _check_given(record.spacing_mm, Reason.SPACING_MISSING, "spacing_mm")
    assert record.spacing_mm is not None
    check_spacing(record.spacing_mm, config)


def _check_given(value: object, reason: Reason, column: str) -> None:
    if value is None:
        raise HeaderError(reason, f"the manifest gives no {column} for it; only a manifest can")
