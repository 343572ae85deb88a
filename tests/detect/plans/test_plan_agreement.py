"""Two detectors agree, or they do not: cases that can be counted by hand."""

from __future__ import annotations

import json

import pytest
import torch
from tests.detect.plans.networks import RESNET50

from mammosweep.config import Precision
from mammosweep.detect.detector import Candidates
from mammosweep.detect.plans.agreement import (
    TOLERANCES,
    Figures,
    Tolerance,
    allowed,
    compare,
    loosened,
)
from mammosweep.records import LESION_TYPES, LesionType

MASS, CALCIFICATION = 1, 2
FIRST = (100.0, 100.0, 200.0, 200.0)


def view(*found: tuple[tuple[float, float, float, float], int, float]) -> Candidates:
    """Candidates of one view: box, label, score."""
    boxes, labels, scores = zip(*found, strict=True) if found else ((), (), ())
    return Candidates(
        torch.tensor(boxes).reshape(-1, 4),
        torch.tensor(labels, dtype=torch.int64),
        torch.tensor(scores),
        torch.ones(len(found), dtype=torch.int64),
        torch.zeros(len(found), 8),
    )


def spread(num: int, *, score: float = 0.5, moved: float = 0.0, label: int = MASS) -> list:
    """Boxes of 100 pixels that do not touch each other."""
    return [((200.0 * i + moved, 0.0, 200.0 * i + 100 + moved, 100.0), label, score) for i in range(num)]


def test_the_same_candidates_agree_in_every_number_format():
    views = [view(*spread(5)), view(*spread(3, label=CALCIFICATION))]

    for precision in TOLERANCES:
        found = compare(views, views, precision)
        assert found.accepted
        assert found.figures.matched == 1
        assert (found.views, found.figures.reference, found.figures.largest) == (2, 8, 0)


def test_figures_are_counted_by_type():
    ours = [view(*spread(5), *spread(3, label=CALCIFICATION))]
    theirs = [view(*spread(5), *spread(3, label=CALCIFICATION, score=0.6))]

    by_type = compare(ours, theirs, Precision.FP16).by_type

    assert list(by_type) == [LesionType.CALCIFICATION, LesionType.MASS]
    assert by_type[LesionType.MASS].largest == 0
    assert by_type[LesionType.CALCIFICATION].largest == pytest.approx(0.1)
    assert by_type[LesionType.CALCIFICATION].mean == pytest.approx(0.1)


@pytest.mark.parametrize(("moved", "matched"), [(5.0, 1.0), (5.5, 0.0)], ids=["IoU 0.905", "IoU 0.896"])
def test_partners_overlap_by_nine_tenths(moved, matched):
    assert (
        compare([view(*spread(6))], [view(*spread(6, moved=moved))], Precision.FP16).figures.matched
        == matched
    )


def test_partners_are_of_one_type():
    found = compare([view(*spread(6))], [view(*spread(6, label=CALCIFICATION))], Precision.FP16)

    assert found.figures.matched == 0
    assert not found.accepted


def test_partners_are_in_one_view():
    found = compare([view(*spread(6)), view()], [view(), view(*spread(6))], Precision.FP16)

    assert (found.figures.reference_matched, found.figures.other_matched) == (0, 0)


def test_a_box_has_one_partner_the_one_that_overlaps_most():
    near, exact = ((101.0, 100.0, 201.0, 200.0), MASS, 0.9), (FIRST, MASS, 0.5)

    figures = compare([view((FIRST, MASS, 0.5))], [view(near, exact)], Precision.FP16).figures

    assert (figures.reference_matched, figures.other, figures.other_matched) == (1, 2, 1)
    assert figures.largest == 0


def test_a_box_that_only_one_of_them_finds_counts_on_its_side():
    figures = compare([view(*spread(9))], [view(*spread(10))], Precision.FP16).figures

    assert (figures.reference_matched, figures.reference) == (9, 9)
    assert (figures.other_matched, figures.other) == (9, 10)
    assert figures.matched == 0.9


def test_weak_boxes_are_not_compared_but_may_be_partners():
    weak, strong = spread(6, score=0.04), spread(6, score=0.06)

    assert compare([view(*weak)], [view()], Precision.FP16).figures.reference == 0
    figures = compare([view(*strong)], [view(*weak)], Precision.FP16).figures
    assert (figures.reference, figures.reference_matched, figures.other) == (6, 6, 0)
    assert figures.largest == pytest.approx(0.02)


@pytest.mark.parametrize("precision", TOLERANCES)
def test_a_plan_is_refused_for_one_score_that_is_too_far(precision):
    allowed = TOLERANCES[precision].score_difference
    ours, near, far = spread(20), spread(20), spread(20)
    near[7] = (*near[7][:2], 0.5 + 0.9 * allowed)
    far[7] = (*far[7][:2], 0.5 + 1.1 * allowed)

    assert compare([view(*ours)], [view(*near)], precision).accepted
    assert not compare([view(*ours)], [view(*far)], precision).accepted


@pytest.mark.parametrize("precision", [Precision.FP16, Precision.BF16, Precision.INT8])
def test_a_plan_is_refused_for_too_many_boxes_without_a_partner(precision):
    least = TOLERANCES[precision].matched
    some, fewer = int(200 * least) + 1, int(200 * least) - 1

    assert compare([view(*spread(200))], [view(*spread(some))], precision).accepted
    assert not compare([view(*spread(200))], [view(*spread(fewer))], precision).accepted


def test_scores_that_are_no_numbers_are_refused():
    found = compare([view(*spread(6))], [view(*spread(6, score=float("nan")))], Precision.FP16)

    assert not found.accepted


def test_too_few_boxes_say_nothing():
    found = compare([view(*spread(4))], [view(*spread(4))], Precision.FP32)

    assert not found.accepted
    assert "finds 4 boxes" in found.sentence
    assert "validation views" in found.sentence


def test_a_report_is_json_with_the_figures_and_what_is_allowed():
    found = compare([view(*spread(6))], [view(*spread(6, score=0.51))], Precision.FP16)

    said = json.loads(json.dumps(found.as_json()))

    assert said["accepted"] is True
    assert said["tolerance"] == {"matched": 0.99, "score_difference": 0.02}
    assert said["all"]["matched"] == 1
    assert said["by_type"]["mass"]["p99"] == pytest.approx(0.01, abs=1e-6)
    assert "6 of fp32 PyTorch's 6 boxes" in said["sentence"]


def test_what_is_compared_is_not_cut_off_by_the_bundles_own_limits():
    looser = loosened(RESNET50)

    assert looser.score_floor < 0.05
    assert looser.candidates_per_view > RESNET50.candidates_per_view
    assert looser.proposals == RESNET50.proposals


def test_labels_are_those_of_the_records():
    found = compare([view(*spread(5, label=len(LESION_TYPES)))], [view()], Precision.FP16)

    assert list(found.by_type) == [LESION_TYPES[-1]]


def test_a_plan_may_be_hardly_farther_from_fp32_than_pytorch_in_the_same_format():
    unsteady, steady = Figures(100, 90, 100, 92, largest=0.1), Figures(100, 100, 100, 100, largest=0.001)

    assert allowed(Precision.BF16, unsteady) == Tolerance(pytest.approx(0.85), pytest.approx(0.125))
    assert allowed(Precision.BF16, steady) == Tolerance(pytest.approx(0.95), 0.03)
    assert allowed(Precision.BF16, None) == TOLERANCES[Precision.BF16]
