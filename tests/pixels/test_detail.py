"""Crops out of a breast's own pixels."""

from __future__ import annotations

import numpy as np
import pytest

from mammosweep.pixels.detail import Detail
from mammosweep.pixels.normalise import GRAY_RANGE

TABLE = (np.arange(65536) / 65535).astype(np.float32)


def detail(*, mirrored=False, pixel_mm=(0.1, 0.1), shape=(400, 300), rectangle=None):
    stored = np.full(shape, 20000, np.uint16)
    stored[100:140, 50:90] = 60000
    rows, columns = shape
    return Detail(
        stored=stored, table=TABLE, gray_low=20000 / 65535, gray_high=60000 / 65535,
        rectangle_px=rectangle or (1000.0, 2000.0, 1000.0 + columns, 2000.0 + rows), pixel_mm=pixel_mm,
        mirrored=mirrored, gray_range=GRAY_RANGE,
    )  # fmt: skip


BRIGHT = (1050.0, 2100.0, 1090.0, 2140.0)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_crop_is_centred_on_its_box_and_normalised(mirrored):
    crop = detail(mirrored=mirrored).crop(BRIGHT, side_mm=8.0, side_px=40)

    assert crop.shape == (40, 40)
    np.testing.assert_allclose(crop[10:30, 10:30], 1.0, atol=1e-5)
    np.testing.assert_allclose(crop[:9], 0.0, atol=1e-5)


def test_a_mirrored_crop_has_its_other_side_first():
    off_centre = (1040.0, 2100.0, 1080.0, 2140.0)

    plain = detail().crop(off_centre, side_mm=8.0, side_px=40)
    mirrored = detail(mirrored=True).crop(off_centre, side_mm=8.0, side_px=40)

    assert not np.allclose(plain, mirrored)
    np.testing.assert_array_equal(plain[:, ::-1], mirrored)


def test_beyond_the_breast_is_air():
    crop = detail().crop((990.0, 1990.0, 1010.0, 2010.0), side_mm=4.0, side_px=20)

    assert (crop[:10] == GRAY_RANGE[0]).all()
    assert (crop[:, :10] == GRAY_RANGE[0]).all()
    np.testing.assert_allclose(crop[10:, 10:], 0.0, atol=1e-5)


def test_pixels_that_are_not_square_make_a_square_crop():
    crop = detail(pixel_mm=(0.2, 0.1)).crop(BRIGHT, side_mm=8.0, side_px=80)

    rows, columns = np.nonzero(crop > 0.5)
    assert rows.max() - rows.min() + 1 == pytest.approx(80, abs=1)  # 40 rows of 0.2 mm fill 8 mm
    assert columns.max() - columns.min() + 1 == pytest.approx(40, abs=1)


def test_a_frame_of_half_the_resolution_is_cut_at_the_same_place():
    halved = detail(pixel_mm=(0.2, 0.2), rectangle=(1000.0, 2000.0, 1600.0, 2800.0))

    crop = halved.crop((1100.0, 2200.0, 1180.0, 2280.0), side_mm=16.0, side_px=80)

    np.testing.assert_allclose(crop[22:58, 22:58], 1.0, atol=1e-5)


def test_the_native_crop_is_what_was_presented():
    native = detail(mirrored=True).native(BRIGHT, margin_mm=2.0)

    assert native.gray.shape == (80, 80)
    assert native.spacing_mm == (0.1, 0.1)
    assert native.box == (20.0, 20.0, 60.0, 60.0)
    np.testing.assert_allclose(native.gray[20:60, 20:60], 60000 / 65535)


def test_a_box_outside_the_breast_has_no_native_crop():
    assert detail().native((0.0, 0.0, 10.0, 10.0), margin_mm=1.0) is None
