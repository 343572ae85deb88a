"""One file at a time. Numbers are those of the catalogue of bad and awkward input."""

from __future__ import annotations

import os
import struct
import zlib
from datetime import date

import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from mammosweep.archive.header import read_record
from mammosweep.archive.manifest import ManifestRow
from mammosweep.archive.pseudonym import Pseudonym
from mammosweep.archive.source import open_source
from mammosweep.config import ArchiveConfig
from mammosweep.errors import Flag, Reason
from mammosweep.records import ImageStatus, Laterality, Position

R, N = ImageStatus.REJECTED, ImageStatus.SET_ASIDE
IMPLICIT, DEFLATED, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
RLE, LOSSY_JPEG, EXTENDED_JPEG = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"
LOSSLESS_JPEG, VIDEO = "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.102"
FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.2.1"
TOMOSYNTHESIS = "1.2.840.10008.5.1.4.1.1.13.1.3"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
STRUCTURED_REPORT = "1.2.840.10008.5.1.4.1.1.88.33"
NAME, IDENTIFIER = "Nightingale", "PID-4711"


def change(**values):
    """A change that sets attributes; None deletes one."""

    def apply(dataset):
        for keyword, value in values.items():
            setattr(dataset, keyword, value)
            if value is None:
                delattr(dataset, keyword)

    return apply


def item(**values):
    made = Dataset()
    change(**values)(made)
    return made


def coded(value, scheme="SCT", **more):
    return change(
        ViewCodeSequence=[item(CodeValue=value, CodingSchemeDesignator=scheme, **more)], ViewPosition=None
    )


def compressed(syntax, frames=(b"\0" * 64,), **how):
    def apply(dataset):
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.PixelData = encapsulate(list(frames), **how)
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True

    return apply


def without_fragments(dataset):
    compressed(LOSSLESS_JPEG)(dataset)
    dataset["PixelData"].value = b"\xfe\xff\x00\xe0" + bytes(4)  # an empty offset table


def lut(descriptor, entries):
    made = Dataset()
    made.add_new("LUTDescriptor", "US", descriptor)
    made.add_new("LUTData", "OW", bytes(2 * entries))
    return change(VOILUTSequence=[made])


def frame_side(side):
    anatomy = item(FrameLaterality=side)
    return change(SharedFunctionalGroupsSequence=[item(FrameAnatomySequence=[anatomy])])


def both(*changes):
    def apply(dataset):
        for one in changes:
            one(dataset)

    return apply


