"""Segmentation, the grid, and the 5/90/5 gray map."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from mammosweep.errors import GeometryError, Reason
from mammosweep.geometry import Size
from mammosweep.pixels.frame import Frame
from mammosweep.pixels.normalise import GRAY_RANGE, normalise
from mammosweep.pixels.photometry import identity_table

SPACING = (0.2, 0.2)


def framed(stored, **more):
    """A frame of 16 bit whose values are its grays."""
    stored = stored.astype(np.uint16)
    return Frame(**({"stored": stored, "table": identity_table(16), "size_px": Size(*stored.shape)} | more))


def film(*, side="left", label=False, borders=False, glow=False, rim=False, rows=900, columns=700):
    """A half ellipse of textured tissue at one edge, 120 mm high and 60 mm deep, on a film with rubbish."""
    y, x = np.mgrid[:rows, :columns]
    distance = x if side == "left" else columns - 1 - x
    inside = ((y - 450) / 300) ** 2 + (distance / 300) ** 2 < 1
    texture = 25000 + 12000 * np.sin(x / 23.0) * np.cos(y / 31.0)
    gray = np.where(inside, texture, 300)
    far = slice(columns - 160, columns - 40) if side == "left" else slice(40, 160)
    if label:
        gray[60:120, far] = 60000
    if borders:
        gray[:12], gray[-12:] = 65535, 65535
    if rim:  # thinner than the segmentation's pixel, along the chest wall
        gray[:, : 2 if side == "left" else None][:, -2 if side == "right" else None :] = 60000
    if glow:
        gray[:, :40] = np.maximum(gray[:, :40], 9000)
    return framed(gray)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("rubbish", ["none", "label", "borders", "glow", "rim"])
def test_the_crop_holds_the_breast_and_nothing_else(side, rubbish):
    frame = film(side=side, **({rubbish: True} if rubbish != "none" else {}))

    view = normalise(frame, SPACING, 0.4)

    x1, y1, x2, y2 = view.grid.crop_px
    assert view.grid.mirrored == (side == "right")
    assert y1 == pytest.approx(150, abs=45)
    assert y2 == pytest.approx(750, abs=45)
    near, far = (x1, x2) if side == "left" else (700 - x2, 700 - x1)
    assert near == pytest.approx(4 if rubbish == "rim" else 0, abs=4)
    assert far == pytest.approx(300, abs=15)
    assert view.gray.max() < 1.2  # nothing brighter than tissue is left inside


def test_the_chest_wall_is_at_the_left_whatever_the_side():
    left, right = (normalise(film(side=side), SPACING, 0.4) for side in ("left", "right"))

    assert np.count_nonzero(left.gray[:, 0] > 0) > 3 * np.count_nonzero(left.gray[:, -1] > 0)
    assert np.count_nonzero(right.gray[:, 0] > 0) > 3 * np.count_nonzero(right.gray[:, -1] > 0)


def test_ninety_percent_of_the_breast_lies_in_zero_to_one():
    view = normalise(film(), SPACING, 0.4)

    rows, columns = view.gray.shape
    y, x = np.mgrid[:rows, :columns]
    x1, y1 = view.grid.crop_px[:2]
    scale_x, scale_y = view.grid.scale_xy
    inside = ((y / scale_y + y1 - 450) / 300) ** 2 + ((x / scale_x + x1) / 300) ** 2 < 1
    tissue = view.gray[inside]
    assert np.mean(tissue < 0) == pytest.approx(0.05, abs=0.01)
    assert np.mean(tissue > 1) == pytest.approx(0.05, abs=0.01)
    assert view.gray.min() >= GRAY_RANGE[0]
    assert view.gray.max() <= GRAY_RANGE[1]


@pytest.mark.parametrize(
    ("spacing", "grid_mm"), [((0.2, 0.2), 0.4), ((0.2, 0.1), 0.4), ((0.15, 0.15), 0.15)], ids=str
)
def test_a_network_pixel_is_a_square_of_the_grid(spacing, grid_mm):
    view = normalise(film(), spacing, grid_mm)

    x1, y1, x2, y2 = view.grid.crop_px
    assert view.gray.shape[0] == pytest.approx((y2 - y1) * spacing[0] / grid_mm, abs=0.5)
    assert view.gray.shape[1] == pytest.approx((x2 - x1) * spacing[1] / grid_mm, abs=0.5)


def halved(frame, reduce):
    """The frame as a codec gives it with some levels left out: sample i is centred on pixel 2**reduce * i."""
    step = 1 << reduce
    blurred = cv2.GaussianBlur(frame.stored, (0, 0), 0.4 * step)
    return replace(frame, stored=np.ascontiguousarray(blurred[::step, ::step]), reduce=reduce)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("reduce", [1, 2])
def test_a_frame_of_lower_resolution_gives_the_same_view_and_the_same_place(reduce, side):
    whole = film(side=side, rows=901, columns=703)

    full, low = (normalise(frame, SPACING, 0.8) for frame in (whole, halved(whole, reduce)))

    tolerance = 5.0  # a pixel of the segmentation's grid is 4 stored pixels
    np.testing.assert_allclose(low.grid.crop_px, full.grid.crop_px, atol=tolerance)
    np.testing.assert_allclose(low.landmarks.nipple_px, full.landmarks.nipple_px, atol=2 * tolerance)
    box = [[10.0, 20.0, 40.0, 60.0]]
    np.testing.assert_allclose(low.grid.to_native(box), full.grid.to_native(box), atol=tolerance)


@pytest.mark.parametrize(("reduce", "shift"), [(0, 0.0), (1, -0.5), (2, -1.5)])
def test_a_spot_is_told_where_it_is_at_any_resolution(reduce, shift):
    """A spot drawn on one sample lies where that sample's stored pixels lie."""
    frame = film()
    step = 1 << reduce
    low = frame.stored[::step, ::step].copy()
    row, column = 400 // step, 60 // step
    low[row, column] = 65535
    low = np.ascontiguousarray(low)

    view = normalise(framed(low, size_px=Size(900, 700), reduce=reduce), SPACING, 0.2)

    spot_y, spot_x = np.nonzero(view.gray == view.gray.max())
    x1, y1, x2, y2 = view.grid.to_native([[spot_x[0], spot_y[0], spot_x[-1] + 1, spot_y[-1] + 1]])[0]
    centre = (column * step + shift + step / 2, row * step + shift + step / 2)
    assert ((x1 + x2) / 2, (y1 + y2) / 2) == pytest.approx(centre, abs=1.0)


