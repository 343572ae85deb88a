"""Chest wall and nipple, read off an outline; and what the header says of them."""

from __future__ import annotations

import numpy as np
import pytest

from mammosweep.errors import GeometryError, Reason
from mammosweep.geometry import Size
from mammosweep.phantom import PhantomConfig, make_exam
from mammosweep.pixels.frame import Frame
from mammosweep.pixels.normalise import normalise
from mammosweep.pixels.orientation import (
    CONFIDENT,
    ChestWall,
    check_side,
    declared_right,
    find_chest_wall,
    find_nipple,
)
from mammosweep.pixels.photometry import identity_table
from mammosweep.records import Laterality

MM = 0.8


def outline(*, right=False, gap=0, nipple_row=None, size=(290, 220)):
    """A half ellipse at a side's edge or ``gap`` pixels off it, with a nipple where one is asked for."""
    y, x = np.mgrid[: size[0], : size[1]]
    mask = ((y - 140) / 90) ** 2 + ((x - gap) / 80) ** 2 < 1
    mask[:, :gap] = False
    if nipple_row is not None:
        mask |= ((y - nipple_row) / 6) ** 2 + ((x - gap - 80) / 7) ** 2 < 1
    return mask[:, ::-1] if right else mask


@pytest.mark.parametrize("right", [False, True], ids=["left", "right"])
def test_the_chest_wall_is_at_the_edge_that_cuts_the_breast(right):
    wall = find_chest_wall(outline(right=right), MM)

    assert wall == ChestWall(right=right, confidence=1.0)


def test_a_breast_off_the_edge_leaves_doubt_about_its_chest_wall():
    wall = find_chest_wall(outline(gap=40), MM)

    assert not wall.right
    assert wall.confidence < CONFIDENT


@pytest.mark.parametrize("right", [False, True], ids=["left", "right"])
@pytest.mark.parametrize("row", [125, 140, 160])
def test_a_nipple_in_profile_is_found_where_it_stands_out(row, right):
    mask = outline(right=right, nipple_row=row)

    nipple = find_nipple(mask, find_chest_wall(mask, MM), MM)

    assert nipple.xy[1] == pytest.approx(row + 0.5, abs=2)
    assert nipple.xy[0] == pytest.approx(220 - 86 if right else 86, abs=3)
    assert nipple.confidence > 0.5


def test_a_flat_outline_leaves_doubt_about_the_nipple():
    mask = np.zeros((290, 220), dtype=bool)
    mask[40:240, :80] = True

    assert find_nipple(mask, find_chest_wall(mask, MM), MM).confidence == 0.0


def test_an_arm_at_the_upper_edge_is_not_searched_for_the_nipple():
    mask = outline()
    mask[:20, :200] = True
    mask[:140, :40] = True

    nipple = find_nipple(mask, find_chest_wall(mask, MM), MM)

    assert nipple.xy[1] > 100


@pytest.mark.parametrize("index", range(3))
def test_the_phantoms_nipples_are_found_within_6_mm(index):
    exam = make_exam(3, index, PhantomConfig(spacing_mm=0.4))

    for view in exam.views:
        frame = Frame(stored=view.pixels, table=identity_table(12), size_px=Size(*view.pixels.shape))
        seen = normalise(frame, (0.4, 0.4), 0.4)
        assert seen.grid.mirrored == (view.laterality is Laterality.RIGHT)
        # The truth is where the nipple begins, 4 mm from its tip.
        assert np.hypot(*np.subtract(seen.landmarks.nipple_px, view.nipple_px)) * 0.4 < 6.0


@pytest.mark.parametrize(
    ("orientation", "right"),
    [(("A", "R"), False), (("P", "FL"), True), (("AF", "R"), False), (("R", "P"), None), (("", ""), None)],
    ids=str,
)
def test_patient_orientation_says_where_the_chest_wall_is(orientation, right):
    assert declared_right(orientation) is right


def test_tissue_on_the_other_side_than_declared_is_a_possible_swap():
    with pytest.raises(GeometryError, match="possible left/right swap") as caught:
        check_side(ChestWall(right=True, confidence=1.0), ("A", "R"))

    assert caught.value.reason is Reason.SIDE_CONTRADICTED
    assert "Patient Orientation (0020,0020) 'A' puts it at the left" in str(caught.value)


@pytest.mark.parametrize(
    ("wall", "orientation"),
    [
        (ChestWall(right=False, confidence=1.0), ("A", "R")),
        (ChestWall(right=True, confidence=0.3), ("A", "R")),
        (ChestWall(right=True, confidence=1.0), ("L", "F")),
        (ChestWall(right=True, confidence=1.0), None),
    ],
    ids=["as declared", "in doubt", "declared otherwise", "not declared"],
)
def test_nothing_is_said_where_nothing_contradicts(wall, orientation):
    check_side(wall, orientation)
