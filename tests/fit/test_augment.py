"""Augmentation: boxes go where their lesion goes."""

from __future__ import annotations

import numpy as np
import pytest

from mammosweep.fit.augment import Augmentation, augmented
from mammosweep.pixels.normalise import GRAY_RANGE

GRID_MM = 0.3
EVERYTHING = Augmentation(
    scale=(0.75, 1.33), stretch=0.15, rotation_degrees=20, bend_mm=1.5, gain=(0.8, 1.25), shift=0.1,
    gamma=(0.75, 1.33), noise=0.04, blur_px=1.0,
)  # fmt: skip
SHAPE = (480, 320)


def square(box):
    gray = np.zeros(SHAPE, np.float32)
    x1, y1, x2, y2 = box
    gray[y1:y2, x1:x2] = GRAY_RANGE[1]
    return gray


@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation(),
        Augmentation(scale=(0.75, 1.33), stretch=0.15, rotation_degrees=20),
        Augmentation(scale=(0.75, 1.33), stretch=0.15, rotation_degrees=20, bend_mm=1.5),
    ],
    ids=["flips", "affine", "bent"],
)
def test_a_box_encloses_what_it_enclosed(augmentation):
    box = (130, 210, 190, 260)
    rng = np.random.default_rng(0)

    misses = []
    for _ in range(40):
        gray, boxes = augmented(square(box), np.array([box], np.float32), augmentation, GRID_MM, rng)
        rows, columns = np.nonzero(gray > GRAY_RANGE[1] / 2)
        seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        misses.append(np.abs(boxes[0] - seen).max())

    assert np.median(misses) < 1.0
    assert max(misses) < 4.0


def test_the_same_generator_draws_the_same_variant():
    box = np.array([[100, 100, 150, 150]], np.float32)
    one, two = (
        augmented(square((100, 100, 150, 150)), box, EVERYTHING, GRID_MM, np.random.default_rng(5))
        for _ in range(2)
    )

    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1], two[1])


def test_air_stays_air_and_gray_stays_in_its_range():
    gray = np.full(SHAPE, GRAY_RANGE[0], np.float32)
    gray[:, :100] = 0.5

    varied, boxes = augmented(
        gray, np.zeros((0, 4), np.float32), EVERYTHING, GRID_MM, np.random.default_rng(1)
    )

    assert varied.min() == GRAY_RANGE[0]
    assert varied.max() <= GRAY_RANGE[1]
    assert (varied == GRAY_RANGE[0]).mean() > 0.4
    assert boxes.shape == (0, 4)


def test_nothing_but_flips_is_nothing_but_flips():
    gray = np.random.default_rng(0).random(SHAPE).astype(np.float32)

    varied, _ = augmented(
        gray, np.zeros((0, 4), np.float32), Augmentation(), GRID_MM, np.random.default_rng(3)
    )

    flips = [gray, gray[::-1], gray[:, ::-1], gray[::-1, ::-1]]
    assert any(np.allclose(varied, flip, atol=1e-5) for flip in flips)


def test_a_scale_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"scale is \(0.0, 1.0\); expected two rising numbers above 0"):
        Augmentation(scale=(0.0, 1.0))
