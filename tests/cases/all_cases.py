"""The whole catalogue, in its order."""

from __future__ import annotations

from tests.cases import exam_cases, file_cases, header_cases, pixel_cases
from tests.cases.table import Case

__all__ = ["CASES", "SECTIONS", "SHARED", "case", "shared"]

SECTIONS: dict[str, tuple[Case, ...]] = {
    "File": file_cases.CASES,
    "Header": header_cases.CASES,
    "Pixels": pixel_cases.CASES,
    "Exam": exam_cases.CASES,
}

CASES: tuple[Case, ...] = tuple(case for cases in SECTIONS.values() for case in cases)

SHARED: tuple[Case, ...] = tuple(case for case in CASES if case.build is not None)
"""Cases whose files lie in one archive."""

_BY_ID = {case.id: case for case in CASES}


def shared(section: str) -> list[Case]:
    """The cases of a section that share the archive."""
    return [case for case in SECTIONS[section] if case.build is not None]


def case(identity: str) -> Case:
    """The case of this id, such as "12 hung storage"."""
    return _BY_ID[identity]
