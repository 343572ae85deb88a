from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from mammosweep.lesion.calcification import (
    CALCIFICATION_FEATURES,
    FEATURE_NAMES,
    MASS_FEATURES,
    measure,
    measured,
)
from mammosweep.lesion.calcification.cluster import elongation
from mammosweep.lesion.calcification.segment import segment_calcifications

CALCIFICATIONS = {feature.name for feature in CALCIFICATION_FEATURES}


@pytest.fixture(scope="module")
def tables(planted):
    return [measured(one.crop) for one in planted]


def tissue(rng, side=160):
    """A smooth background with noise, as gray."""
    smooth = cv2.GaussianBlur(rng.standard_normal((side, side)).astype(np.float32), (0, 0), 20)
    noise = rng.normal(0, 0.01, (side, side)).astype(np.float32)
    return np.asarray(0.35 + smooth + noise, dtype=np.float32)


def with_discs(gray, spacing_mm, places_mm, diameter_mm, contrast=0.3):
    y, x = (np.indices(gray.shape) + 0.5) * spacing_mm
    drawn = gray.copy()
    for row, column in places_mm:
        inside = diameter_mm / 2 - np.hypot(y - row, x - column)
        drawn += np.float32(contrast) * np.clip(inside / spacing_mm + 0.5, 0, 1).astype(np.float32)
    return drawn


def test_there_are_fifteen_features_of_calcifications_and_twenty_six_of_the_region():
    assert len(CALCIFICATION_FEATURES) == 15
    assert len(MASS_FEATURES) == 26
    assert len(set(FEATURE_NAMES)) == 41
    assert all(f.unit and f.meaning and f.source for f in (*CALCIFICATION_FEATURES, *MASS_FEATURES))


def test_counts_and_sizes_follow_those_planted(planted, tables):
    counts = [one.truth.num_calcifications for one in planted]
    sizes = [one.truth.calcification_mm for one in planted]

    assert np.corrcoef(counts, [t["count"] for t in tables])[0, 1] > 0.85
    assert np.corrcoef(sizes, [t["diameter_mean_mm"] for t in tables])[0, 1] > 0.85
    errors = [t["diameter_mean_mm"] - size for t, size in zip(tables, sizes, strict=True)]
    assert np.abs(errors).max() < 0.12


def test_every_finding_gets_every_feature_as_a_finite_float32(tables):
    for table in tables:
        assert tuple(table) == FEATURE_NAMES
        assert all(math.isfinite(value) and value == np.float32(value) for value in table.values())


def test_a_row_of_calcifications_is_told_from_a_round_cluster(planted, tables):
    by_word = {"clustered": [], "linear": []}
    for one, table in zip(planted, tables, strict=True):
        word = one.truth.lesion.distribution
        by_word.get(word, []).append(table["cluster_elongation"])

    assert min(by_word["linear"]) > max(by_word["clustered"])


@pytest.mark.parametrize("spacing_mm", [0.05, 0.07, 0.1, 0.15], ids="{} mm".format)
def test_discs_are_counted_and_sized_at_every_usual_spacing(spacing_mm):
    rng = np.random.default_rng(2)
    places = [(3, 3), (3, 6), (5, 4.5), (6, 7), (7, 3)]
    gray = with_discs(tissue(rng, round(10 / spacing_mm)), spacing_mm, places, 0.5)

    features = measure(gray, (spacing_mm, spacing_mm), (20, 20, 80, 80)).features

    assert features["count"] == 5
    assert features["diameter_mean_mm"] == pytest.approx(0.5, abs=0.06)
    assert features["area_mean_mm2"] == pytest.approx(math.pi * 0.0625, rel=0.25)
    assert features["circularity_mean"] > 0.8
    assert features["elongation_mean"] < 1.2
    assert features["contrast_mean"] == pytest.approx(0.27, abs=0.07)
    nearest = [math.sqrt(6.25), math.sqrt(6.25), math.sqrt(6.25), math.sqrt(7.25), math.sqrt(6.25)]
    assert features["nearest_distance_mean_mm"] == pytest.approx(np.mean(nearest), abs=0.1)


