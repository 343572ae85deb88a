"""Segmentation, the grid, and the 5/90/5 gray map."""

from __future__ import annotations

import numpy as np
import pytest

from mammosweep.errors import GeometryError, Reason
from mammosweep.pixels.decode import Frame
from mammosweep.pixels.normalise import GRAY_RANGE, normalise
from mammosweep.pixels.photometry import identity_table

SPACING = (0.2, 0.2)


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
    return Frame(gray.astype(np.uint16), identity_table(16))


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
    assert near == (4 if rubbish == "rim" else 0)
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


def test_nothing_thick_enough_is_no_breast():
    gray = np.full((900, 700), 300, dtype=np.uint16)
    gray[100:130, 300:500] = 50000

    with pytest.raises(GeometryError) as caught:
        normalise(Frame(gray, identity_table(16)), SPACING, 0.4)

    assert caught.value.reason is Reason.NO_BREAST


@pytest.mark.parametrize("shape", [(1, 2), (2, 1), (40, 900), (900, 40)], ids=str)
def test_an_image_smaller_than_any_breast_holds_none(shape):
    gray = np.arange(shape[0] * shape[1], dtype=np.uint16).reshape(shape)

    with pytest.raises(GeometryError, match="a breast takes at least") as caught:
        normalise(Frame(gray, identity_table(16)), SPACING, 0.4)

    assert caught.value.reason is Reason.NO_BREAST


def test_tissue_of_one_gray_is_blank():
    gray = np.full((900, 700), 300, dtype=np.uint16)
    gray[100:800, :400] = 30000

    with pytest.raises(GeometryError, match="percentiles") as caught:
        normalise(Frame(gray, identity_table(16)), SPACING, 0.4)

    assert caught.value.reason is Reason.BLANK_IMAGE
