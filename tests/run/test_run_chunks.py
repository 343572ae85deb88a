"""What is processed and committed together."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from mammosweep.run.chunks import cut


def ids(chunks):
    return [[exam.exam_id for exam in chunk.exams] for chunk in chunks]


@pytest.mark.parametrize(
    ("chunk_exams", "expected"),
    [(1, [["A"], ["B"], ["C"]]), (2, [["A", "B"], ["C"]]), (8, [["A", "B", "C"]])],
)
def test_exams_are_cut_in_their_order(exam, identity, chunk_exams, expected):
    exams = [exam("A"), exam("B"), exam("C")]

    assert ids(cut(exams, (), chunk_exams, identity)) == expected


def test_only_the_exams_of_one_chunk_are_taken_at_a_time(exam, identity):
    taken = []
    exams = (taken.append(number) or exam(f"E{number}") for number in range(9))

    next(cut(exams, (), 4, identity))

    assert taken == [0, 1, 2, 3]


def test_what_is_done_is_not_cut_again(exam, identity):
    exams = [exam("A"), exam("B"), exam("C")]

    assert ids(cut(exams, {exams[1].digest}, 8, identity)) == [["A", "C"]]


def test_a_late_image_makes_an_exam_one_that_is_not_done(exam, identity):
    before, after = exam("A"), exam("A", size_bytes=101)

    assert ids(cut([after], {before.digest}, 8, identity)) == [["A"]]


@pytest.mark.parametrize("changed", ["bundle_digest", "settings_digest"])
def test_another_bundle_or_settings_is_another_chunk(exam, identity, changed):
    (chunk,) = cut([exam("A")], (), 8, identity)
    (other,) = cut([exam("A")], (), 8, replace(identity, **{changed: "c" * 64}))

    assert chunk.id != other.id


def test_a_chunk_id_is_a_plain_folder_name(exam, identity):
    (chunk,) = cut([exam("../A")], (), 8, identity)

    assert re.fullmatch("[0-9a-f]{32}", chunk.id)
