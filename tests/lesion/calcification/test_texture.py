from __future__ import annotations

import numpy as np
import pytest

from mammosweep.lesion.calcification.texture import co_occurrence, haralick


def test_pairs_are_those_of_haralicks_own_example():
    # Haralick 1973, figure 3: a 4 x 4 image of four levels. Its matrices for 0, 90, 135 and 45 degrees are
    # printed there; here they are one, so their sum is expected.
    image = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 2, 2, 2], [2, 2, 3, 3]])
    horizontal = np.array([[4, 2, 1, 0], [2, 4, 0, 0], [1, 0, 6, 1], [0, 0, 1, 2]])
    vertical = np.array([[6, 0, 2, 0], [0, 4, 2, 0], [2, 2, 2, 2], [0, 0, 2, 0]])
    falling = np.array([[2, 1, 3, 0], [1, 2, 1, 0], [3, 1, 0, 2], [0, 0, 2, 0]])
    rising = np.array([[4, 1, 0, 0], [1, 2, 2, 0], [0, 2, 4, 1], [0, 0, 1, 0]])
    expected = horizontal + vertical + falling + rising

    shares = co_occurrence(image, np.ones((4, 4), dtype=bool), 4)

    np.testing.assert_allclose(shares * expected.sum(), expected)


def test_pixels_beyond_the_mask_do_not_count():
    image = np.array([[0, 1, 3], [0, 1, 3]])
    mask = np.array([[True, True, False], [True, True, False]])

    shares = co_occurrence(image, mask, 4)

    assert shares[3].sum() == 0
    assert shares.sum() == pytest.approx(1)


def test_a_chequered_pattern_differs_from_a_gradient_as_expected():
    mask = np.ones((32, 32), dtype=bool)
    chequered = haralick((np.indices((32, 32)).sum(axis=0) % 2).astype(np.float32), mask)
    gradient = haralick(np.tile(np.linspace(0, 1, 32, dtype=np.float32), (32, 1)), mask)

    assert chequered["mass_texture_contrast"] > 50 * gradient["mass_texture_contrast"]
    assert chequered["mass_texture_entropy"] < gradient["mass_texture_entropy"]
    assert gradient["mass_texture_correlation"] > 0.95


def test_gray_that_is_all_alike_has_no_texture():
    assert all(np.isnan(list(haralick(np.ones((4, 4), np.float32), np.ones((4, 4), bool)).values())))