NOT_USED = {
    "17 unsupported syntax": (compressed(VIDEO), R, Reason.TRANSFER_SYNTAX, "supported: 1.2.840.10008.1.2,"),
    "23 path as UID": (
        change(StudyInstanceUID="../../x"),
        R,
        Reason.UID_INVALID,
        "Study Instance UID (0020,000D)",
    ),
    "23 UID too long": (change(SOPInstanceUID="1." * 40 + "1"), R, Reason.UID_INVALID, "81 characters"),
    "24 no study UID": (change(StudyInstanceUID=None), R, Reason.UID_MISSING, "Study Instance UID"),
    "24 empty image UID": (change(SOPInstanceUID=""), R, Reason.UID_MISSING, "SOP Instance UID"),
    "33 no rows": (change(Rows=0), R, Reason.SIZE_INVALID, "Rows (0028,0010) is 0"),
    "33 columns missing": (change(Columns=None), R, Reason.SIZE_INVALID, "Columns (0028,0011) is missing"),
    "34 absurd rows": (change(Rows=65535), R, Reason.SIZE_TOO_LARGE, "65535; expected 1 to 16384"),
    "5 too few pixels": (change(PixelData=b"\0" * 6000), R, Reason.TRUNCATED, "holds 6000 bytes; rows"),
    "6 two frames, one declared": (change(PixelData=b"\0" * 12288), R, Reason.EXCESS_BYTES, "need 6144"),
    "42 signed": (change(PixelRepresentation=1), N, Reason.SIGNED_PIXELS, "(0028,0103) is 1"),
    "43 32 bit": (
        both(change(BitsAllocated=32), change(PixelData=b"\0" * 12288)),
        *(R, Reason.BITS_INVALID, "Bits Allocated (0028,0100) is 32; expected 8 or 16"),
    ),
    "44 more bits stored than allocated": (
        change(BitsStored=17),
        R,
        Reason.BITS_INVALID,
        "is 17; expected 1 to 16",
    ),
    "45 high bit": (change(HighBit=15), R, Reason.BITS_INVALID, "High Bit (0028,0102) is 15; expected 11"),
    "46 slope NaN": (change(RescaleSlope="NaN"), R, Reason.RESCALE_INVALID, "Rescale Slope (0028,1053)"),
    "46 slope infinite": (change(RescaleSlope="inf"), R, Reason.RESCALE_INVALID, "Rescale Slope"),
    "46 slope 1e400": (change(RescaleSlope="1e400"), R, Reason.RESCALE_INVALID, "Rescale Slope"),
    "46 intercept NaN": (change(RescaleIntercept="nan"), R, Reason.RESCALE_INVALID, "Rescale Intercept"),
    "47 slope 0": (
        change(RescaleSlope="0"),
        R,
        Reason.RESCALE_INVALID,
        "is 0; expected one finite number other",
    ),
    "48 window width 0": (change(WindowWidth="0"), N, Reason.WINDOW_INVALID, "Window Width (0028,1051)"),
    "49 LUT shorter than said": (lut([300, 0, 12], 256), R, Reason.LUT_INVALID, "300 entries"),
    "49 LUT of 40 bits": (lut([256, 0, 40], 256), R, Reason.LUT_INVALID, "40 bits"),
    "49 LUT descriptor of two": (lut([256, 0], 256), R, Reason.LUT_INVALID, "has 2 values"),
    "50 palette": (
        change(PhotometricInterpretation="PALETTE COLOR"),
        *(R, Reason.PHOTOMETRIC, "'PALETTE COLOR'"),
    ),
    "50 RGB": (
        change(PhotometricInterpretation="RGB", SamplesPerPixel=3, BitsAllocated=8, PixelData=b"\0" * 9216),
        *(R, Reason.PHOTOMETRIC, "'RGB' with 3 samples"),
    ),
    "51 multi-frame": (
        change(NumberOfFrames="2", PixelData=b"\0" * 12288),
        *(N, Reason.MULTI_FRAME, "a multi-frame image of 2 frames"),
    ),
    "51 tomosynthesis": (change(SOPClassUID=TOMOSYNTHESIS), N, Reason.MULTI_FRAME, "tomosynthesis"),
    "54 no pixels": (change(PixelData=None), R, Reason.NO_PIXEL_DATA, "Pixel Data (7FE0,0010) is missing"),
    "54 empty pixels": (change(PixelData=b""), R, Reason.NO_PIXEL_DATA, "missing or empty"),
    "55 no fragment": (without_fragments, R, Reason.FRAGMENTS_INVALID, "Pixel Data is empty"),
    "55 two RLE fragments": (
        compressed(RLE, [b"\0" * 64] * 2, has_bot=False),
        *(R, Reason.FRAGMENTS_INVALID, "2 fragments; expected 1"),
    ),
    "55 offset table of two": (
        compressed(LOSSLESS_JPEG, [b"\0" * 64] * 2),
        *(R, Reason.FRAGMENTS_INVALID, "lists 2 frames; expected 1"),
    ),
    "56 QC image": (change(QualityControlImage="YES"), N, Reason.QUALITY_CONTROL, "Quality Control Image"),
    "56 flat field": (
        change(ViewPosition="FLATFIELD"),
        N,
        Reason.QUALITY_CONTROL,
        "View Position (0018,5101)",
    ),
    "57 float pixels": (
        change(PixelData=None, FloatPixelData=b"\0" * 12288),
        *(R, Reason.BITS_INVALID, "floating point, in element (7FE0,0008)"),
    ),
    "59 laterality missing": (change(ImageLaterality=""), N, Reason.LATERALITY_MISSING, "(0020,0062)"),
    "60 lateralities disagree": (change(Laterality="R"), N, Reason.LATERALITY_CONFLICT, "(0020,0060) is 'R'"),
    "60 frame laterality disagrees": (frame_side("R"), N, Reason.LATERALITY_CONFLICT, "(0020,9072) is 'R'"),
    "62 view missing": (change(ViewPosition=None), N, Reason.VIEW_MISSING, "View Position (0018,5101)"),
    "62 ML is not MLO": (
        change(ViewPosition="ML"),
        N,
        Reason.VIEW_UNSUPPORTED,
        "is 'ML'; expected 'CC' or 'MLO'",
    ),
    "62 ML as code": (coded("399260004"), N, Reason.VIEW_UNSUPPORTED, "the view ML"),
    "64 spot": (
        coded("399162004", ViewModifierCodeSequence=[item(CodeValue="399161006")]),
        *(N, Reason.EXTRA_VIEW, "View Modifier Code Sequence (0054,0222) has 1 items"),
    ),
    "66 both breasts": (change(ImageLaterality="B"), N, Reason.BOTH_BREASTS, "both breasts"),
    "69 spacing missing": (change(ImagerPixelSpacing=None), N, Reason.SPACING_MISSING, "(0018,1164)"),
    "69 spacing not calibrated": (
        change(ImagerPixelSpacing=None, PixelSpacing=[0.1, 0.1]),
        *(N, Reason.SPACING_MISSING, "no calibrated Pixel Spacing"),
    ),
    "69 spacing of metres": (
        change(ImagerPixelSpacing=[70, 70]),
        N,
        Reason.SPACING_IMPLAUSIBLE,
        "70 x 70 mm",
    ),
    "69 spacing of one": (change(ImagerPixelSpacing=["0.1"]), N, Reason.SPACING_IMPLAUSIBLE, "two positive"),
    "69 magnification 0": (
        change(EstimatedRadiographicMagnificationFactor="0"),
        *(N, Reason.SPACING_IMPLAUSIBLE, "(0018,1114) is no positive"),
    ),
    "70 secondary capture": (change(SOPClassUID=SECONDARY_CAPTURE), N, Reason.SOP_CLASS, "in a manifest"),
    "70 structured report": (
        change(SOPClassUID=STRUCTURED_REPORT, PixelData=None, Rows=None),
        *(N, Reason.SOP_CLASS, "Comprehensive SR"),
    ),
    "73 a man": (change(PatientSex="M"), N, Reason.NON_SCREENING, "Patient's Sex (0010,0040)"),
}


