from __future__ import annotations

import math
from dataclasses import replace

import pytest

from mammosweep.errors import BundleError
from mammosweep.exam.score import (
    Aggregation,
    CategoryThresholds,
    benign_score,
    breast_score,
    category_of,
    exam_category,
    exam_score,
)
from mammosweep.records import Position

BOTH = frozenset(Position)


@pytest.mark.parametrize(
    ("score", "category"),
    [
        (0.0, "2"),
        (math.nextafter(0.1, 0), "2"),
        (0.1, "3"),
        (math.nextafter(0.2, 0), "3"),
        (0.2, "4A"),
        (0.4, "4B"),
        (0.6, "4C"),
        (math.nextafter(0.8, 0), "4C"),
        (0.8, "5"),
        (1.0, "5"),
    ],
)
def test_a_bound_belongs_to_the_category_it_begins(score, category, thresholds):
    assert category_of(score, thresholds) == category


@pytest.mark.parametrize(
    "bounds",
    [
        (),
        (0.1, 0.2, 0.4, 0.6),
        (0.1, 0.2, 0.4, 0.6, 0.8, 0.9),
        (0.1, 0.2, 0.2, 0.6, 0.8),
        (0.2, 0.1, 0.4, 0.6, 0.8),
        (0.0, 0.2, 0.4, 0.6, 0.8),
        (0.1, 0.2, 0.4, 0.6, 1.0),
        (0.1, 0.2, math.nan, 0.6, 0.8),
    ],
    ids=["none", "too few", "too many", "equal", "falling", "from 0", "up to 1", "NaN"],
)
def test_thresholds_that_do_not_rise_between_0_and_1_are_refused(bounds):
    with pytest.raises(BundleError, match="expected 5 rising numbers between 0 and 1"):
        CategoryThresholds(bounds)


def test_max_is_the_most_malignant_lesion(lesion):
    lesions = [lesion(0.25, "CC"), lesion(0.75, "MLO"), lesion(0.5, "CC", "MLO")]

    assert breast_score(lesions, BOTH, Aggregation.MAX) == 0.75


def test_the_view_mean_averages_the_views_most_malignant_lesions(lesion):
    lesions = [lesion(0.25, "CC"), lesion(0.75, "MLO"), lesion(0.5, "CC", "MLO")]

    assert breast_score(lesions, BOTH, Aggregation.VIEW_MAX_BREAST_MEAN) == (0.5 + 0.75) / 2


def test_bundles_that_name_the_view_mean_as_it_was_called_are_read():
    assert Aggregation("view_mean") is Aggregation.VIEW_MAX_BREAST_MEAN
    with pytest.raises(ValueError, match="is not a valid Aggregation"):
        Aggregation("mean")


def test_the_benign_score_is_of_the_lesion_that_is_surest_there_and_not_malignant(lesion, finding):
    there = replace(lesion(0.25, "CC"), cc=finding("LCC", score=0.75))
    fainter = replace(lesion(0.0, "CC"), cc=finding("LCC", score=0.5))

    assert benign_score([there, fainter], BOTH) == 0.75 * 0.75
    assert benign_score([fainter], BOTH) == 0.5


def test_a_breast_is_benign_as_far_as_it_was_read():
    assert benign_score([], BOTH) == 0.0
    assert benign_score([], []) is None


def test_a_view_without_lesions_lowers_the_mean_only_if_it_was_read(lesion):
    lesions = [lesion(0.5, "CC")]

    assert breast_score(lesions, BOTH, Aggregation.VIEW_MAX_BREAST_MEAN) == 0.25
    assert breast_score(lesions, [Position.CC], Aggregation.VIEW_MAX_BREAST_MEAN) == 0.5


@pytest.mark.parametrize("aggregation", Aggregation)
def test_a_breast_read_and_found_clean_scores_0_and_one_not_read_has_no_score(aggregation):
    assert breast_score([], BOTH, aggregation) == 0.0
    assert breast_score([], [], aggregation) is None


@pytest.mark.parametrize(
    ("left", "right", "expected"), [(0.25, 0.5, 0.5), (0.5, 0.0, 0.5), (None, 0.25, 0.25), (0.0, None, 0.0)]
)
def test_the_exam_scores_as_its_worse_breast_that_was_read(left, right, expected):
    assert exam_score(left, right) == expected


def test_an_exam_without_views_has_no_score():
    with pytest.raises(ValueError, match="no view of either breast"):
        exam_score(None, None)


def test_an_exam_is_category_1_only_without_lesions(lesion, thresholds):
    assert exam_category(0.0, [], thresholds) == "1"
    assert exam_category(0.0, [lesion(0.0, "CC")], thresholds) == "2"
