"""One file's header becomes one record: read, described, and checked from the most basic cause on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import BinaryIO, ParamSpec, TypeVar

from mammosweep.archive import identity, pixel_module, view_identity
from mammosweep.archive.attributes import Attributes, integer, text
from mammosweep.archive.case import HeaderCase
from mammosweep.archive.manifest import ManifestRow
from mammosweep.archive.parse import parse, quiet
from mammosweep.archive.patience import each_within
from mammosweep.archive.pseudonym import Pseudonym
from mammosweep.archive.source import FileEntry, Source, listed_record, state_of, unreadable
from mammosweep.archive.transfer_syntaxes import LOSSY_JPEG_8_BIT, LOSSY_JPEG_12_BIT
from mammosweep.archive.verdict import refused
from mammosweep.config import ArchiveConfig
from mammosweep.errors import Flag, HeaderError, Reason
from mammosweep.records import ImageRecord

__all__ = ["read_record", "read_records"]

HEAD_BYTES = 16 << 10  # most headers end in them
DICOM_MARK = slice(128, 132)
RASTER_MARKS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"II*\0": "image/tiff",
    b"MM\0*": "image/tiff",
}
ARCHIVE_MARKS = {b"PK\x03\x04": "zip", b"PK\x05\x06": "zip", b"\x1f\x8b": "gzip", b"7z\xbc\xaf\x27\x1c": "7z"}
# A data set without a preamble begins with group 0002 or 0008, in either byte order.
BARE_MARKS = (b"\x02\x00", b"\x08\x00", b"\x00\x08")
MAX_PRIVATE_ELEMENTS = 10_000
SHOWN_CHARACTERS = 64  # of a manufacturer's name: the limit of its VR, LO

SAYS_NOTHING = ManifestRow(path="")  # of any file

P = ParamSpec("P")
T = TypeVar("T")


def read_record(
    source: Source,
    entry: FileEntry,
    *,
    config: ArchiveConfig,
    pseudonym: Pseudonym,
    manifest_row: ManifestRow | None,
) -> ImageRecord:
    """Read a file's header; whatever is wrong with it is in the record. Never raises for bad input."""
    (record,) = read_records(source, [(entry, manifest_row)], config=config, pseudonym=pseudonym)
    return record


def read_records(
    source: Source,
    files: Sequence[tuple[FileEntry, ManifestRow | None]],
    *,
    config: ArchiveConfig,
    pseudonym: Pseudonym,
) -> list[ImageRecord]:
    """Read several files' headers as `read_record` does, one after the other."""

    def read(file: tuple[FileEntry, ManifestRow | None]) -> ImageRecord:
        entry, row = file
        return _read(source, listed_record(entry.path, entry), _FileReader(config, pseudonym, row))

    with quiet():  # here, not in the threads that may hang: it is set for all of the process
        found = each_within(config.read_deadline_s, read, files)
    return [
        refused(listed_record(entry.path, entry), record.reason, str(record))
        if isinstance(record, HeaderError)
        else record
        for (entry, _), record in zip(files, found, strict=True)
    ]


def _read(source: Source, record: ImageRecord, reader: _FileReader) -> ImageRecord:
    try:
        return _steady(source, record, reader)
    except OSError as error:
        return refused(record, *unreadable(error))
    except Exception as error:  # hostile bytes reach many lines of pydicom; none may stop a sweep
        return refused(
            record, Reason.HEADER_MALFORMED, f"the header cannot be parsed ({type(error).__name__})"
        )


def _steady(source: Source, listed: ImageRecord, reader: _FileReader) -> ImageRecord:
    """The record, provided that the file is still the one listed once it has been read."""
    with source.open(listed.path) as stream:
        try:
            record = reader(stream, listed)
        except HeaderError as error:  # may come of a file that grows or shrinks
            record = refused(listed, error.reason, str(error))
        size_bytes, mtime_ns = state_of(stream)
    if size_bytes == listed.size_bytes and mtime_ns in (listed.mtime_ns, None):
        return record
    return refused(
        listed, Reason.FILE_CHANGED, "the file changed while it was read; index again when it rests"
    )