@pytest.mark.parametrize(("spoil", "status", "reason", "said"), NOT_USED.values(), ids=list(NOT_USED))
def test_a_spoilt_header_gives_its_reason_and_no_patient(films, tmp_path, spoil, status, reason, said):
    record = films.read(films.spoilt(tmp_path / "bad.dcm", spoil))

    assert (record.status, record.reason) == (status, reason), record.message
    assert said in record.message
    assert NAME not in repr(record)
    assert IDENTIFIER not in repr(record)


def test_a_sound_mammogram_is_used_as_its_header_says(films, tmp_path):
    record = films.read(films.save(films.mammogram("R", "MLO"), tmp_path / "good.dcm"))

    assert (record.status, record.reason, record.message, record.flags) == (ImageStatus.USED, None, "", ())
    assert (record.laterality, record.view_position) == (Laterality.RIGHT, Position.MLO)
    assert (record.rows, record.columns, record.spacing_mm) == (64, 48, (0.05, 0.07))
    assert (record.study_date, record.exam_id) == (date(2024, 1, 31), record.study_instance_uid)
    assert record.patient_key == Pseudonym(b"key")(IDENTIFIER)


def test_what_can_be_read_is_kept_where_a_file_is_not_used(films, tmp_path):
    record = films.read(films.spoilt(tmp_path / "bad.dcm", change(HighBit=15)))

    sound = films.read(films.save(films.mammogram(), tmp_path / "good.dcm"))
    kept = ("sop_instance_uid", "exam_id", "patient_key", "laterality", "view_position", "rows", "spacing_mm")
    assert [getattr(record, name) for name in kept] == [getattr(sound, name) for name in kept]


USED_AND_FLAGGED = {
    "22 character set": (change(SpecificCharacterSet="KLINGON"), Flag.CHARACTER_SET_UNKNOWN),
    "32 impossible date": (change(StudyDate="20230231"), Flag.DATE_IMPOSSIBLE),
    "41 lossy history": (change(LossyImageCompression="01"), Flag.LOSSY),
    "40 8 bit lossy JPEG, for exams to allow": (compressed(LOSSY_JPEG), Flag.LOSSY),
    "41 lossy 12 bit JPEG": (compressed(EXTENDED_JPEG), Flag.LOSSY),
    "52 zero frames": (change(NumberOfFrames="0"), Flag.NUMBER_OF_FRAMES_ZERO),
    "74 burned in": (change(BurnedInAnnotation="YES"), Flag.BURNED_IN_ANNOTATION),
}


