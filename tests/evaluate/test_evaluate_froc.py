from __future__ import annotations

import math

import numpy as np
import pytest

from mammosweep.evaluate import ImageDetections, ImageTruth, froc
from mammosweep.evaluate.boxes import centres_inside, iou_matrix
from mammosweep.records import LesionType

MASS, CALCIFICATION = LesionType.MASS, LesionType.CALCIFICATION
LESION, ELSEWHERE, SECOND = (10, 10, 20, 20), (50, 50, 60, 60), (80, 80, 90, 90)


def marks(*boxes_scores, types=None):
    boxes, scores = [b for b, _ in boxes_scores], [s for _, s in boxes_scores]
    return ImageDetections(boxes_px=boxes, scores=scores, types=types or [MASS] * len(boxes))


def truth(*boxes, group="a", types=None):
    return ImageTruth(group=group, boxes_px=boxes, types=types or [MASS] * len(boxes))


def sensitivities(curve):
    return [point.sensitivity for point in curve.points]


def test_sensitivity_at_each_rate_is_as_counted_by_hand():
    detections = [
        marks((LESION, 0.9), (ELSEWHERE, 0.8)),
        marks((LESION, 0.5), (ELSEWHERE, 0.6)),
        marks((ELSEWHERE, 0.3), (LESION, 0.2)),
        marks(),
    ]
    truths = [truth(LESION), truth(LESION), truth(LESION), truth()]

    curve = froc(detections, truths, rates=(0, 0.25, 0.5, 0.75), num_bootstraps=10).overall

    assert (curve.num_images, curve.num_lesions) == (4, 3)
    assert sensitivities(curve) == [1 / 3, 1 / 3, 2 / 3, 1.0]
    assert [point.score_above for point in curve.points] == [0.8, 0.6, 0.3, -math.inf]
    assert curve.at(0.5).sensitivity == 2 / 3


def test_false_positives_of_one_score_count_together():
    detections = [marks((ELSEWHERE, 0.5), (SECOND, 0.5), (LESION, 0.4))]

    curve = froc(detections, [truth(LESION)], rates=(1, 2), num_bootstraps=0).overall

    assert sensitivities(curve) == [0.0, 1.0]


def test_a_lesion_that_scores_as_a_false_positive_too_many_is_not_found():
    detections = [marks((ELSEWHERE, 0.5), (LESION, 0.5))]

    assert sensitivities(froc(detections, [truth(LESION)], rates=(0.5, 1), num_bootstraps=0).overall) == [
        0,
        1,
    ]


def test_a_second_mark_on_a_lesion_is_neither_a_hit_nor_false():
    detections = [marks((LESION, 0.9), (LESION, 0.8), (SECOND, 0.1))]

    curve = froc(detections, [truth(LESION, SECOND)], rates=(0,), num_bootstraps=0).overall

    assert sensitivities(curve) == [1.0]


def test_iou_asks_for_more_than_a_centre():
    detections = [marks(((14, 14, 16, 16), 0.9))]

    by_centre = froc(detections, [truth(LESION)], rates=(1,), num_bootstraps=0)
    by_overlap = froc(detections, [truth(LESION)], iou=0.3, rates=(1,), num_bootstraps=0)

    assert (sensitivities(by_centre.overall), sensitivities(by_overlap.overall)) == ([1.0], [0.0])


def test_by_type_the_false_positives_of_all_types_count_unless_types_matter():
    detections = [marks((ELSEWHERE, 0.9), (LESION, 0.8), (SECOND, 0.7), types=[MASS, MASS, MASS])]
    truths = [truth(LESION, SECOND, types=[MASS, CALCIFICATION])]

    agnostic = froc(detections, truths, rates=(0, 1), num_bootstraps=0)
    aware = froc(detections, truths, type_aware=True, rates=(0, 1), num_bootstraps=0)

    assert set(agnostic.by_type) == {MASS, CALCIFICATION}
    assert sensitivities(agnostic.by_type[MASS]) == [0, 1]
    assert sensitivities(agnostic.by_type[CALCIFICATION]) == [0, 1]
    assert sensitivities(aware.overall) == [0, 0.5]
    assert sensitivities(aware.by_type[MASS]) == [0, 1]
    assert sensitivities(aware.by_type[CALCIFICATION]) == [0, 0]
    assert aware.by_type[CALCIFICATION].at(0).score_above == -math.inf


def random_images(num_groups):
    rng = np.random.default_rng(4)
    detections, truths = [], []
    for group in range(num_groups):
        for _ in range(2):
            scores = rng.random(3)
            detections.append(marks((LESION, scores[0]), (ELSEWHERE, scores[1]), (SECOND, scores[2])))
            truths.append(truth(LESION, group=f"{group}"))
    return detections, truths


def test_the_interval_holds_the_figure_and_is_repeatable():
    images = random_images(20)

    one, other = (froc(*images, num_bootstraps=200, seed=3).overall for _ in range(2))

    assert one == other
    assert all(0 <= p.low <= p.sensitivity <= p.high <= 1 for p in one.points)
    assert one.at(0.5).low < one.at(0.5).high


def test_images_of_one_group_are_drawn_together():
    detections = [marks((LESION, 0.9)), marks()]

    one_group = froc(detections, [truth(LESION), truth(LESION)], rates=(1,), seed=0).overall.at(1)
    two_groups = froc(
        detections, [truth(LESION, group="a"), truth(LESION, group="b")], rates=(1,), seed=0
    ).overall.at(1)

    assert (one_group.low, one_group.sensitivity, one_group.high) == (0.5, 0.5, 0.5)
    assert (two_groups.low, two_groups.sensitivity, two_groups.high) == (0.0, 0.5, 1.0)


def test_without_lesions_there_is_no_sensitivity():
    result = froc([marks((ELSEWHERE, 0.5))], [truth()], num_bootstraps=5)

    assert result.by_type == {}
    assert all(math.isnan(value) for p in result.overall.points for value in (p.sensitivity, p.low, p.high))


def test_without_detections_nothing_is_found():
    assert sensitivities(froc([marks()], [truth(LESION)], num_bootstraps=5).overall) == [0.0] * 5


@pytest.mark.parametrize(("num_found", "num_true"), [(0, 0), (1, 2), (1, 0)])
def test_lists_that_do_not_go_together_are_refused(num_found, num_true):
    with pytest.raises(ValueError, match="expected one of each for every image"):
        froc([marks()] * num_found, [truth()] * num_true)


def test_a_centre_on_the_edge_is_inside():
    inside = centres_inside([(0, 0, 20, 20), (0, 0, 19, 20)], [LESION, ELSEWHERE])

    assert inside.tolist() == [[True, False], [False, False]]


def test_iou_is_as_computed_by_hand():
    iou = iou_matrix([(0, 0, 10, 10), (5, 5, 5, 5)], [(5, 0, 15, 10), (0, 0, 10, 10), (5, 5, 5, 5)])

    np.testing.assert_allclose(iou, [[1 / 3, 1.0, 0.0], [0.0, 0.0, 0.0]])
