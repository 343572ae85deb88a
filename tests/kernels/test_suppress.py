"""Suppression: what it is, and that the CPU path is that."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mammosweep_kernels import suppress
from mammosweep_kernels.suppress.reference import suppress_reference

CORNERS = st.tuples(*[st.integers(0, 12)] * 4).map(
    lambda c: (*map(min, c[:2], c[2:]), *map(max, c[:2], c[2:]))
)
GROUPS = st.lists(st.tuples(CORNERS, st.booleans()), min_size=1, max_size=30)
IOUS = st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7, 1.0])


def overlap(a, b):
    """Intersection over union of two boxes; 0 where neither has an area."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (a, b)]
    union = sum(areas) - width * height
    return width * height / union if union else 0.0


def suppressed(group, iou):
    """Boxes that are kept and valid boxes that are not, each with its place in the group."""
    boxes, valid = torch.tensor([[box for box, _ in group]]).float(), torch.tensor([[v for _, v in group]])
    keep = suppress(boxes, valid, iou)[0].tolist()
    kept = [(place, box) for place, (box, _) in enumerate(group) if keep[place]]
    dropped = [(place, box) for place, (box, there) in enumerate(group) if there and not keep[place]]
    assert not any(keep[place] for place, (_, there) in enumerate(group) if not there)
    return kept, dropped


def test_the_cpu_suppression_is_the_reference_in_every_box(suppress_case):
    keep = suppress(*suppress_case.inputs(), suppress_case.iou)

    assert keep.dtype == torch.bool
    assert torch.equal(keep, suppress_reference(*suppress_case.inputs(), suppress_case.iou))


@settings(max_examples=200, deadline=None)
@given(group=GROUPS, iou=IOUS)
def test_no_two_boxes_that_are_kept_overlap_too_much(group, iou):
    kept, _ = suppressed(group, iou)

    boxes = [box for _, box in kept]
    # a float64 above the bound may be a float32 at it
    assert all(overlap(a, b) <= iou + 1e-7 for i, a in enumerate(boxes) for b in boxes[:i])


@settings(max_examples=200, deadline=None)
@given(group=GROUPS, iou=IOUS)
def test_every_box_that_is_dropped_overlaps_too_much_with_a_stronger_one_that_is_kept(group, iou):
    kept, dropped = suppressed(group, iou)

    for place, box in dropped:
        assert any(stronger < place and overlap(other, box) > iou - 1e-7 for stronger, other in kept)


@settings(max_examples=50, deadline=None)
@given(groups=st.lists(st.lists(CORNERS, min_size=7, max_size=7), min_size=2, max_size=5), iou=IOUS)
def test_a_group_does_not_hear_of_the_others(groups, iou):
    boxes = torch.tensor(groups).float()
    valid = torch.ones(boxes.shape[:2], dtype=torch.bool)

    together = suppress(boxes, valid, iou)

    alone = [suppress(boxes[g : g + 1], valid[g : g + 1], iou) for g in range(len(groups))]
    assert torch.equal(together, torch.cat(alone))


def test_the_first_of_equal_boxes_is_kept():
    boxes = torch.tensor([2.0, 3.0, 7.0, 9.0]).expand(1, 4, 4)
    valid = torch.tensor([[False, True, True, True]])

    assert suppress(boxes, valid, 0.9).tolist() == [[False, True, False, False]]


def test_a_box_that_was_dropped_drops_none():
    row = torch.tensor([[[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]]]).float()

    assert suppress(row, torch.ones(1, 3, dtype=torch.bool), 0.4).tolist() == [[True, False, True]]


def test_what_it_is_given_is_left_as_it_was(suppress_case):
    boxes, valid = suppress_case.inputs()
    before = boxes.clone(), valid.clone()

    suppress(boxes, valid, suppress_case.iou)

    torch.testing.assert_close((boxes, valid), before, rtol=0, atol=0, equal_nan=True)


THREE = {"boxes": torch.zeros(2, 3, 4), "valid": torch.ones(2, 3, dtype=torch.bool), "iou": 0.5}


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"boxes": torch.zeros(2, 3, 4).double()}, TypeError, "boxes are torch.float64"),
        ({"valid": torch.ones(2, 3)}, TypeError, "valid torch.float32"),
        ({"boxes": torch.zeros(3, 4)}, ValueError, r"boxes are \(3, 4\); expected \(G, K, 4\)"),
        ({"boxes": torch.zeros(2, 3, 5)}, ValueError, r"expected \(G, K, 4\)"),
        (
            {"valid": torch.ones(2, 4, dtype=torch.bool)},
            ValueError,
            r"valid is \(2, 4\) on cpu; expected \(2, 3\)",
        ),
        ({"iou": 1.5}, ValueError, "iou is 1.5; expected a number from 0 to 1"),
        ({"iou": float("nan")}, ValueError, "iou is nan"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_cannot_be_suppressed_is_refused_in_one_sentence(change, error, sentence):
    with pytest.raises(error, match=sentence):
        suppress(**(THREE | change))
