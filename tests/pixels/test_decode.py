"""One file's bytes to a frame: as written, at the resolution needed; what cannot be trusted is refused."""

from __future__ import annotations

from dataclasses import replace

import imagecodecs
import numpy as np
import pydicom
import pytest

from mammosweep.config import PixelsConfig
from mammosweep.errors import DecodeError, Flag, Reason
from mammosweep.geometry import Size
from mammosweep.phantom import PhantomConfig, Syntax, make_exam, write_exam
from mammosweep.pixels.decode import read_frame
from mammosweep.records import Laterality, Position, View

CONFIG = PixelsConfig()


@pytest.fixture(scope="module")
def exam():
    return make_exam(7, 0, PhantomConfig(spacing_mm=0.4))


def decode(path, view, config=CONFIG, **options):
    return read_frame(path.read_bytes(), view, config, **options)


def view_of(path, **changes):
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    view = View(
        path=path.name,
        sop_instance_uid=dataset.SOPInstanceUID,
        laterality=Laterality.LEFT,
        position=Position.CC,
        size_px=Size(dataset.Rows, dataset.Columns),
        spacing_mm=(0.4, 0.4),
        transfer_syntax=dataset.file_meta.TransferSyntaxUID,
    )
    return replace(view, **changes)


def rewrite(path, change):
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.save_as(path)


@pytest.mark.parametrize("syntax", Syntax)
def test_every_lossless_syntax_gives_the_pixels_that_were_written(syntax, exam, tmp_path):
    path = write_exam(exam, tmp_path, syntax=syntax)[0]

    frame = decode(path, view_of(path))

    np.testing.assert_array_equal(frame.stored, exam.views[0].pixels)
    assert frame.stored.dtype == np.uint16
    assert frame.table.shape == (65536,)


