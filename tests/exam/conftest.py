"""Findings to build exams from, and exams whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from mammosweep.exam.score import CategoryThresholds
from mammosweep.fit.exam import LabelledExam, LabelledFinding, fit_exam
from mammosweep.records import LESION_TYPES, Finding, Laterality, Lesion, LesionType, Position


def _finding(slot="LCC", **changes):
    values = {
        "sop_instance_uid": f"1.2.3.{ord(slot[0])}.{len(slot)}",
        "laterality": Laterality(slot[0]),
        "position": Position(slot[1:]),
        "box_px": (100.0, 200.0, 180.0, 260.0),
        "size_mm": (6.0, 8.0),
        "type": LesionType.MASS,
        "score": 0.5,
        "flip_votes": 4,
        "embedding": np.array([1.0, 0.0], dtype=np.float32),
    }
    return Finding(**values | changes)


@pytest.fixture(scope="session")
def finding():
    """Builds a finding: finding("RMLO", score=0.7)."""
    return _finding


@pytest.fixture(scope="session")
def thresholds():
    """Categories that begin at round numbers."""
    return CategoryThresholds((0.1, 0.2, 0.4, 0.6, 0.8))


def _random_exam(rng, num_lesions, num_false):
    """Lesions seen in both views with their own depth, size and direction of embedding; and false marks.

    Malignant ones look malignant and have spiculated margins, both more often than not.
    """
    labelled = []
    for number in range(num_lesions):
        side, depth, size, angle = rng.choice(list("LR")), rng.random(), rng.uniform(4, 20), rng.uniform(0, 6)
        malignant = bool(rng.random() < 0.5)
        for position in Position:
            found = _finding(
                f"{side}{position}",
                depth=float(depth + rng.normal(0, 0.02)),
                size_mm=(float(size), float(size * rng.uniform(0.9, 1.1))),
                type=LESION_TYPES[number % 4],
                score=float(rng.uniform(0.6, 1.0)),
                malignancy=float(rng.uniform(0.55, 1.0) if malignant else rng.uniform(0.0, 0.45)),
                nipple_mm=float(80 * depth + rng.normal(0, 2)),
                character={"margin": "spiculated" if malignant else "circumscribed"},
                quadrant="middle",
                embedding=np.array([np.cos(angle), np.sin(angle)], dtype=np.float32),
            )
            labelled.append(LabelledFinding(finding=found, truth_lesion_id=f"{number}", malignant=malignant))
    for _ in range(num_false):
        angle, slot = rng.uniform(0, 6), f"{rng.choice(list('LR'))}{rng.choice(list(Position))}"
        found = _finding(
            slot,
            depth=float(rng.random()),
            size_mm=(float(rng.uniform(4, 20)), 7.0),
            score=float(rng.uniform(0.05, 0.5)),
            malignancy=float(rng.uniform(0.0, 0.5)),
            embedding=np.array([np.cos(angle), np.sin(angle)], dtype=np.float32),
        )
        labelled.append(LabelledFinding(finding=found, truth_lesion_id=None))
    return LabelledExam(findings=tuple(labelled))


@pytest.fixture(scope="session")
def random_exam():
    """Builds a labelled exam: random_exam(rng, num_lesions, num_false)."""
    return _random_exam


@pytest.fixture(scope="session")
def labelled_exams():
    """Sixty exams of two lesions and four false marks."""
    rng = np.random.default_rng(7)
    return [_random_exam(rng, num_lesions=2, num_false=4) for _ in range(60)]


@pytest.fixture(scope="session")
def fitted(labelled_exams):
    """All exam models, fitted to the sixty exams."""
    return fit_exam(labelled_exams, seed=5)


@pytest.fixture
def lesion(finding):
    """Builds a lesion of the left breast: lesion(malignancy, "CC", "MLO")."""

    def make(malignancy, *positions):
        return Lesion(
            lesion_id="L1",
            laterality=Laterality.LEFT,
            type=LesionType.MASS,
            cc=finding("LCC") if "CC" in positions else None,
            mlo=finding("LMLO") if "MLO" in positions else None,
            match_probability=None,
            malignancy=malignancy,
            category="2",
        )

    return make
