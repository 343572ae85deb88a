from __future__ import annotations

import hashlib
import zlib
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mammosweep.archive.manifest import ManifestRow
from mammosweep.config import ArchiveConfig
from mammosweep.errors import Flag, Reason
from mammosweep.records import ImageStatus, Laterality, Position

ROW = ManifestRow(
    path="view",
    patient_id="p1",
    exam_id="e1",
    laterality=Laterality.RIGHT,
    view=Position.CC,
    spacing_mm=(0.1, 0.05),
)
GRAY = np.arange(64 * 48, dtype=np.uint16).reshape(64, 48)

FILES = {
    "PNG 16 bit": (Image.fromarray(GRAY), "PNG", "image/png"),
    "PNG 8 bit": (Image.fromarray(GRAY.astype(np.uint8)), "PNG", "image/png"),
    "PNG RGB": (Image.new("RGB", (48, 64)), "PNG", "image/png"),
    "PNG RGBA": (Image.new("RGBA", (48, 64)), "PNG", "image/png"),
    "JPEG": (Image.new("L", (48, 64)), "JPEG", "image/jpeg"),
    "TIFF 16 bit": (Image.fromarray(GRAY), "TIFF", "image/tiff"),
    "TIFF 8 bit": (Image.new("L", (48, 64)), "TIFF", "image/tiff"),
}


def save(image, path, kind, **options):
    image.save(path, format=kind, **options)
    return path


@pytest.mark.parametrize(("image", "kind", "media_type"), FILES.values(), ids=list(FILES))
def test_a_raster_image_that_a_manifest_names_is_a_view(films, tmp_path, image, kind, media_type):
    record = films.read(save(image, tmp_path / "view", kind), ROW)

    assert (record.status, record.transfer_syntax) == (ImageStatus.USED, media_type), record.message
    assert (record.rows, record.columns, record.spacing_mm) == (64, 48, (0.1, 0.05))
    assert (record.exam_id, record.laterality, record.view_position) == ("e1", "R", "CC")
    number = int(hashlib.sha256(b"view").hexdigest()[:32], 16)
    assert record.sop_instance_uid == f"2.25.{number}"
    assert Flag.FROM_MANIFEST in record.flags
    assert (Flag.LOSSY in record.flags) == (kind == "JPEG")


MISSING = {
    "exam_id": Reason.UID_MISSING,
    "laterality": Reason.LATERALITY_MISSING,
    "view": Reason.VIEW_MISSING,
    "spacing_mm": Reason.SPACING_MISSING,
}


@pytest.mark.parametrize(("column", "reason"), MISSING.items(), ids=list(MISSING))
def test_the_manifest_must_say_what_such_an_image_cannot(films, tmp_path, column, reason):
    path = save(Image.new("L", (48, 64)), tmp_path / "view", "PNG")

    record = films.read(path, replace(ROW, **{column: None}))

    assert record.reason is reason
    assert f"gives no {column}" in record.message


BAD = {
    "palette": (Image.new("P", (48, 64)), "PNG", Reason.PHOTOMETRIC),
    "CMYK": (Image.new("CMYK", (48, 64)), "JPEG", Reason.PHOTOMETRIC),
    "1 bit": (Image.new("1", (48, 64)), "PNG", Reason.BITS_INVALID),
    "float": (Image.new("F", (48, 64)), "TIFF", Reason.BITS_INVALID),
    "too wide": (Image.new("L", (300, 64)), "PNG", Reason.SIZE_TOO_LARGE),
}


@pytest.mark.parametrize(("image", "kind", "reason"), BAD.values(), ids=list(BAD))
def test_an_image_that_is_no_view_is_not_used(films, tmp_path, image, kind, reason):
    record = films.read(save(image, tmp_path / "view", kind), ROW, ArchiveConfig(max_rows_columns=200))

    assert record.reason is reason, record.message


def test_a_tiff_of_two_pages_is_not_used(films, tmp_path):
    pages = [Image.new("L", (48, 64)), Image.new("L", (48, 64))]
    path = save(pages[0], tmp_path / "view", "TIFF", save_all=True, append_images=pages[1:])

    assert films.read(path, ROW).reason is Reason.MULTI_FRAME


def test_36_a_png_that_claims_billions_of_pixels_is_rejected(films, tmp_path):
    path = save(Image.new("L", (48, 64)), tmp_path / "view", "PNG")
    data = bytearray(path.read_bytes())
    data[16:24] = (100_000).to_bytes(4) * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4)
    path.write_bytes(data)

    record = films.read(path, ROW)

    assert record.reason is Reason.SIZE_TOO_LARGE, record.message


@pytest.mark.parametrize("start", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\0"])
def test_a_damaged_image_is_rejected(films, tmp_path, start):
    (tmp_path / "view").write_bytes(start + b"\0" * 100)

    record = films.read(tmp_path / "view", ROW)

    assert (record.status, record.reason) == (ImageStatus.REJECTED, Reason.HEADER_MALFORMED)