def test_pixels_that_are_not_square_change_little():
    places = [(3, 3), (3, 6), (5, 4.5), (6, 7), (7, 3)]
    fine = with_discs(tissue(np.random.default_rng(2), 200), 0.05, places, 0.5)
    flat = cv2.resize(fine, (100, 200), interpolation=cv2.INTER_AREA)

    square = measure(fine, (0.05, 0.05), (40, 40, 160, 160)).features
    oblong = measure(flat, (0.05, 0.1), (20, 40, 80, 160)).features

    for name in ("count", "diameter_mean_mm", "cluster_area_mm2", "mass_area_mm2"):
        assert oblong[name] == pytest.approx(square[name], rel=0.1), name


def test_two_discs_that_overlap_a_little_are_two():
    gray = with_discs(tissue(np.random.default_rng(3), 100), 0.1, [(5, 4), (5, 4.5)], 0.6)

    found = segment_calcifications(np.minimum(gray, 0.75), (0.1, 0.1))

    assert found is not None
    assert round(float(found.stands_for.sum())) == 2


def test_tissue_without_calcifications_has_none():
    found = measure(tissue(np.random.default_rng(4)), (0.1, 0.1), (20, 20, 140, 140))

    assert found.calcifications is None
    assert not CALCIFICATIONS & set(found.defined)


def test_pixels_above_a_fifth_of_a_millimetre_tell_the_region_only(planted):
    crop = planted[0].crop
    coarse = cv2.resize(crop.gray, None, fx=1 / 2.5, fy=1 / 2.5, interpolation=cv2.INTER_AREA)
    x1, y1, x2, y2 = (edge / 2.5 for edge in crop.box)

    found = measure(coarse, (0.25, 0.25), (x1, y1, x2, y2))

    assert found.calcifications is None
    assert set(found.defined) == {feature.name for feature in MASS_FEATURES}


@pytest.mark.parametrize(
    "gray",
    [np.full((1, 1), 0.5), np.full((40, 40), 0.5), np.zeros((3, 60))],
    ids=["one pixel", "all alike", "a strip of air"],
)
def test_a_crop_without_anything_has_no_features(gray):
    assert measure(gray.astype(np.float32), (0.1, 0.1), (0, 0, gray.shape[1], gray.shape[0])).defined == {}


def test_a_box_beyond_the_crop_is_measured_where_it_is_inside(planted):
    crop = planted[0].crop
    rows, columns = crop.gray.shape

    assert measured(replace(crop, box=(-30.0, -30.0, columns + 30.0, rows + 30.0)))["mass_area_mm2"] > 0


def test_a_disc_of_dense_tissue_is_measured_by_its_size_and_shape():
    y, x = (np.indices((160, 160)) + 0.5) * 0.1
    gray = tissue(np.random.default_rng(5)) * 0.3
    gray += 0.3 * (np.hypot(x - 8, y - 8) < 3)

    features = measure(gray.astype(np.float32), (0.1, 0.1), (30, 30, 130, 130)).features

    assert features["mass_area_mm2"] == pytest.approx(math.pi * 9, rel=0.1)
    assert features["mass_perimeter_mm"] == pytest.approx(math.pi * 6, rel=0.12)
    assert features["mass_diameter_mm"] == pytest.approx(6, abs=0.4)
    assert features["mass_circularity"] > 0.85
    assert features["mass_elongation"] == pytest.approx(1, abs=0.1)
    assert features["mass_solidity"] > 0.95
    assert features["mass_radius_std"] < 0.05
    assert features["mass_contrast"] == pytest.approx(0.3, abs=0.05)


def test_a_rectangle_is_as_elongated_as_its_sides():
    points = np.argwhere(np.ones((10, 30))).astype(np.float64)

    assert elongation(points, 1 / 12) == pytest.approx(3)
