"""Annotated exams as rows with labels: of pairs, of lesions, of breasts."""

# Shapes:  N rows   F features
from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mammosweep.exam.breast import BREAST_FEATURES, breast_features
from mammosweep.exam.features import LESION_FEATURES, lesion_rows
from mammosweep.exam.match import Match
from mammosweep.exam.pairs import PAIR_FEATURES, pair_matrix
from mammosweep.records import SLOTS, Finding, Laterality, Lesion, Position

__all__ = [
    "LabelledExam",
    "LabelledFinding",
    "Rows",
    "breast_rows",
    "breasts",
    "decision_rows",
    "pair_rows",
    "same_lesion",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledFinding:
    """A finding with what is really there."""

    finding: Finding
    truth_lesion_id: str | None  # unique within the exam; None: a false positive
    malignant: bool | None = None  # None: a false positive, or a lesion whose nature is unknown
    linked: bool = True  # False: whether a finding of the other view is the same lesion is not known


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledExam:
    """An exam's findings with the truth, and what is known of what was not found."""

    findings: tuple[LabelledFinding, ...]
    patient: str = ""  # exams of one patient are never parted; empty: this exam is its patient's only one
    imaged: tuple[tuple[Laterality, Position], ...] = SLOTS  # the views that were read
    malignant: Collection[Laterality] = ()  # breasts that hold a malignant lesion, found or not
    unknown: Collection[Laterality] = ()  # breasts of which that is not known

    def is_malignant(self, side: Laterality) -> bool | None:
        """Whether a breast holds a malignant lesion; None: not known."""
        if side in self.malignant or any(f.malignant for f in self._true(side)):
            return True
        return None if side in self.unknown or any(f.malignant is None for f in self._true(side)) else False

    def _true(self, side: Laterality) -> list[LabelledFinding]:
        own = [labelled for labelled in self.findings if labelled.finding.laterality is side]
        return [labelled for labelled in own if labelled.truth_lesion_id is not None]

    def truth(self, finding: Finding) -> LabelledFinding:
        """What a finding of this exam, the very object, really is."""
        return next(labelled for labelled in self.findings if labelled.finding is finding)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows to learn from."""

    values: NDArray[np.float32]  # (N, F), NaN where a value is unknown
    labels: NDArray[np.float32]  # (N,), 0 or 1
    exams: NDArray[np.int64]  # (N,), the exam that each is of, as its place in the list of exams

    def among(self, exams: Collection[int]) -> Rows:
        """The rows of these exams."""
        kept = np.isin(self.exams, list(exams))
        return Rows(self.values[kept], self.labels[kept], self.exams[kept])


def pair_rows(exams: Sequence[LabelledExam]) -> Rows:
    """Compare every CC with every MLO finding of each breast; label 1: one lesion.

    Pairs of two lesions of which it is not known whether they are one teach nothing: left out.
    """
    found: list[_Found] = []
    for number, exam in enumerate(exams):
        for ccs, mlos in breasts(exam):
            pairs = pair_matrix([cc.finding for cc in ccs], [mlo.finding for mlo in mlos])
            labels = [same_lesion(cc, mlo) for cc in ccs for mlo in mlos]
            found.append((number, pairs.reshape(-1, len(PAIR_FEATURES)), labels))
    return _rows(found, len(PAIR_FEATURES))


def decision_rows(exams: Sequence[LabelledExam], matches: Sequence[Sequence[Match]]) -> Rows:
    """Describe every matched lesion; label 1: it holds a finding of a malignant lesion.

    Lesions that hold a true finding of unknown nature, and none that is malignant, teach nothing: left out.

    Args:
        exams: with the truth.
        matches: of each exam's findings, the very objects.
    """
    found = [
        (number, lesion_rows(own), [_malignant([exam.truth(f) for f in one.findings]) for one in own])
        for number, (exam, own) in enumerate(zip(exams, matches, strict=True))
    ]
    return _rows(found, len(LESION_FEATURES))


def breast_rows(exams: Sequence[LabelledExam], lesions: Sequence[Sequence[Lesion]]) -> Rows:
    """Describe every breast in which anything was found; label 1: it holds a malignant lesion.

    Breasts whose nature is not known are left out; so are those without a lesion, whose score is always 0.
    """
    found: list[_Found] = []
    for number, (exam, every) in enumerate(zip(exams, lesions, strict=True)):
        for side in Laterality:
            own = [lesion for lesion in every if lesion.laterality is side]
            if own:
                positions = {position for laterality, position in exam.imaged if laterality is side}
                row = breast_features(own, positions)[None]
                found.append((number, row, [exam.is_malignant(side)]))
    return _rows(found, len(BREAST_FEATURES))


_Found = tuple[int, NDArray[np.float32], Sequence[bool | None]]


def _rows(found: Iterable[_Found], num_features: int) -> Rows:
    """Put together what was found, without what has no label."""
    values, labels, exams = [np.zeros((0, num_features), np.float32)], [], []
    for number, rows, known in found:
        values.append(rows[[label is not None for label in known]])
        labels += [float(label) for label in known if label is not None]
        exams += [number for label in known if label is not None]
    return Rows(np.concatenate(values), np.array(labels, np.float32), np.array(exams, np.int64))


def breasts(exam: LabelledExam) -> list[tuple[list[LabelledFinding], list[LabelledFinding]]]:
    """CC and MLO findings of the left, then of the right breast."""
    slots: dict[tuple[Laterality, Position], list[LabelledFinding]] = {
        (side, position): [] for side in Laterality for position in Position
    }
    for labelled in exam.findings:
        slots[labelled.finding.laterality, labelled.finding.position].append(labelled)
    return [(slots[side, Position.CC], slots[side, Position.MLO]) for side in Laterality]


def same_lesion(one: LabelledFinding, other: LabelledFinding) -> bool | None:
    """Whether both are one true lesion; None: that is not known."""
    if one.truth_lesion_id is None or other.truth_lesion_id is None:
        return False
    return one.truth_lesion_id == other.truth_lesion_id if one.linked and other.linked else None


def _malignant(labelled: Sequence[LabelledFinding]) -> bool | None:
    true = [one for one in labelled if one.truth_lesion_id is not None]
    if any(one.malignant for one in true):
        return True
    return None if any(one.malignant is None for one in true) else False
