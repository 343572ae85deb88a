"""The table in CASES.md: all of the catalogue, and nothing that is not tested."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.cases import document
from tests.cases.all_cases import CASES, SECTIONS
from tests.cases.document import DOCUMENT, text
from tests.cases.table import NUM_CASES

HERE = Path(__file__).parent
FIRST_OF = {"File": 1, "Header": 17, "Pixels": 33, "Exam": 59}


def test_all_cases_of_the_catalogue_are_there_in_its_order():
    numbers = [case.number for case in CASES]

    assert sorted(set(numbers)) == list(range(1, NUM_CASES + 1))
    assert numbers == sorted(numbers)
    assert {section: cases[0].number for section, cases in SECTIONS.items()} == FIRST_OF


def test_no_two_cases_have_one_name_or_folder():
    assert len({case.id for case in CASES}) == len({case.folder for case in CASES}) == len(CASES)


def test_every_case_names_a_test_that_there_is():
    for section, cases in SECTIONS.items():
        for case in cases:
            file, function = document.test_of(case, section).partition("[")[0].split("::")
            tree = ast.parse((HERE / file).read_text(encoding="utf-8"))
            assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, case.id
            assert (case.build is None) == bool(case.test), case.id


def test_the_document_is_fresh():
    assert DOCUMENT.read_text(encoding="utf-8") == text(), "run: make table"
