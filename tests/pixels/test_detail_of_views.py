"""The detail that a view keeps shows what its canvas shows, at the same place."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from mammosweep.geometry import Size
from mammosweep.pixels.frame import Frame
from mammosweep.pixels.normalise import normalise
from mammosweep.pixels.photometry import identity_table

SQUARE = (0.2, 0.2)
GRID_MM = 0.8
SIDE_PX = 48


def film(side: str) -> Frame:
    """A half ellipse of textured tissue, 120 mm high and 60 mm deep in square pixels of 0.2 mm."""
    y, x = np.mgrid[:901, :703]
    distance = x if side == "left" else 702 - x
    inside = ((y - 450) / 300) ** 2 + (distance / 300) ** 2 < 1
    gray = np.where(inside, 25000 + 12000 * np.sin(x / 23.0) * np.cos(y / 31.0), 300).astype(np.uint16)
    return Frame(stored=gray, table=identity_table(16), size_px=Size(*gray.shape))


def halved(frame: Frame) -> Frame:
    """The frame with one level of its wavelet transform left out."""
    blurred = cv2.GaussianBlur(frame.stored, (0, 0), 0.8)
    return replace(frame, stored=np.ascontiguousarray(blurred[::2, ::2]), reduce=1)


def flattened(frame: Frame) -> Frame:
    """Every second row left out: pixels that are twice as high as wide."""
    blurred = cv2.blur(frame.stored, (1, 2))
    stored = np.ascontiguousarray(blurred[::2])
    return replace(frame, stored=stored, size_px=Size(*stored.shape))


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(
    ("made", "spacing"),
    [(lambda f: f, SQUARE), (halved, SQUARE), (flattened, (0.4, 0.2))],
    ids=["whole", "half the resolution", "oblong pixels"],
)
def test_a_crop_on_the_networks_grid_is_what_the_canvas_shows_there(made, spacing, side):
    view = normalise(made(film(side)), spacing, GRID_MM, keep_detail=True)
    top, left = 40, 10
    box = [[left, top, left + SIDE_PX, top + SIDE_PX]]

    crop = view.detail.crop(tuple(view.grid.to_native(box)[0]), SIDE_PX * GRID_MM, SIDE_PX)

    canvas = view.gray[top : top + SIDE_PX, left : left + SIDE_PX]
    assert np.abs(crop - canvas).max() < 0.1  # of a gray that spans 1; edges are a stored pixel off at most
    assert np.corrcoef(crop.ravel(), canvas.ravel())[0, 1] > 0.995


def test_a_view_keeps_no_detail_that_nobody_asked_for():
    assert normalise(film("left"), SQUARE, GRID_MM).detail is None


def test_detail_is_a_copy_that_outlives_its_frame():
    frame = film("right")
    view = normalise(frame, SQUARE, GRID_MM, keep_detail=True)
    box = tuple(view.grid.to_native([[20.0, 50.0, 40.0, 70.0]])[0])
    before = view.detail.crop(box, 16.0, 40)

    frame.stored[:] = 0
    frame.table[:] = 0

    np.testing.assert_array_equal(view.detail.crop(box, 16.0, 40), before)
    assert view.detail.stored.flags.c_contiguous


def test_rows_coarser_and_columns_finer_than_the_crop_are_each_resampled_as_they_need():
    """Stripes finer than the crop's pixels across, in an image coarser than it down, average out."""
    view = normalise(film("left"), SQUARE, GRID_MM, keep_detail=True)
    stored = np.full((100, 800), 20000, np.uint16)
    stored[:, ::4] = 40000
    striped = replace(
        view.detail, stored=stored, pixel_mm=(0.4, 0.05), rectangle_px=(0.0, 0.0, 800.0, 100.0),
        gray_low=20000 / 65535, gray_high=40000 / 65535,
    )  # fmt: skip

    crop = striped.crop((300.0, 40.0, 500.0, 60.0), side_mm=16.0, side_px=80)

    np.testing.assert_allclose(crop, 0.25, atol=0.02)
