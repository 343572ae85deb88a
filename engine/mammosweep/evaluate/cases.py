"""The cases that have a score and a truth: lesions that were found, breasts, exams."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from mammosweep.evaluate.lesions import Breast, BreastLesion, any_malignant
from mammosweep.evaluate.roc import Cases
from mammosweep.evaluate.study import Study

__all__ = ["all_cases", "breast_cases", "exam_cases", "lesion_cases"]

Case = tuple[str, str, str, float | None, bool | None]  # key, exam, group, score, label


def all_cases(study: Study, found: Sequence[Breast]) -> tuple[Cases, Cases, Cases]:
    """Lesions, breasts and exams, in that order."""
    lesions = [lesion for breast in found for lesion in breast.lesions]
    return lesion_cases(lesions), breast_cases(study, found), exam_cases(study, found)


def lesion_cases(lesions: Sequence[BreastLesion]) -> Cases:
    """True lesions that were found, at the malignancy of the engine's lesion: malignant against benign."""
    return _cases(
        "lesions",
        (
            (
                f"{one.exam_id} {one.laterality} {one.lesion_id}",
                one.exam_id,
                one.group,
                one.engine.malignancy if one.engine else None,
                one.first.malignant,
            )
            for one in lesions
        ),
    )


def breast_cases(study: Study, found: Sequence[Breast]) -> Cases:
    """Breasts at the engine's score of that side: with a malignant lesion against all others."""
    column = {"L": "score_left", "R": "score_right"}
    return _cases(
        "breasts",
        (
            (
                f"{one.exam_id} {one.laterality}",
                one.exam_id,
                one.group,
                study.exams[one.exam_id][column[one.laterality]],
                one.malignant,
            )
            for one in found
        ),
    )


def exam_cases(study: Study, found: Sequence[Breast]) -> Cases:
    """Exams at the engine's score: with a malignant lesion in an evaluated breast against all others."""
    sides: dict[str, list[bool | None]] = defaultdict(list)
    for breast in found:
        sides[breast.exam_id].append(breast.malignant)
    return _cases(
        "exams",
        (
            (exam_id, exam_id, study.groups[exam_id], study.exams[exam_id]["score"], any_malignant(known))
            for exam_id, known in sides.items()
        ),
    )


def _cases(name: str, rows: Iterable[Case]) -> Cases:
    known = [
        (key, exam, group, s, label)
        for key, exam, group, s, label in rows
        if s is not None and label is not None
    ]
    return Cases(
        name=name,
        keys=tuple(row[0] for row in known),
        exams=tuple(row[1] for row in known),
        groups=tuple(row[2] for row in known),
        scores=tuple(row[3] for row in known),
        labels=tuple(row[4] for row in known),
    )
