"""CASES.md: the catalogue as it is tested.

``python -m tests.cases.document`` writes it; ``--check`` fails where it is stale.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.cases.all_cases import SECTIONS
from tests.cases.table import Case

__all__ = ["DOCUMENT", "main", "test_of", "text"]

DOCUMENT = Path(__file__).parent.parent.parent / "CASES.md"

INTRODUCTION = """\
# Bad and awkward input: what happens to each

Generated from `tests/cases` by `make table`; do not edit. Each line is a test that makes the file, sweeps it
with a sound exam beside it, and holds its row against this: status, reason, flags, and what the message must
name. The sound exam's rows are those of a sweep without the file. Reasons and flags are those of
`mammosweep.Reason` and `mammosweep.Flag`.

An image is *used*, *set aside* (sound, but not to be scored) or *rejected* (it cannot be read, or not be
trusted); an exam is *scored*, *flagged* (scored, with flags) or *not scored*. A line without an exam is of a
file that belongs to none. To run one: `python -m pytest "tests/cases/TEST"`.
"""


def text() -> str:
    """The document."""
    parts = [INTRODUCTION]
    for section, cases in SECTIONS.items():
        lines = [f"## {section}", "", "| no. | fed | outcome | test |", "|---|---|---|---|"]
        parts.append("\n".join([*lines, *(_line(case, section) for case in cases)]) + "\n")
    return "\n".join(parts)


def test_of(case: Case, section: str) -> str:
    """Its test's id below ``tests/cases``."""
    what = section.lower() if section == "Pixels" else f"{section.lower()}s"
    if case.test:
        return case.test.replace("[]", f"[{case.id}]")
    return f"test_cases_of_{what}.py::test_a_case_of_{what}_has_its_outcome[{case.id}]"


def _line(case: Case, section: str) -> str:
    return f"| {case.number} | {case.fed} | {case.outcome} | `{test_of(case, section)}` |"


def main(arguments: list[str]) -> None:
    """Write the document, or check it."""
    is_fresh = DOCUMENT.exists() and DOCUMENT.read_text(encoding="utf-8") == text()
    if "--check" in arguments and not is_fresh:
        raise SystemExit(f"{DOCUMENT.name} is stale; run: make table")
    if not is_fresh:
        DOCUMENT.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
