"""Cases 17 to 32."""

from __future__ import annotations

import csv
import json

import pytest
from tests.cases.all_cases import shared
from tests.cases.check import check
from tests.cases.header_cases import FORMULA, SCRIPT
from tests.cases.making import Desk
from typer.testing import CliRunner

from mammosweep.cli import app


@pytest.mark.parametrize("case", shared("Header"), ids=lambda case: case.id)
def test_a_case_of_headers_has_its_outcome(case, swept):
    check(case, swept)


def text_of(out, *suffixes):
    return {
        path.relative_to(out): path.read_text(encoding="utf-8")
        for path in out.rglob("*")
        if path.suffix in suffixes and path.is_file()
    }


def test_23_no_path_is_built_from_a_uid(swept):
    place = swept.out.parent

    assert {path.name for path in place.iterdir()} == {"archive", "out", "outside", "manifest.csv"}
    assert [path.name for path in place.rglob("x")] == []


def test_27_a_formula_is_escaped_where_a_spreadsheet_would_run_it(swept):
    with (swept.out / "worklist.csv").open(newline="", encoding="utf-8") as file:
        cells = [cell for row in csv.reader(file) for cell in row]

    assert f"'{FORMULA}" in cells
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))] == []


def test_27_a_patients_number_is_written_nowhere(swept):
    (exam,) = swept.result_of("27-formula-in-the-header")["exams"]

    assert FORMULA not in json.dumps(exam, default=str)
    assert len(exam["patient_key"]) >= 16


def test_28_no_page_holds_a_script(swept):
    pages = text_of(swept.out, ".html")

    assert [path for path, page in pages.items() if "<script" in page.lower()] == []
    escaped = SCRIPT.replace("<", "&lt;").replace(">", "&gt;")
    assert escaped in pages[next(path for path in pages if path.name == "worklist.html")]


def test_29_no_control_character_reaches_a_log_or_a_text(swept, spoilt, tmp_path):
    from tests.cases.all_cases import case

    escapes = case("29 control characters in the header")
    escapes.build(Desk(tmp_path / "archive" / escapes.folder, spoilt))

    done = CliRunner().invoke(
        app, ["index", str(tmp_path / "archive"), "--out", str(tmp_path / "catalog.parquet")]
    )

    assert done.exit_code == 0, done.output
    texts = text_of(swept.out, ".html", ".csv", ".json")
    assert controls(done.output) == set()
    assert {str(path): controls(text) for path, text in texts.items() if controls(text)} == {}


def controls(text):
    """The control characters in it, but for the ends of lines."""
    return {character for character in text if ord(character) < 32 or 127 <= ord(character) < 160} - {"\n"}


def test_31_studies_of_one_patient_share_the_patients_key(swept):
    exams = swept.result_of("31-one-patient-with-two-studies")["exams"]

    assert len({exam["exam_id"] for exam in exams}) == 2
    assert len({exam["patient_key"] for exam in exams}) == 1


def test_no_patient_is_named_in_any_text_or_table(swept):
    texts = "".join(text_of(swept.out, ".html", ".csv", ".json").values())
    rows = repr((swept.images, swept.exams, swept.findings, swept.lesions))

    assert [secret for secret in ("Phantom^", "PHANTOM-", "19600101") if secret in texts + rows] == []
