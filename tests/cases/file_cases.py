"""Cases 1 to 16: what can be wrong with a file before anyone looks into it."""

from __future__ import annotations

import gzip
import io
import os
import socket
import zipfile
from pathlib import Path

import imagecodecs
import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset
from tests.cases.making import Desk, assign, coded, data, encapsulated, small_exam, spliced
from tests.cases.table import LONE_VIEW, Case, Exam, Image, ignored, rejected, used

from mammosweep.errors import Flag, Reason
from mammosweep.phantom import Syntax
from mammosweep.records import ExamStatus, ImageStatus

__all__ = ["CASES", "POLYGLOT_MARK"]

POLYGLOT_MARK = b"MZ-polyglot-#!/bin/sh"
OWN = "test_cases_of_files.py::"
R = ImageStatus.REJECTED


def bare(*, meta: bool, **attributes: object):
    """A data set without preamble, with or without its group 0002."""

    def build(desk: Desk) -> None:
        dataset = desk.image(**attributes)
        if meta:
            desk.write(desk.bytes_of(dataset)[132:])
            return
        del dataset.file_meta
        buffer = io.BytesIO()
        dataset.save_as(buffer, implicit_vr=True, little_endian=True)
        desk.write(buffer.getvalue())

    return build


def cut_to(size: int):
    return spliced(lambda whole: whole[:size])


def cut_by(num_bytes: int, **attributes: object):
    return spliced(lambda whole: whole[:-num_bytes], **attributes)


def cut_before_pixels(whole: bytes) -> bytes:
    return whole[: whole.rindex(b"\xe0\x7f\x10\x00")]


