"""A unit's nights: on each morning the worklist is the planned one."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import pytest
from tests.e2e.night import Unit, faults, plan

DAYS = 3


@pytest.fixture(scope="module")
def unit(tmp_path_factory):
    """Twenty exams, and thirteen earlier or repeated ones of their patients."""
    unit = Unit(tmp_path_factory.mktemp("unit"), plan(20, DAYS), drawn=3)
    unit.draw()
    return unit


@pytest.fixture(scope="module")
def mornings(unit):
    """What was wrong on each morning, its summary, and where its worklist is."""
    found = []
    for day in range(1, DAYS + 1):
        unit.deliver(day)
        summary = unit.night(day)
        found.append((faults(unit, day, unit.expected(day)), summary, (unit.out / "current").resolve()))
    return found


def test_the_worklist_is_the_planned_one_on_every_morning(mornings):
    assert [said for said, _, _ in mornings] == [[], [], []]


def test_the_nights_hold_what_can_go_wrong(unit, mornings):
    lists = [unit.expected(day) for day in range(1, DAYS + 1)]
    lines = [line for expected in lists for line in expected]

    assert {exam.kind for exam in unit.exams} >= {
        "late",
        "twice",
        "twice later",
        "one cut",
        "all cut",
        "mended",
    }
    assert {line.revision for line in lines} == {1, 2}
    assert {line.reason for line in lines} == {None, "truncated"}
    assert max(len(line.history) for line in lines) == 2
    assert not all(present for line in lines for _, _, present in line.history)
    scores = [line.score for line in lists[1]]
    assert len(set(scores)) < len(scores)  # ties
    assert sum(summary.fates["prior"] for _, summary, _ in mornings) > 0


def test_a_worklist_that_is_not_the_planned_one_is_noticed(unit, mornings):
    expected = unit.expected(DAYS)

    assert faults(unit, DAYS, expected[1:])
    assert faults(unit, DAYS, expected[::-1])
    assert faults(unit, DAYS, [replace(expected[0], revision=9), *expected[1:]])
    assert faults(unit, DAYS - 1, unit.expected(DAYS - 1))


def test_earlier_nights_stay_as_they_were(unit, mornings):
    names = [json.loads((folder / "worklist.json").read_text())["night"] for _, _, folder in mornings]

    assert names == ["2024-03-11", "2024-03-12", "2024-03-13"]


def test_no_patients_name_or_number_is_published_or_kept(unit, mornings):
    for folder in (unit.out, unit.state):
        for path in folder.rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                assert b"PATIENT-" not in data, path.name
                assert b"Phantom^" not in data, path.name


def test_exams_that_were_read_are_left_out_until_a_late_image_comes(unit, mornings, tmp_path):
    file = tmp_path / "read.csv"
    listed = [e.exam_id for e in unit.expected(DAYS)]
    with file.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["exam_id", "revision"])
        rows.writerows([exam_id, 1] for exam_id in listed)

    unit.night(DAYS, read=file)

    (rows,) = [json.loads((unit.out / "current" / "worklist.json").read_text())["exams"]]
    revised = [e.exam_id for e in unit.expected(DAYS) if e.revision == 2]
    assert [row["exam_id"] for row in rows] == revised
    assert 0 < len(revised) < len(listed)