class _FileReader:
    """Tells what kind of file it is and reads it as such."""

    def __init__(self, config: ArchiveConfig, pseudonym: Pseudonym, row: ManifestRow | None) -> None:
        self.config = config
        self.pseudonym = pseudonym
        self.row = row

    def __call__(self, stream: BinaryIO, record: ImageRecord) -> ImageRecord:
        head = stream.read(HEAD_BYTES)
        stream.seek(0)
        # A DICOM file may look like any other in its preamble, which is never looked at again.
        if head[DICOM_MARK] == b"DICM":
            return self._dicom(stream, record, head)
        for mark, kind in ARCHIVE_MARKS.items():
            if head.startswith(mark):
                return refused(
                    record, Reason.ARCHIVE_FILE, f"a {kind} archive; unpack it and sweep the folder"
                )
        for mark, media_type in RASTER_MARKS.items():
            if head.startswith(mark):
                return self._raster(stream, record, media_type)
        if head.startswith(BARE_MARKS):
            return self._bare(stream, record, head)
        return _not_dicom(record)

    def _bare(self, stream: BinaryIO, record: ImageRecord, head: bytes) -> ImageRecord:
        """A data set without a preamble is believed when it says what it is."""
        try:
            read = self._dicom(stream, record, head)
        except HeaderError:
            return _not_dicom(record)
        if read.sop_instance_uid is None or read.reason in (Reason.UID_MISSING, Reason.UID_INVALID):
            return _not_dicom(record)
        return replace(read, flags=(Flag.NO_PREAMBLE, *read.flags))

    def _dicom(self, stream: BinaryIO, record: ImageRecord, head: bytes) -> ImageRecord:
        file = parse(stream, record.size_bytes, head)
        case = HeaderCase(file, self.row or SAYS_NOTHING, self.config)
        described = _described(record, case, self.pseudonym)
        try:
            for check in CHECKS:
                check(case)
            _check_view(case, described)
        except HeaderError as error:
            return refused(described, error.reason, str(error))
        return described

    def _raster(self, stream: BinaryIO, record: ImageRecord, media_type: str) -> ImageRecord:
        if self.row is None:
            kind = media_type.removeprefix("image/").upper()
            return refused(
                record,
                Reason.NOT_DICOM,
                f"a {kind} image; a manifest is needed that gives its exam, laterality, view and spacing",
            )
        from mammosweep.archive.raster import check_raster, raster_record, read_size

        read = raster_record(record, self.row, media_type)
        read = replace(read, patient_key=_patient_key(self.row.patient_id or "", self.pseudonym))
        try:
            size = read_size(stream)
            read = replace(read, rows=size.rows, columns=size.columns)
            check_raster(read, self.config)
        except HeaderError as error:
            return refused(read, error.reason, str(error))
        return read


def _not_dicom(record: ImageRecord) -> ImageRecord:
    return refused(
        record, Reason.NOT_DICOM, "no DICOM file: neither 'DICM' at byte 128 nor a SOP Instance UID"
    )


