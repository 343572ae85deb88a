from __future__ import annotations

import csv

import pytest

from mammosweep.errors import Flag
from mammosweep.records import ExamStatus
from mammosweep.report.page import write_exam_page
from mammosweep.report.tables import read_table, write_tables
from mammosweep.report.worklist import COLUMNS, write_worklist


def listed(out, *outcomes):
    write_tables(out, outcomes)
    write_worklist(out, read_table(out, "exams"))
    with (out / "worklist.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_given_scored_and_unscored_exams_when_listed_then_unassessed_stand_on_top_and_scores_fall(
    tmp_path, scored, unscored
):
    rows = listed(
        tmp_path,
        scored("low", score=0.1),
        scored("tie-b", score=0.5),
        unscored("z"),
        scored("high", score=0.9),
        scored("tie-a", score=0.5),
    )

    assert [row["exam_id"] for row in rows] == ["z", "high", "tie-a", "tie-b", "low"]
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert (rows[0]["status"], rows[0]["reason"], rows[0]["score"]) == ("unassessed", "no_usable_view", "")


def test_given_a_flagged_exam_when_listed_then_its_row_has_every_column_filled(tmp_path, scored):
    flags = (Flag.ONE_BREAST, Flag.MISSING_VIEWS)
    (row,) = listed(tmp_path, scored(status=ExamStatus.FLAGGED, flags=flags))

    assert tuple(row) == COLUMNS
    assert row == {
        "rank": "1",
        "exam_id": "exam-1",
        "patient_key": "9f2c41d07ab3",
        "study_date": "2016-05-04",
        "status": "flagged",
        "reason": "",
        "score": "0.800000",
        "score_left": "0.800000",
        "score_right": "0.200000",
        "category": "4C",
        "flags": "one_breast missing_views",
    }


@pytest.mark.parametrize(
    ("exam_id", "cell"),
    [
        ("=cmd|'/C calc'!A0", "'=cmd|'/C calc'!A0"),
        ("+1+1", "'+1+1"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'=1"),
        ("\rtext", "'text"),
        ("  =1", "'  =1"),
        ("\x00=1", "'=1"),
        ("\uff1d1", "'\uff1d1"),
        ("a\nb\x1b[31m", "ab[31m"),
        ("plain-1", "plain-1"),
    ],
    ids=["equals", "plus", "minus", "at", "tab", "cr", "spaces", "nul", "fullwidth", "controls", "plain"],
)
def test_given_an_id_that_a_spreadsheet_would_run_when_listed_then_it_is_escaped(
    tmp_path, scored, exam_id, cell
):
    assert [row["exam_id"] for row in listed(tmp_path, scored(exam_id))] == [cell]


def test_given_markup_in_an_id_when_listed_then_the_page_holds_it_as_text(tmp_path, scored):
    listed(tmp_path, scored("<script>alert(1)</script>"))

    page = (tmp_path / "worklist.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_given_one_exam_with_a_page_when_listed_then_only_that_one_is_linked(tmp_path, scored):
    written = write_exam_page(tmp_path / "pages", scored("with"))

    listed(tmp_path, scored("with"), scored("without"))

    page = (tmp_path / "worklist.html").read_text(encoding="utf-8")
    assert f'<a href="pages/{written.name}">with</a>' in page
    assert page.count('href="pages/') == 1


def test_given_no_exam_when_listed_then_the_header_alone_is_written(tmp_path):
    assert listed(tmp_path) == []
    assert (tmp_path / "worklist.csv").read_text().strip() == ",".join(COLUMNS)
