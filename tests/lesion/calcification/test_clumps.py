from __future__ import annotations

import cv2
import numpy as np
import pytest

from mammosweep.lesion.calcification.clumps import take_apart


def contrast_of(*rods, side=120):
    """(side, side) of rods with round ends: centre (row, column), length and width in pixels, degrees."""
    drawn = np.zeros((side, side), dtype=np.float32)
    y, x = np.indices(drawn.shape)
    for (row, column), (length, width), degrees in rods:
        cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        along, across = (x - column) * cos + (y - row) * sin, (y - row) * cos - (x - column) * sin
        far = np.hypot(np.clip(np.abs(along) - (length - width) / 2, 0, None), across)
        drawn = np.maximum(drawn, np.clip(width / 2 - far + 0.5, 0, 1))
    return cv2.GaussianBlur(drawn.astype(np.float32), (0, 0), 1.0)


def grainy(rng, contrast):
    return contrast + rng.normal(0, 0.01, contrast.shape).astype(np.float32)


def taken_apart(contrast):
    return take_apart(contrast > 0.5, contrast)


def test_a_mask_without_anything_has_no_pieces():
    assert taken_apart(np.zeros((20, 20), np.float32)) == []


def test_rods_of_any_length_and_direction_are_one():
    rng = np.random.default_rng(3)
    found = []
    for _ in range(40):
        length, width = rng.uniform(8, 18) * np.array([1, rng.uniform(0.4, 1)])
        rod = (rng.uniform(60, 61, 2), (length, width), rng.uniform(0, 180))
        found.append(taken_apart(grainy(rng, contrast_of(rod))))

    assert sum(len(pieces) == 1 for pieces in found) >= 38
    assert all(piece.stands_for == 1 for pieces in found for piece in pieces)


def test_discs_that_touch_are_told_apart_and_keep_their_size():
    rng = np.random.default_rng(4)
    found = []
    for _ in range(40):
        towards = rng.normal(0, 1, 2)
        reach = 5 * 0.98 * towards / np.linalg.norm(towards)
        discs = [(rng.uniform(60, 61, 2) + way * reach, (10, 10), 0) for way in (-1, 1)]
        found.append(taken_apart(grainy(rng, contrast_of(*discs))))

    assert sum(len(pieces) == 2 for pieces in found) >= 35
    areas = [len(piece.pixels) for pieces in found for piece in pieces if len(pieces) == 2]
    assert 2 * np.sqrt(np.mean(areas) / np.pi) == pytest.approx(10, rel=0.05)


def test_the_parts_of_a_clump_are_all_of_it_and_share_nothing():
    contrast = contrast_of(((60, 50), (28, 10), 20), ((64, 60), (28, 10), 80), ((52, 66), (18, 10), 140))

    parts = np.concatenate([piece.pixels for piece in taken_apart(contrast)])

    assert sorted(map(tuple, parts.tolist())) == sorted(map(tuple, np.argwhere(contrast > 0.5).tolist()))


def test_a_crowd_stands_for_more_than_is_seen_of_it():
    rng = np.random.default_rng(1)
    lone = [((12, 15 + 20 * k), (8, 8), 0) for k in range(5)]
    crowd = [((r, c), (8, 8), 0) for r, c in rng.uniform([70, 45], [90, 75], (20, 2))]

    alone, together = taken_apart(contrast_of(*lone)), taken_apart(contrast_of(*lone, *crowd))

    assert [piece.stands_for for piece in alone] == [1] * 5
    seen = len(together) - 5
    assert seen < 20
    assert seen < sum(piece.stands_for for piece in together) - 5 <= 25
