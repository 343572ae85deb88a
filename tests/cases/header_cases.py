"""Cases 17 to 32: what a header can say."""

from __future__ import annotations

import struct
import zlib

import imagecodecs
import numpy as np
from pydicom import uid
from tests.cases.making import (
    Desk,
    assign,
    before_pixels,
    changed,
    coded,
    encapsulated,
    redeclared,
    several,
    spliced,
)
from tests.cases.table import LONE_VIEW, Case, Exam, Image, not_scored, rejected, used

from mammosweep.errors import Flag, Reason
from mammosweep.phantom import Syntax
from mammosweep.records import ExamStatus, ImageStatus

__all__ = ["CASES", "CONTROLS", "FORMULA", "SCRIPT"]

OWN = "test_cases_of_headers.py::"
LIMITS = "test_cases_of_limits.py::test_what_a_worker_is_killed_over_costs_one_image[]"
FORMULA = "=cmd|' /C calc'!A0"
SCRIPT = "<script>alert(1)</script>"
CONTROLS = "\x1b[2J\x1b]0;owned\x07\x08\r"
NOISE = np.random.default_rng(17).bytes(5000)
MPEG4 = "1.2.840.10008.1.2.4.102"
USED, SET_ASIDE = ImageStatus.USED, ImageStatus.SET_ASIDE

NESTING = b"\x40\x00\x30\xa7SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
UNNESTING = b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
"""An item of Content Sequence (0040,A730), and its end."""


def baseline_in_lossless(desk: Desk) -> None:
    """An 8 bit lossy JPEG that says it is lossless."""
    gray = (desk.pixels() >> 4).astype(np.uint8)
    dataset = desk.image(BitsAllocated=8, BitsStored=8, HighBit=7, WindowCenter=128, WindowWidth=256)
    desk.save(encapsulated(dataset, uid.JPEGLosslessSV1, imagecodecs.jpeg8_encode(gray, level=90)))


def deflated_zeros(num_bytes: int):
    """A sound header, and a private element of zeros after it."""

    def build(desk: Desk) -> None:
        dataset = desk.image(PixelData=None)
        dataset.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
        whole = desk.bytes_of(dataset)
        start = 144 + struct.unpack_from("<L", whole, 140)[0]
        packer = zlib.compressobj(9, wbits=-15)
        body = zlib.decompress(whole[start:], wbits=-15)
        packed = packer.compress(body + b"\x55\x77\x10\x10OB\0\0" + struct.pack("<L", num_bytes))
        packed += b"".join(packer.compress(bytes(1 << 20)) for _ in range(num_bytes >> 20))
        desk.write(whole[:start] + packed + packer.flush())

    return build


def nested(depth: int):
    return spliced(before_pixels(NESTING * depth + UNNESTING * depth))


def swallowing(length: int | None):
    """A private element before the pixels that claims them as its own."""

    def change(whole: bytes) -> bytes:
        at = whole.rindex(b"\xe0\x7f\x10\x00")
        num_bytes = len(whole) - at if length is None else length
        return before_pixels(b"\x55\x77\x10\x10UN\0\0" + struct.pack("<L", num_bytes))(whole)

    return spliced(change)


