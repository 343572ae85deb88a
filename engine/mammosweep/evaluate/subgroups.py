"""The same figures by subgroup: whether the engine serves everyone alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mammosweep.errors import ConfigError
from mammosweep.evaluate.bootstrap import mean_by_group
from mammosweep.evaluate.cases import breast_cases, exam_cases, lesion_cases
from mammosweep.evaluate.delong import delong
from mammosweep.evaluate.estimate import MIN_CASES, Estimate, absent
from mammosweep.evaluate.lesions import Breast, BreastLesion
from mammosweep.evaluate.roc import Cases
from mammosweep.evaluate.study import Study
from mammosweep.evaluate.truth import read_rows, words_of

__all__ = ["Subgroup", "SubgroupSet", "read_about", "subgroups"]

SIZES_MM = ((10.0, "under 10 mm"), (20.0, "10 to 20 mm"), (float("inf"), "20 mm and more"))
AGES = (
    (40.0, "under 40"),
    (50.0, "40 to 49"),
    (60.0, "50 to 59"),
    (70.0, "60 to 69"),
    (float("inf"), "70 and more"),
)

EXAM_WORDS = {"density": "breast density", "vendor": "vendor", "age": "age"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subgroup:
    """Figures of one subgroup; those of fewer than MIN_CASES positives or negatives are not given."""

    name: str
    num_exams: int
    num_lesions: int
    num_malignant: int
    sensitivity: Estimate  # lesions in a view found at the score that all images together work at
    false_positives_per_image: float | None  # at that score; None where the subgroup is of lesions
    lesion_area: Estimate
    breast_area: Estimate | None  # None where the subgroup is of lesions
    exam_area: Estimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubgroupSet:
    """All subgroups by one property."""

    by: str
    groups: tuple[Subgroup, ...]
    why: str = ""  # why there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class _At:
    """What all subgroups are measured with."""

    study: Study
    score_above: float
    num_bootstraps: int
    seed: int


def read_about(path: Path) -> dict[str, dict[str, str]]:
    """What else is known of exams: ``exam_id`` and any of ``density``, ``vendor``, ``age``.

    Raises:
        ConfigError: it cannot be read, or has no such columns.
    """
    rows = read_rows(path)
    words: list[tuple[str, dict[str, str]]] = [(str(row.get("exam_id") or ""), words_of(row)) for row in rows]
    if not any(exam_id and said for exam_id, said in words):
        columns = ", ".join(rows[0]) if rows else "(none)"
        raise ConfigError(
            f"subgroup table {path.name} has the columns {columns}; expected exam_id and any of "
            f"{', '.join(EXAM_WORDS)}, with a value in at least one row"
        )
    return dict(words)


def subgroups(
    study: Study, found: Sequence[Breast], score_above: float, num_bootstraps: int = 1000, seed: int = 0
) -> tuple[SubgroupSet, ...]:
    """Figures by density, vendor, age, lesion type and lesion size.

    Args:
        study: what is evaluated.
        found: its breasts.
        score_above: detector scores above this count as found: the same for every subgroup, so that they
            are compared at the one point the engine would work at.
        num_bootstraps: samples behind the sensitivity's interval, by patient.
        seed: of the bootstrap.
    """
    at = _At(study=study, score_above=score_above, num_bootstraps=num_bootstraps, seed=seed)
    by_exam = tuple(_by_exam(name, found, at) for name in EXAM_WORDS)
    by_type = _by_lesion("lesion type", found, at, lambda lesion: str(lesion.type))
    by_size = _by_lesion("lesion size", found, at, lambda lesion: _band(lesion.size_mm, SIZES_MM))
    return (*by_exam, by_type, by_size)


def _by_exam(name: str, found: Sequence[Breast], at: _At) -> SubgroupSet:
    words = {exam_id: _word(name, said) for exam_id, said in at.study.about.items()}
    known = sorted({word for word in words.values() if word}, key=_order)
    if not known:
        return SubgroupSet(
            by=EXAM_WORDS[name], groups=(), why="neither the sweep nor the truth says it of any exam"
        )
    groups = []
    for word in [*known, *([""] if "" in words.values() else [])]:
        breasts = [breast for breast in found if words.get(breast.exam_id, "") == word]
        lesions = [lesion for breast in breasts for lesion in breast.lesions]
        groups.append(_subgroup(word or "not known", lesions, at, breasts))
    return SubgroupSet(by=EXAM_WORDS[name], groups=tuple(groups))


def _by_lesion(
    by: str, found: Sequence[Breast], at: _At, word_of: Callable[[BreastLesion], str]
) -> SubgroupSet:
    lesions = [lesion for breast in found for lesion in breast.lesions]
    words = {lesion_word for lesion in lesions if (lesion_word := word_of(lesion))}
    if not words:
        return SubgroupSet(by=by, groups=(), why="the truth says it of no lesion")
    return SubgroupSet(
        by=by,
        groups=tuple(
            _subgroup(word, [one for one in lesions if word_of(one) == word], at)
            for word in sorted(words, key=_order)
        ),
    )


def _subgroup(
    name: str, lesions: Sequence[BreastLesion], at: _At, breasts: Sequence[Breast] | None = None
) -> Subgroup:
    exams = {one.exam_id for one in (lesions if breasts is None else breasts)}
    return Subgroup(
        name=name,
        num_exams=len(exams),
        num_lesions=len(lesions),
        num_malignant=sum(bool(one.first.malignant) for one in lesions),
        sensitivity=_sensitivity(lesions, at),
        false_positives_per_image=None if breasts is None else _false_rate(breasts, at),
        lesion_area=_area(lesion_cases(lesions)),
        breast_area=None if breasts is None else _area(breast_cases(at.study, breasts)),
        exam_area=None if breasts is None else _area(exam_cases(at.study, breasts)),
    )


def _sensitivity(lesions: Sequence[BreastLesion], at: _At) -> Estimate:
    sightings = [sighting for lesion in lesions for sighting in lesion.sightings]
    if len(sightings) < MIN_CASES:
        return absent(f"fewer than {MIN_CASES} lesions in a view", len(sightings))
    hit = [float(bool(s.found) and s.found[0].score > at.score_above) for s in sightings]
    return mean_by_group(hit, [s.image.group for s in sightings], at.num_bootstraps, at.seed)


def _false_rate(breasts: Sequence[Breast], at: _At) -> float | None:
    images = [image for breast in breasts for image in breast.images]
    false = sum(
        found.score > at.score_above and not image.hits[row].any()
        for image in images
        for row, found in enumerate(image.found)
    )
    return false / len(images) if images else None


def _area(cases: Cases) -> Estimate:
    num, positive = len(cases.labels), sum(cases.labels)
    for count, what in ((positive, "malignant"), (num - positive, "other")):
        if count < MIN_CASES:
            return absent(f"fewer than {MIN_CASES} {what} {cases.name}", num, positive)
    return delong(cases.scores, cases.labels)


def _word(name: str, said: Mapping[str, str]) -> str:
    text = said.get(name, "")
    if name != "age" or not text:
        return text
    # DICOM's Patient's Age (0010,1010) is written 063Y.
    digits = text.upper().removesuffix("Y")
    return _band(float(digits), AGES) if digits.replace(".", "", 1).isdigit() else ""


def _band(value: float | None, bands: Sequence[tuple[float, str]]) -> str:
    return "" if value is None else next(name for end, name in bands if value < end)


def _order(word: str) -> tuple[int, str]:
    """Bands in their own order, then words by name."""
    bands = [name for _, name in (*SIZES_MM, *AGES)]
    return (bands.index(word), "") if word in bands else (len(bands), word)