def _described(record: ImageRecord, case: HeaderCase, pseudonym: Pseudonym) -> ImageRecord:
    """Everything that can be read, whether or not the file will be used."""
    header, row = case.header, case.row
    study_uid = _known(identity.read_uid, case, "StudyInstanceUID")
    return ImageRecord(
        path=record.path,
        status=record.status,
        flags=_flags(case),
        size_bytes=record.size_bytes,
        mtime_ns=record.mtime_ns,
        sop_instance_uid=_known(identity.read_uid, case, "SOPInstanceUID"),
        study_instance_uid=study_uid,
        exam_id=row.exam_id or study_uid,
        patient_key=_patient_key(row.patient_id or _known(text, header, "PatientID") or "", pseudonym),
        study_date=row.study_date or _known(identity.read_study_date, case),
        laterality=_known(view_identity.read_laterality, case),
        view_position=_known(view_identity.read_view, case),
        transfer_syntax=case.file.transfer_syntax,
        rows=_known(integer, header, "Rows"),
        columns=_known(integer, header, "Columns"),
        spacing_mm=_known(view_identity.read_spacing, case),
        for_processing=_known(view_identity.is_for_processing, case) or False,
        manufacturer=_label(header, "Manufacturer"),
        model=_label(header, "ManufacturerModelName"),
    )


def _known(read: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T | None:
    """The value, or None where the header does not give it; the checks say why."""
    try:
        return read(*arguments, **named)
    except HeaderError:
        return None


def _patient_key(patient_id: str, pseudonym: Pseudonym) -> str | None:
    return pseudonym(patient_id) if patient_id else None


def _label(header: Attributes, keyword: str) -> str | None:
    value = _known(text, header, keyword) or ""
    if not value.isprintable():
        value = "".join(filter(str.isprintable, value))
    return value[:SHOWN_CHARACTERS] or None


def _flags(case: HeaderCase) -> tuple[Flag, ...]:
    return tuple(flag for flag, applies in FLAGS.items() if _known(applies, case))


def _has_lossy_history(case: HeaderCase) -> bool:
    return text(case.header, "LossyImageCompression") == "01" or case.file.transfer_syntax in LOSSY_SYNTAXES


def _overrides(case: HeaderCase) -> bool:
    return case.row is not SAYS_NOTHING and case.row.says_something


def _check_view(case: HeaderCase, described: ImageRecord) -> None:
    """Side, projection and millimetres are known; where one is not, reading it again says why."""
    spacing_mm = described.spacing_mm
    if described.laterality is None or described.view_position is None or spacing_mm is None:
        view_identity.read_laterality(case)
        view_identity.read_view(case)
        spacing_mm = view_identity.read_spacing(case)
    view_identity.check_spacing(spacing_mm, case.config)


LOSSY_SYNTAXES = frozenset({LOSSY_JPEG_8_BIT, LOSSY_JPEG_12_BIT})

CHECKS: tuple[Callable[[HeaderCase], None], ...] = (
    identity.check_structure,
    identity.check_uids,
    pixel_module.check_presence,
    identity.check_transfer_syntax,
    pixel_module.check_size,
    pixel_module.check_photometric,
    pixel_module.check_bits,
    pixel_module.check_pixel_bytes,
    pixel_module.check_rescale,
    pixel_module.check_luts,
    pixel_module.check_frames,
    view_identity.check_sop_class,
    pixel_module.check_sign,
    pixel_module.check_window,
    view_identity.check_policy,
)
"""The first that fails gives the reason: the file's structure, then its pixels, then what it shows.

`_check_view` comes after them.
"""

FLAGS: dict[Flag, Callable[[HeaderCase], bool]] = {
    Flag.CHARACTER_SET_UNKNOWN: identity.has_unknown_character_set,
    Flag.DATE_IMPOSSIBLE: lambda case: case.row.study_date is None and identity.has_impossible_date(case),
    Flag.PRIVATE_ELEMENTS_CAPPED: lambda case: case.file.num_private > MAX_PRIVATE_ELEMENTS,
    Flag.LOSSY: _has_lossy_history,
    Flag.NUMBER_OF_FRAMES_ZERO: lambda case: integer(case.header, "NumberOfFrames") == 0,
    Flag.BURNED_IN_ANNOTATION: lambda case: text(case.header, "BurnedInAnnotation") == "YES",
    Flag.FROM_MANIFEST: _overrides,
    Flag.VENDOR_UNKNOWN: view_identity.is_vendor_unknown,
}