@pytest.mark.parametrize(("spoil", "flag"), USED_AND_FLAGGED.values(), ids=list(USED_AND_FLAGGED))
def test_an_awkward_header_is_used_and_flagged(films, tmp_path, spoil, flag):
    record = films.read(films.spoilt(tmp_path / "awkward.dcm", spoil))

    assert (record.status, record.flags) == (ImageStatus.USED, (flag,)), record.message


READ_RIGHT = {
    "laterality from (0020,0060)": (
        change(ImageLaterality=None, Laterality="R"),
        "laterality",
        Laterality.RIGHT,
    ),
    "laterality of the frame": (
        both(change(ImageLaterality=None), frame_side("R")),
        "laterality",
        Laterality.RIGHT,
    ),
    "CC in SNOMED CT": (coded("399162004"), "view_position", Position.CC),
    "MLO in SNOMED CT": (coded("399368009"), "view_position", Position.MLO),
    "MLO in SNOMED RT": (coded("R-10226", "SNM3"), "view_position", Position.MLO),
    "code before position": (
        both(coded("399368009"), change(ViewPosition="CC")),
        *("view_position", Position.MLO),
    ),
    "empty code sequence": (change(ViewCodeSequence=[]), "view_position", Position.CC),
    "no modifiers": (coded("399162004", ViewModifierCodeSequence=[]), "view_position", Position.CC),
    "magnified": (
        change(EstimatedRadiographicMagnificationFactor="1.25", ImagerPixelSpacing=[0.1, 0.05]),
        *("spacing_mm", (0.08, 0.04)),
    ),
    "no magnification factor": (
        change(EstimatedRadiographicMagnificationFactor=None),
        *("spacing_mm", (0.05, 0.07)),
    ),
    "calibrated spacing": (
        change(ImagerPixelSpacing=None, PixelSpacing=[0.09, 0.1], PixelSpacingCalibrationType="GEOMETRY"),
        *("spacing_mm", (0.09, 0.1)),
    ),
    "imager spacing before pixel spacing": (
        change(PixelSpacing=[0.09, 0.1], PixelSpacingCalibrationType="GEOMETRY"),
        *("spacing_mm", (0.05, 0.07)),
    ),
    "second window of two": (change(WindowCenter=[1, 2], WindowWidth=[0, 9]), "reason", None),
    "window replaced by a LUT": (both(change(WindowWidth="0"), lut([256, 0, 12], 256)), "reason", None),
    "date of old": (change(StudyDate="2024.01.31"), "study_date", date(2024, 1, 31)),
    "for processing": (
        change(SOPClassUID=FOR_PROCESSING, PresentationIntentType="FOR PROCESSING"),
        *("for_processing", True),
    ),
    "one frame of several fragments": (
        compressed(LOSSLESS_JPEG, [b"\0" * 64], fragments_per_frame=4),
        *("transfer_syntax", LOSSLESS_JPEG),
    ),
    "no patient": (change(PatientID=""), "patient_key", None),
}


@pytest.mark.parametrize(("spoil", "name", "value"), READ_RIGHT.values(), ids=list(READ_RIGHT))
def test_a_header_is_read_right(films, tmp_path, spoil, name, value):
    record = films.read(films.spoilt(tmp_path / "view.dcm", spoil))

    assert record.status is ImageStatus.USED, record.message
    assert getattr(record, name) == (pytest.approx(value) if name == "spacing_mm" else value)


@pytest.mark.parametrize("syntax", [IMPLICIT, DEFLATED, BIG_ENDIAN])
def test_every_native_syntax_is_read_alike(films, tmp_path, syntax):
    dataset = films.mammogram()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset["PixelData"].VR = "OW"

    record = films.read(films.save(dataset, tmp_path / "view.dcm"))

    assert (record.status, record.transfer_syntax, record.rows) == (ImageStatus.USED, syntax, 64), (
        record.message
    )


def test_01_an_empty_file_is_rejected(films, tmp_path):
    (tmp_path / "empty.dcm").touch()

    assert films.read(tmp_path / "empty.dcm").reason is Reason.EMPTY_FILE


