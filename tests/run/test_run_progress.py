"""How far a run is, said while it runs."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from mammosweep.run.progress import Lines, Tally, watch
from mammosweep.run.summary import limit_text


@pytest.mark.parametrize(
    ("tally", "line"),
    [
        (Tally(files=1200), "reading headers: 1200 files"),
        (Tally(exams=40), "exams 0/40, 0.00 views/s, time left unknown, 0 not scored"),
        (
            Tally(exams=40, done=12, done_now=2, views=8, not_scored=1, seconds=4.0),
            "exams 12/40, 2.00 views/s, 0:00:56 left, 1 not scored",
        ),
    ],
    ids=["indexing", "begun", "under-way"],
)
def test_a_tally_says_done_speed_time_left_and_not_scored(tally, line):
    assert str(tally) == line


def test_plain_lines_come_every_ten_seconds_and_at_the_end():
    stream, clock = io.StringIO(), iter([0.0, 1.0, 9.9, 10.0, 10.0, 12.0, 13.0])
    lines = Lines(Console(file=stream), now=lambda: next(clock))

    for done in (1, 2, 3, 4):
        lines(Tally(exams=5, done=done))
    lines(Tally(exams=5, done=5, finished=True))

    assert [line.split(",")[0] for line in stream.getvalue().splitlines()] == ["exams 3/5", "exams 5/5"]


def test_elsewhere_than_on_a_terminal_nothing_is_drawn_in_place():
    stream = io.StringIO()

    with watch(Console(file=stream)) as progress:
        progress(Tally(exams=2, done=2, finished=True))

    assert stream.getvalue() == "exams 2/2, 0.00 views/s, time left unknown, 0 not scored\n"


def test_on_a_terminal_a_bar_is_drawn_with_the_same_words():
    stream = io.StringIO()

    with watch(Console(file=stream, force_terminal=True, width=120)) as progress:
        progress(Tally(exams=2, done=1, done_now=1, views=4, seconds=2.0))

    assert "exams 1/2, 2.00 views/s, 0:00:02 left, 0 not scored" in stream.getvalue()


@pytest.mark.parametrize(
    ("taken", "limit"),
    [
        ({"detect": 9.0, "wait-views": 0.5, "wait-commit": 0.0}, "the detector: of 10.0 s"),
        ({"detect": 3.0, "wait-views": 6.0, "wait-commit": 0.0}, "reading, decoding and normalising: of"),
        ({"detect": 3.0, "wait-views": 1.0, "wait-commit": 5.0}, "writing results: of 10.0 s"),
    ],
    ids=["detector", "views", "commit"],
)
def test_a_summary_says_what_limited_the_run(taken, limit):
    assert limit_text({"screen": 10.0, "decode": 20.0} | taken).startswith(limit)


def test_a_run_that_screened_nothing_was_limited_by_nothing():
    assert limit_text({"index": 1.0}) is None
    assert limit_text({"index": 1.0, "screen": 0.1}) is None