def privates(num: int):
    """Private elements (7777,1000) and up, each of two bytes."""
    elements = b"".join(
        struct.pack("<HH", 0x6001 + 2 * (n // 0xF000), 0x1000 + n % 0xF000) + b"US\x02\0\0\0"
        for n in range(num)
    )
    return spliced(before_pixels(elements))


def same_bytes(desk: Desk) -> None:
    whole = desk.bytes_of(desk.image())
    desk.write(whole, "first.dcm")
    desk.write(whole, "second/copy.dcm")


def same_uid(desk: Desk) -> None:
    desk.save(desk.image(), "one.dcm")
    desk.save(desk.image(PixelData=desk.pixels()[::-1].tobytes()), "other.dcm")


def same_uid_in_two_studies(desk: Desk) -> None:
    desk.save(desk.image(), "one.dcm")
    other = desk.image(study="other")
    other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = desk.image().SOPInstanceUID
    desk.save(other, "other.dcm")


def text_everywhere(text: str, name: str = "view.dcm"):
    """One image that says this wherever a header takes free text."""
    words = ("PatientID", "PatientName", "StudyDescription", "SeriesDescription", "Manufacturer")
    more = ("ManufacturerModelName", "ImageComments", "ProtocolName", "StudyID", "InstitutionName")

    def build(desk: Desk) -> None:
        desk.save(assign(desk.image(), **dict.fromkeys((*words, *more), text)), name)

    return build


CONFLICT = Image(
    status=SET_ASIDE, reason=Reason.UID_CONFLICT, said=("2 different files", "SOP Instance UID (0008,0018)")
)
STRANGERS = Image(status=SET_ASIDE, reason=Reason.SEVERAL_PATIENTS, said=("2 patients", "expected one"))

CASES = (
    Case(
        number=17,
        name="native declared as JPEG 2000",
        fed="native pixels, declared as JPEG 2000",
        build=spliced(redeclared(uid.JPEG2000Lossless)),
        **rejected(Reason.TRANSFER_SYNTAX, "Transfer Syntax UID (0002,0010)", "native", "encapsulated"),
    ),
    Case(
        number=17,
        name="JPEG-LS declared as native",
        fed="a JPEG-LS image, declared as explicit VR little endian",
        build=lambda desk: (
            desk.write(
                redeclared(uid.ExplicitVRLittleEndian)(
                    desk.bytes_of(
                        encapsulated(
                            desk.image(), uid.JPEGLSLossless, imagecodecs.jpegls_encode(desk.pixels())
                        )
                    )
                )
            )
            and None
        ),
        **rejected(Reason.TRANSFER_SYNTAX, "Transfer Syntax UID (0002,0010)", "encapsulated", "native"),
    ),
    Case(
        number=17,
        name="explicit declared as implicit",
        fed="an explicit VR data set, declared as implicit VR",
        build=spliced(redeclared(uid.ImplicitVRLittleEndian)),
        **rejected(Reason.TRANSFER_SYNTAX, "written explicit VR", "expected implicit VR"),
    ),
    Case(
        number=17,
        name="MPEG-4",
        fed="a transfer syntax that no mammogram has",
        build=lambda desk: desk.save(encapsulated(desk.image(), MPEG4, bytes(640))) and None,
        **rejected(Reason.TRANSFER_SYNTAX, "Transfer Syntax UID (0002,0010)", MPEG4, "supported:"),
    ),
    *(
        Case(
            number=17,
            name=f"{found} declared as {name}",
            fed=f"a codestream of {found}, declared as {name}",
            build=coded(syntax, declared=declared),
            **used(Flag.TRANSFER_SYNTAX_RECOVERED),
        )
        for found, syntax, name, declared in (
            ("JPEG-LS", Syntax.JPEG_LS, "JPEG 2000", uid.JPEG2000Lossless),
            ("JPEG 2000", Syntax.JPEG2000, "JPEG Lossless", uid.JPEGLosslessSV1),
            ("HTJ2K", Syntax.HTJ2K, "JPEG 2000", uid.JPEG2000Lossless),
            ("JPEG Lossless", Syntax.JPEG_LOSSLESS, "RLE", uid.RLELossless),
            ("RLE", Syntax.RLE, "JPEG Lossless", uid.JPEGLosslessSV1),
        )
    ),
    Case(
        number=17,
        name="noise declared as JPEG Lossless",
        fed="random bytes, declared as JPEG Lossless",
        build=lambda desk: desk.save(encapsulated(desk.image(), uid.JPEGLosslessSV1, NOISE)) and None,
        **rejected(Reason.DECODE_FAILED, "not those of JPEG"),
    ),
    Case(
        number=17,
        name="baseline declared as JPEG Lossless",
        fed="an 8 bit lossy JPEG, declared as JPEG Lossless",
        build=baseline_in_lossless,
        **not_scored(Reason.LOSSY_NOT_ALLOWED, "8 bit lossy JPEG"),
    ),
    Case(
        number=18,
        name="deflated bomb",
        fed="a deflated data set of 200 KB that unfolds to 200 MiB",
        build=deflated_zeros(200 << 20),
        **rejected(Reason.DECODE_LIMIT, "deflated", "MiB", exam=False),
    ),
    Case(
        number=18,
        name="deflated frame over the limit",
        fed="a deflated frame of 98 KB that unfolds to 100 MB, where 48 MiB are allowed",
        test=LIMITS,
        **rejected(Reason.DECODE_LIMIT, "MiB"),
    ),
    Case(
        number=19,
        name="nested 300 deep",
        fed="sequences, 300 deep",
        build=nested(300),
        **rejected(Reason.HEADER_MALFORMED, "nested", exam=False),
    ),
    Case(
        number=19,
        name="nested 200000 deep",
        fed="sequences, 200,000 deep",
        build=nested(200_000),
        **rejected(Reason.HEADER_MALFORMED, "nested", exam=False),
    ),
    Case(
        number=20,
        name="swallows 4 GB",
        fed="a private element before Pixel Data that declares 4 GB",
        build=swallowing(0xFFFFFFF0),
        **rejected(Reason.TRUNCATED, "(7755,1010) declares 4294967280 bytes"),
    ),
    Case(
        number=20,
        name="swallows the pixels exactly",
        fed="a private element whose length ends with the file",
        build=swallowing(None),
        **rejected(Reason.NO_PIXEL_DATA, "Pixel Data (7FE0,0010)"),
    ),
    Case(
        number=21,
        name="12000 private elements",
        fed="12,000 private elements",
        build=privates(12_000),
        **used(Flag.PRIVATE_ELEMENTS_CAPPED),
    ),
    Case(
        number=22,
        name="unknown character set",
        fed="Specific Character Set 'KLINGON'",
        build=changed(SpecificCharacterSet="KLINGON"),
        **used(Flag.CHARACTER_SET_UNKNOWN),
    ),
    Case(
        number=23,
        name="path as UID",
        fed="Study Instance UID '../../x'",
        build=changed(StudyInstanceUID="../../x"),
        **rejected(Reason.UID_INVALID, "Study Instance UID (0020,000D)", "digits", exam=False),
    ),
    Case(
        number=23,
        name="UID too long",
        fed="SOP Instance UID of 81 characters",
        build=changed(SOPInstanceUID="1." * 40 + "1"),
        **rejected(Reason.UID_INVALID, "SOP Instance UID (0008,0018) has 81 characters", "at most 64"),
    ),
    *(
        Case(
            number=24,
            name=f"{name} missing",
            fed=f"no {name}",
            build=changed(**{keyword: None}),
            **rejected(Reason.UID_MISSING, f"{name} ({tag}) is missing", exam=exam),
        )
        for keyword, name, tag, exam in (
            ("StudyInstanceUID", "Study Instance UID", "0020,000D", False),
            ("SOPInstanceUID", "SOP Instance UID", "0008,0018", True),
            ("SOPClassUID", "SOP Class UID", "0008,0016", True),
        )
    ),
    Case(
        number=25,
        name="same UID and bytes",
        fed="one file under two paths",
        build=same_bytes,
        images={
            "first.dcm": Image(status=USED),
            "second/copy.dcm": Image(
                status=SET_ASIDE, reason=Reason.DUPLICATE_FILE, said=("the same bytes as", "first.dcm")
            ),
        },
        exam=Exam(status=ExamStatus.FLAGGED, flags=(*LONE_VIEW, Flag.IMAGES_NOT_USED)),
    ),
    Case(
        number=26,
        name="same UID and other pixels",
        fed="two files of one SOP Instance UID with different pixels",
        build=same_uid,
        images={"one.dcm": CONFLICT, "other.dcm": CONFLICT},
        exam=Exam(status=ExamStatus.NOT_SCORED, reason=Reason.UID_CONFLICT),
    ),
    Case(
        number=26,
        name="same UID in two studies",
        fed="two files of one SOP Instance UID in different studies",
        build=same_uid_in_two_studies,
        images={"one.dcm": CONFLICT, "other.dcm": CONFLICT},
        exam=Exam(status=ExamStatus.NOT_SCORED, reason=Reason.UID_CONFLICT, number=2),
    ),
    Case(
        number=27,
        name="formula in the header",
        fed=r"PatientID and every description `=cmd\|' /C calc'!A0`",
        build=text_everywhere(FORMULA),
        **used(Flag.VENDOR_UNKNOWN),
    ),
    Case(
        number=27,
        name="formula as exam id",
        fed=r"a manifest's exam_id and patient_id `=cmd\|' /C calc'!A0`",
        build=changed(),
        manifest=({"path": "view.dcm", "exam_id": FORMULA, "patient_id": FORMULA},),
        **used(Flag.FROM_MANIFEST),
    ),
    Case(
        number=28,
        name="script in the header",
        fed="`<script>` in every description",
        build=text_everywhere(SCRIPT),
        **used(Flag.VENDOR_UNKNOWN),
    ),
    Case(
        number=28,
        name="script as exam id",
        fed="a manifest's exam_id with `<script>`",
        build=changed(),
        manifest=({"path": "view.dcm", "exam_id": SCRIPT},),
        **used(Flag.FROM_MANIFEST),
    ),
    Case(
        number=29,
        name="control characters in the header",
        fed="terminal escapes in every description, and in the file's name",
        build=text_everywhere(CONTROLS, "\x1b[2Jview.dcm"),
        **used(Flag.VENDOR_UNKNOWN, name=r"\u001b[2Jview.dcm"),
    ),
    Case(
        number=30,
        name="two patients in one study",
        fed="a study whose images have two PatientIDs",
        build=several({"view": "LCC", "PatientID": "A"}, {"view": "RCC", "PatientID": "B"}),
        images={"LCC.dcm": STRANGERS, "RCC.dcm": STRANGERS},
        exam=Exam(status=ExamStatus.NOT_SCORED, reason=Reason.SEVERAL_PATIENTS),
    ),
    Case(
        number=31,
        name="one patient with two studies",
        fed="two studies of one PatientID",
        build=several(
            {"study": "first", "name": "2020.dcm"},
            {"study": "second", "name": "2022.dcm", "StudyDate": "20220101"},
        ),
        images={"2020.dcm": Image(status=USED), "2022.dcm": Image(status=USED)},
        exam=Exam(status=ExamStatus.FLAGGED, flags=LONE_VIEW, number=2),
    ),
    *(
        Case(
            number=32,
            name=f"date {value}",
            fed=f"Study Date '{value}'",
            build=changed(StudyDate=value),
            **used(Flag.DATE_IMPOSSIBLE),
        )
        for value in ("20230231", "00000000", "31.12.2023")
    ),
)