def frame(share: float):
    """Pixel Data of a share of the frame."""

    def build(desk: Desk) -> None:
        pixels = desk.pixels().tobytes()
        desk.save(desk.image(PixelData=(pixels * 3)[: int(len(pixels) * share) // 2 * 2]))

    return build


def deflated_and_cut(desk: Desk) -> None:
    dataset = desk.image()
    dataset.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    desk.write(desk.bytes_of(dataset)[:-3000])


def four_fragments_cut(desk: Desk) -> None:
    stream = bytes(imagecodecs.jpegls_encode(desk.pixels()))
    quarter = len(stream) // 8 * 2
    parts = [stream[at : at + quarter] for at in range(0, len(stream), quarter)]
    whole = desk.bytes_of(encapsulated(desk.image(), uid.JPEGLSLossless, *parts))
    desk.write(whole[: -len(stream) // 2])


def sparse(desk: Desk) -> None:
    """More than `archive.max_file_mib`; no block of it is on the disk."""
    os.truncate(desk.write(b""), (2048 << 20) + 1)


def links(desk: Desk) -> None:
    outside = desk.folder.parent.parent / "outside"
    (outside / "folder").mkdir(parents=True, exist_ok=True)
    content = desk.bytes_of(desk.image(key="outside"))
    (outside / "view.dcm").write_bytes(content)
    (outside / "folder" / "view.dcm").write_bytes(content)
    desk.save(desk.image(), "deep/view.dcm")
    (desk.folder / "to-itself").symlink_to("to-itself")
    (desk.folder / "deep" / "to-parent").symlink_to("..", target_is_directory=True)
    (desk.folder / "to-file-outside").symlink_to(outside / "view.dcm")
    (desk.folder / "to-folder-outside").symlink_to(outside / "folder", target_is_directory=True)
    (desk.folder / "to-system").symlink_to("/etc/hostname")


def pipe_and_socket(desk: Desk) -> None:
    desk.folder.mkdir()
    os.mkfifo(desk.folder / "pipe.dcm")
    here = Path.cwd()
    os.chdir(desk.folder)  # a socket's name may have 107 characters
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket.dcm")
    finally:
        os.chdir(here)


def named(name: bytes):
    def build(desk: Desk) -> None:
        desk.save(desk.image()).rename(desk.folder / os.fsdecode(name))

    return build


def disguised(mark: bytes):
    return spliced(lambda whole: mark.ljust(128, b"\n") + whole[128:])


def dicomdir(name: str):
    """A directory whose records refer to a file beside the archive, and to one that is not there."""

    def build(desk: Desk) -> None:
        directory = Dataset()
        directory.file_meta = desk.image().file_meta
        directory.SOPClassUID = directory.file_meta.MediaStorageSOPClassUID = uid.MediaStorageDirectoryStorage
        directory.SOPInstanceUID = directory.file_meta.MediaStorageSOPInstanceUID
        records = []
        for referenced in (["..", "..", "outside", "view.dcm"], ["NOWHERE"]):
            record = Dataset()
            assign(record, DirectoryRecordType="IMAGE", ReferencedFileID=referenced)
            records.append(record)
        directory.DirectoryRecordSequence = records
        desk.save(directory, name)

    return build


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("view.dcm", whole_file())
    return buffer.getvalue()


def whole_file() -> bytes:
    desk = Desk(Path("zipped"), small_exam())
    return desk.bytes_of(desk.image())


def picture() -> bytes:
    return imagecodecs.png_encode(np.arange(64, dtype=np.uint8).reshape(8, 8))


def linked(reason: Reason, *said: str) -> Image:
    return Image(status=R, reason=reason, said=said)


CASES = (
    Case(
        number=1,
        name="empty file",
        fed="a file of zero bytes",
        build=data(b""),
        **rejected(Reason.EMPTY_FILE, "empty", exam=False),
    ),
    Case(
        number=2,
        name="text",
        fed="a text file named .dcm",
        build=data(b"these are not the films you are looking for\n" * 9),
        **rejected(Reason.NOT_DICOM, "'DICM' at byte 128", exam=False),
    ),
    Case(
        number=2,
        name="noise",
        fed="4,096 random bytes",
        build=data(np.random.default_rng(0).bytes(4096)),
        **rejected(Reason.NOT_DICOM, "no DICOM file", exam=False),
    ),
    Case(
        number=2,
        name="PNG without manifest",
        fed="a PNG image that no manifest names",
        build=data(picture(), "view.png"),
        **rejected(Reason.NOT_DICOM, "PNG", "manifest", exam=False, name="view.png"),
    ),
    Case(
        number=3,
        name="no preamble",
        fed="a sound file without its first 132 bytes",
        build=bare(meta=True),
        **used(Flag.NO_PREAMBLE),
    ),
    Case(
        number=3,
        name="bare data set",
        fed="an implicit VR data set without preamble and meta information",
        build=bare(meta=False),
        **used(Flag.NO_PREAMBLE),
    ),
    Case(
        number=3,
        name="bare without SOP Instance UID",
        fed="a bare data set that lacks SOP Instance UID",
        build=bare(meta=False, SOPInstanceUID=None),
        **rejected(Reason.NOT_DICOM, "SOP Instance UID", exam=False),
    ),
    Case(
        number=3,
        name="bare without SOP Class UID",
        fed="a bare data set that lacks SOP Class UID",
        build=bare(meta=False, SOPClassUID=None),
        **rejected(Reason.NOT_DICOM, "SOP", exam=False),
    ),
    Case(
        number=4,
        name="cut in meta information",
        fed="the first 200 bytes of a sound file",
        build=cut_to(200),
        **rejected(Reason.TRUNCATED, "the file ends", "copy it again", exam=False),
    ),
    Case(
        number=4,
        name="cut in header",
        fed="the first 1,400 bytes: the file ends inside an element",
        build=cut_to(1400),
        **rejected(Reason.TRUNCATED, "element (", "copy it again"),
    ),
    Case(
        number=4,
        name="cut before pixels",
        fed="a file that ends just before Pixel Data",
        build=spliced(cut_before_pixels),
        **rejected(Reason.NO_PIXEL_DATA, "Pixel Data (7FE0,0010) is missing"),
    ),
    Case(
        number=5,
        name="cut in native pixels",
        fed="a file without its last 1,000 bytes, native pixels",
        build=cut_by(1000),
        **rejected(Reason.TRUNCATED, "Pixel Data (7FE0,0010) declares 540000 bytes", "holds 539000"),
    ),
    Case(
        number=5,
        name="one byte short",
        fed="a file without its last byte, native pixels",
        build=cut_by(1),
        **rejected(Reason.TRUNCATED, "declares 540000 bytes", "holds 539999"),
    ),
    Case(
        number=5,
        name="half a frame",
        fed="Pixel Data of half the frame, declared as such",
        build=frame(0.5),
        **rejected(Reason.TRUNCATED, "Pixel Data (7FE0,0010) holds 270000 bytes", "need 540000"),
    ),
    Case(
        number=5,
        name="cut in deflated data set",
        fed="a deflated file without its last 3,000 bytes",
        build=deflated_and_cut,
        **rejected(Reason.TRUNCATED, "deflated data set", exam=False),
    ),
    Case(
        number=5,
        name="cut in fragments",
        fed="a file that ends inside a fragment",
        build=four_fragments_cut,
        **rejected(Reason.TRUNCATED, "the file ends inside Pixel Data"),
    ),
    Case(
        number=6,
        name="two frames for one",
        fed="Pixel Data of two frames, one declared",
        build=frame(2),
        **rejected(Reason.EXCESS_BYTES, "holds 1080000 bytes", "need 540000"),
    ),
    Case(
        number=6,
        name="two codestreams for one",
        fed="Pixel Data of two RLE frames, one declared",
        build=coded(Syntax.RLE, lambda stream: stream + stream),
        **rejected(Reason.EXCESS_BYTES, "RLE"),
    ),
    Case(
        number=7,
        name="over the cap",
        fed="a file of 2 GiB and a byte",
        build=sparse,
        **rejected(Reason.FILE_TOO_LARGE, "2147483649 bytes", "archive.max_file_mib", exam=False),
    ),
    Case(
        number=8,
        name="links",
        fed="links to themselves, to a folder above, and out of the root to a file, a folder, the system",
        build=links,
        images={
            "to-itself": linked(Reason.OUTSIDE_ROOT, "leads back to itself"),
            "deep/to-parent": linked(Reason.OUTSIDE_ROOT, "leads back"),
            "to-file-outside": linked(Reason.OUTSIDE_ROOT, "leads out of the source's folder"),
            "to-folder-outside": linked(Reason.OUTSIDE_ROOT, "leads out of the source's folder"),
            "to-system": linked(Reason.OUTSIDE_ROOT, "leads out of the source's folder"),
            "deep/view.dcm": Image(status=ImageStatus.USED),
        },
        exam=Exam(status=ExamStatus.FLAGGED, flags=LONE_VIEW),
    ),
    Case(
        number=9,
        name="pipe and socket",
        fed="a FIFO and a socket named .dcm",
        build=pipe_and_socket,
        images={
            name: linked(Reason.NOT_A_FILE, "expected a regular file") for name in ("pipe.dcm", "socket.dcm")
        },
    ),
    Case(
        number=10,
        name="grows while swept",
        fed="a file that somebody writes to during the sweep",
        test=OWN + "test_10_a_file_that_is_written_to_meanwhile_is_rejected",
        **rejected(Reason.FILE_CHANGED, "changed while it was read", exam=False),
    ),
    Case(
        number=10,
        name="changed since the catalog",
        fed="a file whose pixels were replaced after the catalog was made",
        test=OWN + "test_10_11_what_a_catalog_says_of_files_that_change_or_may_not_be_read",
        **rejected(Reason.FILE_CHANGED, "since it was indexed"),
    ),
    Case(
        number=11,
        name="permission denied",
        fed="a file that the sweep's user may not read",
        test=OWN + "test_10_11_what_a_catalog_says_of_files_that_change_or_may_not_be_read",
        **rejected(Reason.PERMISSION_DENIED, "permission denied", exam=False),
    ),
    Case(
        number=12,
        name="hung storage",
        fed="storage that never gives the file",
        test=OWN + "test_12_storage_that_hangs_costs_one_file_its_deadline",
        **rejected(Reason.READ_TIMEOUT, "did not answer within 0.3 s", "read_deadline_s", exam=False),
    ),
    Case(
        number=12,
        name="hung on the second read",
        fed="storage that gives the header and never the pixels",
        test=OWN + "test_12_storage_that_hangs_costs_one_file_its_deadline",
        **rejected(Reason.READ_TIMEOUT, "did not answer within 0.3 s", "read_deadline_s"),
    ),
    Case(
        number=12,
        name="slow at first",
        fed="storage that hangs once and answers when asked again",
        test=OWN + "test_12_storage_that_hangs_costs_one_file_its_deadline",
        **used(),
    ),
    Case(
        number=13,
        name="newline in name",
        fed="a file named left<newline>CC.dcm",
        build=named(b"left\nCC.dcm"),
        **used(name=r"left\u000aCC.dcm"),
    ),
    Case(
        number=13,
        name="name not in UTF-8",
        fed="a file named in Latin-1",
        build=named(b"gr\xf6\xdfe.dcm"),
        **used(name=r"gr\xf6\xdfe.dcm"),
    ),
    Case(
        number=14,
        name="zip preamble",
        fed="a sound file whose preamble says zip",
        build=disguised(b"PK\x03\x04" + POLYGLOT_MARK),
        **used(),
    ),
    Case(
        number=14,
        name="program preamble",
        fed="a sound file whose preamble is a program",
        build=disguised(POLYGLOT_MARK),
        **used(),
    ),
    Case(
        number=15,
        name="DICOMDIR",
        fed="a DICOMDIR that refers to a file outside the root",
        build=dicomdir("DICOMDIR"),
        **ignored(Reason.DICOMDIR, "ignored", name="DICOMDIR"),
    ),
    Case(
        number=15,
        name="DICOMDIR under another name",
        fed="the same, named index.dcm",
        build=dicomdir("index.dcm"),
        **ignored(Reason.DICOMDIR, "ignored", name="index.dcm"),
    ),
    Case(
        number=16,
        name="zip",
        fed="a zip archive with a sound file in it",
        build=lambda desk: desk.write(zipped(), "films.zip") and None,
        **rejected(Reason.ARCHIVE_FILE, "zip", "unpack", exam=False, name="films.zip"),
    ),
    Case(
        number=16,
        name="gzip",
        fed="a sound file, gzipped",
        build=lambda desk: desk.write(gzip.compress(whole_file(), 1, mtime=0), "view.dcm.gz") and None,
        **rejected(Reason.ARCHIVE_FILE, "gzip", "unpack", exam=False, name="view.dcm.gz"),
    ),
)