@pytest.mark.parametrize(("side", "declared"), [("left", "P"), ("right", "A")])
def test_a_view_that_lies_otherwise_than_its_header_says_is_refused(side, declared):
    with pytest.raises(GeometryError, match="left/right swap") as caught:
        normalise(replace(film(side=side), orientation=(declared, "F")), SPACING, 0.4)

    assert caught.value.reason is Reason.SIDE_CONTRADICTED


@pytest.mark.parametrize(("side", "declared"), [("left", "A"), ("right", "P")])
def test_a_view_that_lies_as_its_header_says_is_used(side, declared):
    view = normalise(replace(film(side=side), orientation=(declared, "F")), SPACING, 0.4)

    assert view.grid.mirrored == (side == "right")


def test_where_the_chest_wall_cannot_be_seen_the_header_is_believed():
    y, x = np.mgrid[:900, :700]
    inside = ((y - 450) / 300) ** 2 + ((x - 350) / 200) ** 2 < 1  # no edge cuts it
    gray = np.where(inside, 25000 + 12000 * np.sin(x / 23.0), 300)

    mirrored = {d: normalise(framed(gray, orientation=(d, "F")), SPACING, 0.4).grid.mirrored for d in "AP"}

    assert mirrored == {"A": False, "P": True}


def test_an_image_that_uses_little_of_its_range_is_segmented_all_the_same():
    bright = film(label=True)
    dim = framed(bright.stored // 64)

    crops = [normalise(frame, SPACING, 0.4).grid.crop_px for frame in (bright, dim)]

    np.testing.assert_allclose(crops[1], crops[0], atol=8)


def test_nothing_thick_enough_is_no_breast():
    gray = np.full((900, 700), 300, dtype=np.uint16)
    gray[100:130, 300:500] = 50000

    with pytest.raises(GeometryError) as caught:
        normalise(framed(gray), SPACING, 0.4)

    assert caught.value.reason is Reason.NO_BREAST


@pytest.mark.parametrize("spacing", [SPACING, (0.02, 0.02)], ids=str)
@pytest.mark.parametrize("shape", [(1, 2), (2, 1), (40, 900), (900, 40)], ids=str)
def test_an_image_smaller_than_any_breast_holds_none(shape, spacing):
    gray = np.arange(shape[0] * shape[1], dtype=np.uint16).reshape(shape)

    with pytest.raises(GeometryError, match="a breast takes at least") as caught:
        normalise(framed(gray), spacing, 0.4)

    assert caught.value.reason is Reason.NO_BREAST


def test_tissue_of_one_gray_is_blank():
    y, x = np.mgrid[:900, :700]
    gray = np.where(((y - 450) / 300) ** 2 + (x / 300) ** 2 < 1, 30000, 300)

    with pytest.raises(GeometryError, match="percentiles") as caught:
        normalise(framed(gray), SPACING, 0.4)

    assert caught.value.reason is Reason.BLANK_IMAGE
