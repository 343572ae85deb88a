"""Which patients a fit learns from, and which it is judged on: by patient, always."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from mammosweep.errors import ConfigError
from mammosweep.fit.samples import AnnotatedArchive
from mammosweep.fit.settings import SplitSettings
from mammosweep.records import ExamRef

__all__ = ["Parts", "is_held_out", "split_archive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """An archive's exams, told apart by patient."""

    learn: tuple[ExamRef, ...]  # the detector's
    judge: tuple[ExamRef, ...]  # of what judges its findings; the same ones where it is cross-fitted
    folds: tuple[tuple[ExamRef, ...], ...]  # the judge's, in parts
    validation: tuple[ExamRef, ...]
    validation_patients: tuple[str, ...]

    @property
    def summary(self) -> str:
        """How many exams each part has."""
        return (
            f"{len(self.learn)} exams for the detector, {len(self.judge)} for what judges its findings, "
            f"{len(self.validation)} of {len(self.validation_patients)} patients to validate on"
        )

    @property
    def digest(self) -> str:
        """SHA-256 over who is where, and what their exams consist of."""
        parts = [[exam.digest for exam in part] for part in (self.learn, *self.folds, self.validation)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def is_held_out(patient: str, share: float, salt: str = "") -> bool:
    """Whether a patient belongs to the share that is kept apart: SHA-256 of salt and identifier decides.

    It depends on no other patient: an archive that grows moves nobody from one side to the other.
    """
    return _place(patient, salt) < share


def _place(patient: str, salt: str) -> float:
    """Where in [0, 1) a patient falls."""
    return int.from_bytes(hashlib.sha256((salt + patient).encode()).digest()[:8]) / 2**64


def split_archive(archive: AnnotatedArchive, split: SplitSettings, folder: Path) -> Parts:
    """Tell an archive's patients apart.

    Args:
        archive: annotated exams.
        split: how.
        folder: where a list of validation patients lies.

    Raises:
        ConfigError: a list cannot be read, or a part is empty.
    """
    patients = sorted(set(archive.patients.values()))
    kept = _validation_patients(patients, split, folder)
    rest = [patient for patient in patients if patient not in kept]
    judges = {p for p in rest if split.cross_fit or is_held_out(p, split.judge, f"judge {split.salt}")}
    learners = {p for p in rest if split.cross_fit or p not in judges}
    fold_of = {p: int(_place(p, f"fold {split.salt}") * split.folds) for p in judges}

    def exams(chosen: Collection[str]) -> tuple[ExamRef, ...]:
        by_patient = sorted(archive.exams, key=lambda exam: archive.patients[exam.exam_id])
        return tuple(exam for exam in by_patient if archive.patients[exam.exam_id] in chosen)

    parts = Parts(
        learn=exams(learners),
        judge=exams(judges),
        folds=tuple(exams({p for p in judges if fold_of[p] == k}) for k in range(split.folds)),
        validation=exams(kept),
        validation_patients=tuple(sorted(kept)),
    )
    for name, part in (
        ("learn from", parts.learn),
        ("judge", parts.judge),
        ("validate on", parts.validation),
    ):
        if not part:
            raise ConfigError(
                f"no exam is left to {name}, of {len(patients)} patients; change the shares in [split], or "
                "give more"
            )
    return parts


def _validation_patients(patients: Sequence[str], split: SplitSettings, folder: Path) -> set[str]:
    if not split.validation_patients:
        return {p for p in patients if is_held_out(p, split.validation, f"validation {split.salt}")}
    path = folder / split.validation_patients
    try:
        listed = set(path.read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"validation patients {path} cannot be read: {error}") from None
    return listed & set(patients)
