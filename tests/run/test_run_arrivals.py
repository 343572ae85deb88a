"""What arrived when, and what belongs to a patient's history."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from mammosweep.run.arrivals import Night, SeenExam, Window, open_arrivals

NIGHT = date(2024, 5, 2)


@pytest.fixture
def arrivals(tmp_path):
    with open_arrivals(tmp_path) as opened:
        yield opened


def seen(exam_id, study_date=None, patient="p", digest="d", score=0.5):
    return SeenExam(exam_id, digest, patient, study_date, "scored", score, "3", "tiny 1")


def record(arrivals, day, *exams):
    night = NIGHT + timedelta(days=day)
    at = datetime.combine(night, datetime.min.time(), UTC)
    return arrivals.record(exams, run_id=f"run {day}", night=night, at=at)


def names(arrivals, days_back):
    return [exam.exam_id for exam in arrivals.listed(Window(NIGHT - timedelta(days=days_back)))]


def test_before_the_first_night_an_exam_arrived_the_day_after_it_was_made(arrivals):
    dates = {"old": date(2022, 1, 1), "eve": date(2024, 5, 1), "today": NIGHT, "tomorrow": date(2024, 5, 3)}

    record(arrivals, 0, seen("undated", patient=None), *(seen(n, d, patient=n) for n, d in dates.items()))

    assert names(arrivals, 1) == ["eve", "today", "tomorrow", "undated"]
    assert names(arrivals, 1000) == ["eve", "old", "today", "tomorrow", "undated"]


def test_an_earlier_round_is_history_and_a_repeat_is_to_be_read(arrivals):
    record(arrivals, -9)
    current = date(2024, 5, 1)
    dates = {
        "round before": current - timedelta(days=180),
        "repeated": current - timedelta(days=179),
        "current": current,
        "undated": None,
    }

    record(
        arrivals,
        0,
        *(seen(name, made) for name, made in dates.items()),
        seen("other", dates["round before"], "q"),
    )

    window = Window(NIGHT - timedelta(days=1))
    assert names(arrivals, 1) == ["current", "other", "repeated", "undated"]
    assert arrivals.fates(window) == {"listed": 4, "read": 0, "prior": 1, "gone": 0}
    (last,) = (exam for exam in arrivals.listed(window) if exam.exam_id == "current")
    assert [prior.exam_id for prior in arrivals.history(last, 10)] == ["repeated", "round before", "undated"]
    assert [prior.exam_id for prior in arrivals.history(last, 1)] == ["repeated"]


def test_when_the_later_round_is_gone_the_earlier_one_is_to_be_read(arrivals):
    record(arrivals, -9)
    earlier, later = seen("earlier", date(2022, 5, 1)), seen("later", date(2024, 5, 1))
    record(arrivals, 0, earlier, later)

    record(arrivals, 1, earlier)

    assert names(arrivals, 1) == ["earlier"]


def test_exams_without_a_patients_key_have_no_history(arrivals):
    record(arrivals, 0, seen("a", NIGHT, patient=None), seen("b", NIGHT, patient=None))

    assert [arrivals.history(exam, 10) for exam in arrivals.listed(Window(date(2024, 1, 1)))] == [[], []]


def test_a_run_is_recorded_once(arrivals):
    assert record(arrivals, 0, seen("a"), seen("b")) == 0
    assert record(arrivals, 0) == 0
    assert arrivals.num_present() == 2
    assert record(arrivals, 1, seen("a")) == 1
    assert arrivals.num_present() == 1


def test_an_exam_that_comes_back_as_it_was_is_no_revision(arrivals):
    record(arrivals, 0, seen("a"), seen("b"))
    record(arrivals, 1, seen("a"))
    record(arrivals, 2, seen("a"), seen("b"))

    assert [(e.exam_id, e.revision) for e in arrivals.listed(Window(date(2024, 1, 1)))] == [
        ("a", 1),
        ("b", 1),
    ]
    assert list(arrivals.listed(Window(NIGHT))) == []


def test_what_fails_on_its_way_is_not_recorded_in_part(arrivals):
    record(arrivals, 0, seen("a"))

    def failing():
        yield seen("b")
        raise OSError("storage")

    with pytest.raises(OSError, match="storage"):
        arrivals.record(failing(), run_id="run 1", night=NIGHT, at=datetime.now(UTC))

    assert arrivals.num_present() == 1
    assert record(arrivals, 1, seen("a"), seen("c")) == 0
    assert [e.exam_id for e in arrivals.listed(Window(NIGHT))] == ["c"]


def test_the_window_reaches_back_to_the_last_night_of_an_earlier_date(arrivals):
    for name, day in (("n1", 0), ("n2", 5), ("n3", 5)):
        arrivals.published(Night(name, NIGHT + timedelta(days=day), "{}"), datetime.now(UTC))

    def window(day, days):
        found, previous = arrivals.window(NIGHT + timedelta(days=day), days, reads=False)
        return (found.after - NIGHT).days, previous and previous.name

    assert window(0, 1) == (-1, None)
    assert window(5, 1) == (0, "n1")
    assert window(6, 1) == (5, "n3")
    assert window(6, 3) == (3, "n3")
