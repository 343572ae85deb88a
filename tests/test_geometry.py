"""The way to network pixels and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammosweep.geometry import PixelGrid, Size, clipped

pixel = st.floats(-1.5, 4000)
side = st.integers(1, 4000)


@st.composite
def grids(draw):
    x, y, width, height = draw(pixel), draw(pixel), draw(side), draw(side)
    return PixelGrid(
        crop_px=(x, y, x + width, y + height),
        net_size=Size(draw(side), draw(side)),
        mirrored=draw(st.booleans()),
    )


@given(grids(), st.lists(st.tuples(*[st.floats(-5000, 5000)] * 4), max_size=4))
def test_boxes_come_back_to_where_they_were(grid, boxes):
    back = grid.to_native(grid.to_network(boxes))

    np.testing.assert_allclose(back, np.asarray(boxes, dtype=float).reshape(-1, 4), atol=1e-6)


@given(grids())
def test_the_crop_becomes_the_whole_canvas(grid):
    whole = grid.to_network([grid.crop_px])

    np.testing.assert_allclose(whole, [[0, 0, grid.net_size.columns, grid.net_size.rows]], atol=1e-6)


def test_mirroring_swaps_left_and_right_and_keeps_x1_below_x2():
    grid = PixelGrid(crop_px=(100, 0, 300, 100), net_size=Size(50, 100), mirrored=True)

    assert grid.to_network([[100, 10, 120, 20]])[0] == pytest.approx([90, 5, 100, 10])


def test_boxes_that_pass_the_images_edge_are_cut_off_there():
    boxes = clipped(
        np.array([[-1.5, -0.5, 20.0, 30.0], [90.0, 40.0, 100.5, 52.5]]), Size(rows=50, columns=100)
    )

    assert boxes.tolist() == [[0, 0, 20, 30], [90, 40, 100, 50]]