JUNK = {
    "2 text": (b"Nightingale, not an image" * 20, Reason.NOT_DICOM, "no DICOM file"),
    "2 PNG": (b"\x89PNG\r\n\x1a\n" + b"\0" * 300, Reason.NOT_DICOM, "a PNG image; a manifest is needed"),
    "2 JPEG": (b"\xff\xd8\xff\xe0" + b"\0" * 300, Reason.NOT_DICOM, "a JPEG image; a manifest is needed"),
    "2 zeros": (b"\0" * 1000, Reason.NOT_DICOM, "no DICOM file"),
    "3 like a data set": (b"\x08\x00\x05\x00" + b"\x41" * 1000, Reason.NOT_DICOM, "no DICOM file"),
    "4 preamble alone": (b"\0" * 128 + b"DICM", Reason.TRUNCATED, "copy it again"),
    "16 zip": (b"PK\x03\x04" + b"\0" * 300, Reason.ARCHIVE_FILE, "a zip archive; unpack it"),
}


@pytest.mark.parametrize(("data", "reason", "said"), JUNK.values(), ids=list(JUNK))
def test_what_is_no_dicom_is_rejected(films, tmp_path, data, reason, said):
    (tmp_path / "junk.dcm").write_bytes(data)

    record = films.read(tmp_path / "junk.dcm")

    assert (record.status, record.reason) == (R, reason), record.message
    assert said in record.message


def test_03_a_data_set_without_preamble_is_used_and_flagged(films, tmp_path):
    path = films.save(films.mammogram(), tmp_path / "view.dcm")
    path.write_bytes(path.read_bytes()[132:])

    record = films.read(path)

    assert (record.status, record.flags) == (ImageStatus.USED, (Flag.NO_PREAMBLE,)), record.message


def test_03_a_bare_data_set_gives_the_syntax_it_is_written_in(films, tmp_path):
    dataset = films.mammogram()
    del dataset.file_meta
    dataset.save_as(tmp_path / "view.dcm", implicit_vr=True, little_endian=True)

    record = films.read(tmp_path / "view.dcm")

    assert (record.status, record.transfer_syntax) == (ImageStatus.USED, IMPLICIT), record.message


def test_04_05_wherever_a_file_is_cut_it_is_rejected(films, tmp_path):
    path = films.save(films.mammogram(), tmp_path / "view.dcm")
    whole = path.read_bytes()

    found = {}
    for size in [*range(133, len(whole) - 6144, 7), len(whole) - 6000, len(whole) - 1]:
        path.write_bytes(whole[:size])
        found[size] = films.read(path)

    assert {record.status for record in found.values()} == {R}
    # Only between two elements does a cut look like a file that never had pixels, or their UIDs.
    odd = [r.reason for r in found.values() if r.reason is not Reason.TRUNCATED]
    assert set(odd) <= {Reason.NO_PIXEL_DATA, Reason.UID_MISSING, Reason.SOP_CLASS}
    assert len(odd) < len(found) / 5


def test_05_pixels_cut_off_are_told_from_pixels_too_few(films, tmp_path):
    path = films.save(films.mammogram(), tmp_path / "view.dcm")
    path.write_bytes(path.read_bytes()[:-1000])

    record = films.read(path)

    assert record.reason is Reason.TRUNCATED
    assert "declares 6144 bytes where the file holds 5144" in record.message


def test_05_compressed_pixels_cut_off_are_rejected(films, tmp_path):
    path = films.spoilt(tmp_path / "view.dcm", compressed(LOSSLESS_JPEG, [b"\0" * 640]))
    path.write_bytes(path.read_bytes()[:-100])

    assert films.read(path).reason is Reason.TRUNCATED


def test_07_a_file_over_the_cap_is_not_read(films, tmp_path):
    dataset = films.mammogram(Rows=1024, Columns=1024, PixelData=b"\0" * (2 << 20))

    record = films.read(films.save(dataset, tmp_path / "big.dcm"), config=ArchiveConfig(max_file_mib=2))

    assert record.reason is Reason.FILE_TOO_LARGE
    assert "archive.max_file_mib" in record.message


def test_10_a_file_that_changes_after_it_was_listed_is_rejected(films, tmp_path):
    path = films.save(films.mammogram(), tmp_path / "view.dcm")
    (entry,) = open_source(path).entries()
    path.write_bytes(path.read_bytes() + b"\0\0")

    record = read_record(
        open_source(tmp_path), entry, config=ArchiveConfig(), pseudonym=Pseudonym(b"key"), manifest_row=None
    )

    assert (record.status, record.reason) == (R, Reason.FILE_CHANGED)


