"""Rows of a sweep held against what a case must come to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cases.table import Case, Exam, Image

import mammosweep

__all__ = ["Swept", "check", "swept_of"]

Row = dict[str, Any]

PATIENT = ("Phantom^", "PHANTOM-", "19600101")
"""What a phantom's header says of its patient."""


@dataclass(frozen=True, slots=True)
class Swept:
    """A results folder and its tables."""

    out: Path
    images: tuple[Row, ...]
    exams: tuple[Row, ...]
    findings: tuple[Row, ...]
    lesions: tuple[Row, ...]

    def below(self, folder: str) -> dict[str, Row]:
        """The rows of the files of one folder of the archive, by their path in it."""
        prefix = f"{folder}/"
        return {
            row["path"].removeprefix(prefix): row for row in self.images if row["path"].startswith(prefix)
        }

    def exams_of(self, images: Iterable[Row]) -> list[Row]:
        """The exams that these images belong to."""
        wanted = {image["exam_id"] for image in images} - {None}
        return [row for row in self.exams if row["exam_id"] in wanted]

    def result_of(self, folder: str) -> dict[str, list[Row]]:
        """Everything that was said of the exams in one folder."""
        images = list(self.below(folder).values())
        exams = self.exams_of(images)
        ids = {exam["exam_id"] for exam in exams}
        parts = {"findings": self.findings, "lesions": self.lesions}
        return {"images": images, "exams": exams} | {
            name: [row for row in rows if row["exam_id"] in ids] for name, rows in parts.items()
        }


def swept_of(out: Path) -> Swept:
    """Read what a sweep wrote."""
    tables = ("images", "exams", "findings", "lesions")
    return Swept(out, *(tuple(mammosweep.read_table(out, name).to_pylist()) for name in tables))


def check(case: Case, swept: Swept) -> None:
    """Every file of the case has the row that it must have, and so have its exams."""
    rows = swept.below(case.folder)
    assert set(rows) == set(case.images), "every file has one row"
    for name, image in case.images.items():
        check_image(rows[name], image)
    check_exams(swept.exams_of(rows.values()), case.exam)


def check_image(row: Row, image: Image) -> None:
    """Status, reason, what the message names, flags."""
    found = (row["status"], row["reason"], tuple(row["flags"] or ()))
    expected = (str(image.status), image.reason and str(image.reason), tuple(map(str, image.flags)))
    assert found == expected, f"{found} {row['message']!r}"
    assert bool(row["message"]) == (image.reason is not None)
    missing = [words for words in image.said if words not in row["message"]]
    assert missing == [], row["message"]
    _check_sentence(row["message"])


def check_exams(rows: list[Row], exam: Exam | None) -> None:
    """The exams that the case's files belong to, if they belong to any."""
    if exam is None:
        assert rows == []
        return
    assert len(rows) == exam.number
    for row in rows:
        found = (row["status"], row["reason"])
        assert found == (str(exam.status), exam.reason and str(exam.reason)), f"{found} {row['message']!r}"
        assert set(map(str, exam.flags)) <= set(row["flags"] or ())
        assert (row["score"] is None) == (row["status"] == "not_scored")
        _check_sentence(row["message"])


def _check_sentence(message: str) -> None:
    assert message.isprintable()
    assert [word for word in PATIENT if word in message] == []


def check_unchanged(alone: Mapping[str, list[Row]], together: Mapping[str, list[Row]]) -> None:
    """A neighbour's rows are what they are without company."""
    assert alone["exams"]
    assert alone == together
