from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from mammosweep.report.labels import Rect, place_labels

FILM = Rect(0, 0, 900, 1600)
BOXES = st.lists(
    st.builds(Rect, st.floats(0, 800), st.floats(0, 1500), st.floats(5, 100), st.floats(5, 100)), max_size=12
)


def test_given_a_lone_box_when_labelled_then_the_label_stands_above_it_left_aligned():
    (label,) = place_labels([Rect(300, 500, 80, 80)], [150], 30, FILM)

    assert label == Rect(300, 464, 150, 30)


def test_given_a_box_at_the_top_edge_when_labelled_then_the_label_stays_on_the_film_and_off_the_box():
    box = Rect(850, 0, 50, 40)

    (label,) = place_labels([box], [150], 30, FILM)

    assert label.overlap(box) == 0
    assert label.overlap(FILM) == label.width * label.height


def test_given_stacked_boxes_when_labelled_then_no_label_covers_another_or_a_box():
    boxes = [Rect(400 + 10 * i, 700 + 10 * i, 100, 100) for i in range(6)]

    labels = place_labels(boxes, [160] * 6, 30, FILM)

    assert not any(one.overlap(other) for one, other in combinations(labels, 2))
    assert not any(label.overlap(box) for label in labels for box in boxes)


def test_given_a_taken_corner_when_labelled_then_it_stays_legible():
    taken = Rect(0, 0, 200, 60)

    (label,) = place_labels([Rect(20, 62, 40, 40)], [150], 30, FILM, [taken])

    assert label.overlap(taken) == 0


@settings(max_examples=30, deadline=None)
@given(BOXES)
def test_given_any_boxes_when_labelled_then_each_has_a_label_within_the_film(boxes):
    labels = place_labels(boxes, [160.0] * len(boxes), 30, FILM)

    assert len(labels) == len(boxes)
    for label in labels:
        assert FILM.x <= label.x <= label.right <= FILM.right
        assert FILM.y <= label.y <= label.bottom <= FILM.bottom