@pytest.mark.parametrize("syntax", [Syntax.JPEG2000, Syntax.HTJ2K])
@pytest.mark.parametrize(("grid_mm", "reduce"), [(None, 0), (0.4, 0), (0.79, 0), (0.8, 1), (1.7, 2)])
def test_no_finer_level_is_decoded_than_the_grid_needs(syntax, grid_mm, reduce, exam, tmp_path):
    path = write_exam(exam, tmp_path, syntax=syntax)[0]
    rows, columns = exam.views[0].pixels.shape

    frame = decode(path, view_of(path), grid_mm=grid_mm)

    step = 2**reduce
    assert frame.reduce == reduce
    assert frame.stored.shape == (-(-rows // step), -(-columns // step))
    assert frame.size_px == Size(rows, columns)
    # A low-pass sample is near the mean of what it stands for, and centred on the first of it.
    whole = exam.views[0].pixels[::step, ::step].astype(float)
    assert np.corrcoef(frame.stored.ravel(), whole.ravel())[0, 1] > 0.99


def test_a_setting_decodes_the_full_resolution_always(exam, tmp_path):
    path = write_exam(exam, tmp_path, syntax=Syntax.JPEG2000)[0]

    frame = decode(path, view_of(path), PixelsConfig(reduced_resolution=False), grid_mm=1.7)

    np.testing.assert_array_equal(frame.stored, exam.views[0].pixels)


def test_bright_padding_is_not_blended_into_what_lies_beside_it(exam, tmp_path):
    path = write_exam(exam, tmp_path, syntax=Syntax.JPEG2000)[0]
    rewrite(path, lambda d: d.add_new("PixelPaddingValue", "US", 4095))

    assert decode(path, view_of(path), grid_mm=1.7).reduce == 0


def refusal(path, view=None):
    with pytest.raises(DecodeError) as caught:
        decode(path, view or view_of(path))
    assert "Phantom" not in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize("syntax", [s for s in Syntax if s not in (Syntax.EXPLICIT, Syntax.IMPLICIT)])
def test_a_codestream_cut_to_a_tenth_is_refused(syntax, exam, tmp_path):
    path = write_exam(exam, tmp_path, syntax=syntax)[0]
    whole = pydicom.dcmread(path)
    stream = next(pydicom.encaps.generate_frames(whole.PixelData, number_of_frames=1))

    def cut(dataset):
        dataset.PixelData = pydicom.encaps.encapsulate([stream[: len(stream) // 10]])

    rewrite(path, cut)

    assert refusal(path) in (Reason.DECODE_FAILED, Reason.TRUNCATED)


def test_a_file_that_was_replaced_is_changed(tmp_path, exam):
    paths = write_exam(exam, tmp_path, syntax=Syntax.EXPLICIT)
    view = view_of(paths[0])
    paths[0].write_bytes(paths[1].read_bytes())

    assert refusal(paths[0], view) is Reason.FILE_CHANGED


def test_a_codestream_of_another_size_is_a_mismatch(tmp_path, exam):
    path = write_exam(exam, tmp_path, syntax=Syntax.JPEG2000)[0]
    view = view_of(path)

    rewrite(path, lambda d: setattr(d, "Rows", d.Rows + 1))
    taller = Size(view.size_px.rows + 1, view.size_px.columns)

    assert refusal(path, replace(view, size_px=taller)) is Reason.SIZE_MISMATCH


def test_a_header_that_changed_since_it_was_indexed_is_refused(tmp_path, exam):
    path = write_exam(exam, tmp_path, syntax=Syntax.EXPLICIT)[0]
    view = view_of(path)

    assert refusal(path, replace(view, size_px=Size(view.size_px.rows + 1, 9))) is Reason.FILE_CHANGED
    assert refusal(path, replace(view, size_bytes=7)) is Reason.FILE_CHANGED


def test_a_constant_image_is_blank(tmp_path, exam):
    path = write_exam(exam, tmp_path, syntax=Syntax.EXPLICIT)[0]
    rewrite(path, lambda d: setattr(d, "PixelData", b"\x07\x00" * (d.Rows * d.Columns)))

    assert refusal(path) is Reason.BLANK_IMAGE


def test_a_frame_above_the_cap_is_refused_unread(tmp_path, exam):
    path = write_exam(exam, tmp_path, syntax=Syntax.EXPLICIT)[0]

    assert refusal(path, view_of(path, size_px=Size(60_000, 60_000))) is Reason.SIZE_TOO_LARGE


def test_stray_bits_above_bits_stored_are_masked_and_flagged(tmp_path, exam):
    path = write_exam(exam, tmp_path, syntax=Syntax.EXPLICIT)[0]
    stray = (exam.views[0].pixels | 0x8000).astype("<u2").tobytes()
    rewrite(path, lambda d: setattr(d, "PixelData", stray))

    frame = decode(path, view_of(path))

    assert frame.flags == (Flag.STRAY_BITS_MASKED,)
    np.testing.assert_array_equal(frame.stored, exam.views[0].pixels)


def raster_view(path, media_type):
    return View(
        path=path.name,
        sop_instance_uid="2.25.1",
        laterality=Laterality.LEFT,
        position=Position.CC,
        size_px=Size(60, 50),
        spacing_mm=(0.1, 0.1),
        transfer_syntax=media_type,
    )


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_raster_images_are_read_as_they_are(kind, bits, tmp_path):
    pixels = (np.arange(60 * 50).reshape(60, 50) % 251).astype(f"u{bits // 8}")
    path = tmp_path / f"view.{kind}"
    path.write_bytes(getattr(imagecodecs, f"{kind}_encode")(pixels))
    view = raster_view(path, f"image/{kind}")

    np.testing.assert_array_equal(decode(path, view, CONFIG).stored, pixels)


def test_a_raster_image_is_as_bright_as_the_bits_that_it_uses(tmp_path):
    pixels = np.linspace(0, 4095, 60 * 50).astype(np.uint16).reshape(60, 50)
    path = tmp_path / "view.png"
    path.write_bytes(imagecodecs.png_encode(pixels))

    frame = decode(path, raster_view(path, "image/png"), CONFIG)

    assert frame.table[frame.stored].max() == 1.0


def test_a_coloured_raster_image_is_refused(tmp_path):
    path = tmp_path / "view.png"
    path.write_bytes(imagecodecs.png_encode(np.random.default_rng(0).integers(0, 255, (60, 50, 3), np.uint8)))

    assert refusal(path, raster_view(path, "image/png")) is Reason.PHOTOMETRIC


def test_the_overshoot_of_a_lossy_codestream_is_clamped_not_masked(exam, tmp_path):
    """12 bits in a codestream of 16: masked, a white that became 4100 would be nearly black."""
    path = write_exam(exam, tmp_path, syntax=Syntax.JPEG2000)[0]
    pixels = exam.views[0].pixels.copy()
    pixels[:64, :64] = np.where(np.random.default_rng(0).random((64, 64)) < 0.5, 0, 4095)
    code = bytes(imagecodecs.jpeg2k_encode(pixels, level=60, codecformat="j2k", bitspersample=16))
    assert imagecodecs.jpeg2k_decode(code).max() > 4095

    def make_lossy(dataset):
        dataset.PixelData = pydicom.encaps.encapsulate([code])
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.JPEG2000

    rewrite(path, make_lossy)
    frame = decode(path, view_of(path))

    assert frame.stored.max() == 4095
    assert np.abs(frame.stored.astype(int) - pixels).max() < 2048
    assert Flag.STRAY_BITS_MASKED not in frame.flags