def test_10_a_file_that_is_gone_is_rejected(films, tmp_path):
    path = films.save(films.mammogram(), tmp_path / "view.dcm")
    (entry,) = open_source(path).entries()
    path.unlink()

    record = read_record(
        open_source(tmp_path), entry, config=ArchiveConfig(), pseudonym=Pseudonym(b"key"), manifest_row=None
    )

    assert record.reason is Reason.FILE_MISSING


@pytest.mark.parametrize("disguise", [b"PK\x03\x04", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MZ"])
def test_14_a_polyglot_preamble_is_ignored(films, tmp_path, disguise):
    path = films.save(films.mammogram(), tmp_path / "view.dcm")
    path.write_bytes(disguise.ljust(128, b"\0") + path.read_bytes()[128:])

    assert films.read(path).status is ImageStatus.USED


def test_15_a_directory_of_files_is_set_aside_by_its_class(films, tmp_path):
    dataset = films.mammogram(SOPClassUID="1.2.840.10008.1.3.10")

    assert films.read(films.save(dataset, tmp_path / "index.dcm")).reason is Reason.DICOMDIR


@pytest.mark.parametrize(
    ("declared", "found"), [(LOSSLESS_JPEG, "native"), (IMPLICIT, "explicit VR")], ids=["native", "explicit"]
)
def test_17_pixels_in_another_syntax_than_declared_are_rejected(films, tmp_path, declared, found):
    path = films.save(films.mammogram(), tmp_path / "view.dcm")
    whole = path.read_bytes()
    start = whole.index(b"1.2.840.10008.1.2.1\0")
    # The meta information's declared syntax alone changes; its group has no length to be kept.
    meta_length = struct.unpack("<L", whole[140:144])[0]
    syntax = declared.encode() + b"\0" * (len(declared) % 2)
    longer = len(syntax) - 20
    data = bytearray(whole[: start - 2] + struct.pack("<H", len(syntax)) + syntax + whole[start + 20 :])
    data[140:144] = struct.pack("<L", meta_length + longer)
    path.write_bytes(data)

    record = films.read(path)

    assert record.reason is Reason.TRANSFER_SYNTAX, record.message
    assert f"written {found}" in record.message


def test_18_a_deflated_bomb_is_rejected_before_it_unfolds(films, tmp_path):
    dataset = films.mammogram()
    dataset.file_meta.TransferSyntaxUID = DEFLATED
    path = films.save(dataset, tmp_path / "bomb.dcm")
    whole = path.read_bytes()
    meta = whole[: 144 + struct.unpack("<L", whole[140:144])[0]]
    packer = zlib.compressobj(9, wbits=-15)
    bomb = b"".join(packer.compress(bytes(1 << 24)) for _ in range(11)) + packer.flush()
    path.write_bytes(meta + bomb)

    record = films.read(path)

    assert (record.status, record.reason) == (R, Reason.DECODE_LIMIT)
    assert "160 MiB" in record.message


def test_19_deeply_nested_sequences_are_rejected(films, tmp_path):
    path = films.spoilt(tmp_path / "nested.dcm", change(PixelData=None))
    opened = b"\x40\x00\x55\xa7SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    path.write_bytes(path.read_bytes() + opened * 3000)

    record = films.read(path)

    assert (record.status, record.reason) == (R, Reason.HEADER_MALFORMED), record.message
    assert "nested" in record.message


def test_20_a_private_element_that_swallows_the_pixels_is_rejected(films, tmp_path):
    path = films.save(films.mammogram(), tmp_path / "view.dcm")
    whole = path.read_bytes()
    at = whole.index(b"\xe0\x7f\x10\x00OW")
    swallower = b"\x55\x77\x10\x10UN\0\0" + struct.pack("<L", 0xFFFFFFF0)
    path.write_bytes(whole[:at] + swallower + whole[at:])

    record = films.read(path)

    assert (record.status, record.reason) == (R, Reason.TRUNCATED)
    assert "(7755,1010) declares 4294967280 bytes" in record.message


def test_20_a_private_element_that_swallows_them_exactly_is_rejected(films, tmp_path):
    path = films.save(films.mammogram(), tmp_path / "view.dcm")
    whole = path.read_bytes()
    at = whole.index(b"\xe0\x7f\x10\x00OW")
    swallower = b"\x55\x77\x10\x10UN\0\0" + struct.pack("<L", len(whole) - at)
    path.write_bytes(whole[:at] + swallower + whole[at:])

    assert films.read(path).reason is Reason.NO_PIXEL_DATA


def test_21_thousands_of_private_elements_are_flagged_and_not_kept(films, tmp_path):
    path = films.save(films.mammogram(), tmp_path / "view.dcm")
    whole = path.read_bytes()
    at = whole.index(b"\xe0\x7f\x10\x00OW")
    private = b"".join(struct.pack("<HH2sH", 0x7755, number, b"LO", 0) for number in range(0x1000, 0x3800))
    path.write_bytes(whole[:at] + private + whole[at:])

    record = films.read(path)

    assert (record.status, record.flags) == (ImageStatus.USED, (Flag.PRIVATE_ELEMENTS_CAPPED,)), (
        record.message
    )


def test_a_conversion_that_fails_names_the_attribute_and_not_its_value(films, tmp_path):
    path = films.save(films.mammogram(NumberOfFrames="12345678"), tmp_path / "bad.dcm")
    path.write_bytes(path.read_bytes().replace(b"12345678", b"Nighting"))

    record = films.read(path)

    assert record.reason is Reason.HEADER_MALFORMED
    assert "Number of Frames (0028,0008) cannot be read" in record.message
    assert "Night" not in record.message


def test_a_manifest_overrides_what_the_header_says(films, tmp_path):
    row = ManifestRow(
        path="view.dcm",
        patient_id="other",
        exam_id="exam 7",
        laterality=Laterality.RIGHT,
        view=Position.MLO,
        spacing_mm=(0.1, 0.2),
        study_date=date(2020, 2, 29),
    )
    dataset = films.mammogram(Laterality="R", ImagerPixelSpacing=None, StudyDate="x")
    dataset.SOPClassUID = SECONDARY_CAPTURE

    record = films.read(films.save(dataset, tmp_path / "view.dcm"), row)

    assert (record.status, record.flags) == (ImageStatus.USED, (Flag.FROM_MANIFEST,)), record.message
    assert (record.laterality, record.view_position, record.spacing_mm) == (
        row.laterality,
        row.view,
        row.spacing_mm,
    )
    assert (record.exam_id, record.study_date) == ("exam 7", date(2020, 2, 29))
    assert record.patient_key == Pseudonym(b"key")("other")
    assert record.study_instance_uid == dataset.StudyInstanceUID


def test_a_manifests_spacing_must_be_plausible_too(films, tmp_path):
    row = ManifestRow(path="view.dcm", spacing_mm=(50.0, 50.0))

    record = films.read(films.save(films.mammogram(), tmp_path / "view.dcm"), row)

    assert record.reason is Reason.SPACING_IMPLAUSIBLE


def test_a_manifests_exam_stands_in_for_a_missing_study_uid(films, tmp_path):
    dataset = films.mammogram(StudyInstanceUID="")

    record = films.read(
        films.save(dataset, tmp_path / "view.dcm"), ManifestRow(path="view.dcm", exam_id="e1")
    )

    assert (record.status, record.exam_id) == (ImageStatus.USED, "e1"), record.message


def test_a_pipe_that_took_a_files_place_is_not_waited_for(films, tmp_path):
    path = films.save(films.mammogram(), tmp_path / "view.dcm")
    (entry,) = open_source(path).entries()
    path.unlink()
    os.mkfifo(path)

    record = read_record(
        open_source(tmp_path), entry, config=ArchiveConfig(), pseudonym=Pseudonym(b"key"), manifest_row=None
    )

    assert record.reason is Reason.NOT_A_FILE


def test_11_a_file_that_may_not_be_read_is_rejected(films, open_folder):
    films.save(films.mammogram(), open_folder / "view.dcm").chmod(0)

    with films.as_nobody():
        (entry,) = open_source(open_folder).entries()
        record = read_record(
            open_source(open_folder),
            entry,
            config=ArchiveConfig(),
            pseudonym=Pseudonym(b"key"),
            manifest_row=None,
        )

    assert (record.status, record.reason) == (R, Reason.PERMISSION_DENIED)


def test_nothing_of_a_patient_reaches_the_screen_or_the_log(films, tmp_path, capfd, caplog):
    for number, spoil in enumerate(spoil for spoil, *_ in NOT_USED.values()):
        films.read(films.spoilt(tmp_path / f"{number}.dcm", spoil))
    films.read(films.spoilt(tmp_path / "charset.dcm", change(SpecificCharacterSet=NAME)))

    assert "".join(capfd.readouterr()) + caplog.text == ""
