"""Whether a compiled plan finds what fp32 PyTorch finds: a plan that does not is never used.

Both detectors run on the same batch, with a lower floor and more candidates than the bundle's own, so that
what is compared is not cut off at one side only.
"""

# Shapes:  B exams   S slots   H, W canvas   K candidates of one view

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torchvision.ops import box_iou

from mammosweep.bundle.manifest import DetectorSpec
from mammosweep.config import Precision
from mammosweep.detect.buckets import ExamBatch
from mammosweep.detect.detector import Candidates
from mammosweep.records import LESION_TYPES

__all__ = ["TOLERANCES", "Agreement", "Figures", "Tolerance", "allowed", "check", "compare", "loosened"]

SCORE_FLOOR = 0.05
"""Boxes from here on are compared; a partner may score less."""

LEAST_IOU = 0.9
"""Of two boxes that stand for each other."""

LEAST_BOXES = 5
"""On fewer nobody can say that two detectors agree."""

ALL_TYPES = "all"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a plan may be from fp32 PyTorch."""

    matched: float  # least share of boxes that have a partner, of the reference's and of the plan's own
    score_difference: float  # largest between partners


TOLERANCES = {
    # Another order of the same sums moves scores by some 1e-5; of boxes, one in ten thousand lies so close to
    # a suppression's threshold that it decides which of two overlapping ones stays.
    Precision.FP32: Tolerance(0.9999, 1e-4),
    # 11 significant bits, in some fifty layers one behind the other; half a step of the decision's own
    # thresholds.
    Precision.FP16: Tolerance(0.99, 0.02),
    # 8 significant bits.
    Precision.BF16: Tolerance(0.97, 0.03),
    # 8 bits for each channel's whole range.
    Precision.INT8: Tolerance(0.95, 0.05),
}


@dataclass(frozen=True, slots=True)
class Figures:
    """How boxes of one type, or of all, agree."""

    reference: int  # boxes that score at least `SCORE_FLOOR`
    reference_matched: int  # of them, those that have a partner
    other: int
    other_matched: int
    largest: float = 0.0  # difference between partners' scores
    p99: float = 0.0
    mean: float = 0.0

    @property
    def matched(self) -> float:
        """The smaller of both sides' shares that have a partner; 1 where there is no box."""
        sides = ((self.reference_matched, self.reference), (self.other_matched, self.other))
        return min(matched / boxes if boxes else 1.0 for matched, boxes in sides)


FURTHER_BOXES, FURTHER_SCORES = 0.05, 1.25
"""A plan in a format that PyTorch computes in too may match so much smaller a share of boxes, and its scores
may differ so many times as far, as PyTorch's own: rounding is the format's doing, not the plan's."""


def allowed(precision: Precision, eager: Figures | None) -> Tolerance:
    """How far a plan may be: as `TOLERANCES` say, or hardly farther than PyTorch is in the same format."""
    strict = TOLERANCES[precision]
    if eager is None:
        return strict
    return Tolerance(
        min(strict.matched, eager.matched - FURTHER_BOXES),
        max(strict.score_difference, FURTHER_SCORES * eager.largest),
    )


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a plan and the reference agree, and whether that will do."""

    precision: Precision
    tolerance: Tolerance
    views: int
    figures: Figures
    by_type: dict[str, Figures]
    batch: str = ""  # what they were compared on, in words
    eager: Figures | None = None  # how PyTorch in the plan's number format agrees, where it was asked

    @property
    def accepted(self) -> bool:
        """Whether the plan may be used."""
        return (
            self.figures.reference >= LEAST_BOXES
            and self.figures.matched >= self.tolerance.matched
            and self.figures.largest <= self.tolerance.score_difference
        )

    @property
    def sentence(self) -> str:
        """The figures, what is allowed, and what they mean."""
        found, limit = self.figures, self.tolerance
        if found.reference < LEAST_BOXES:
            return (
                f"fp32 PyTorch finds {found.reference} boxes of score {SCORE_FLOOR} or more in {self.views} "
                f"views, and {LEAST_BOXES} are the least to compare: give the bundle validation views that "
                "hold lesions"
            )
        return (
            f"{found.reference_matched} of fp32 PyTorch's {found.reference} boxes and {found.other_matched} "
            f"of its own {found.other} have a partner (at least {limit.matched:.2%} of both must), and "
            f"partners' scores differ by up to {found.largest:.2g} ({limit.score_difference:.2g} is allowed "
            f"for {self.precision})"
        )

    def as_json(self) -> dict[str, Any]:
        """What is written beside the plan and into run.json."""
        return {
            "accepted": self.accepted,
            "sentence": self.sentence,
            "precision": str(self.precision),
            "tolerance": dataclasses.asdict(self.tolerance),
            "score_floor": SCORE_FLOOR,
            "iou": LEAST_IOU,
            "batch": self.batch,
            "views": self.views,
            ALL_TYPES: _figures_json(self.figures),
            "by_type": {name: _figures_json(figures) for name, figures in self.by_type.items()},
            "eager": None if self.eager is None else _figures_json(self.eager),
        }


def _figures_json(figures: Figures) -> dict[str, Any]:
    return {"matched": figures.matched} | dataclasses.asdict(figures)


def loosened(spec: DetectorSpec) -> DetectorSpec:
    """A spec whose floor and number of candidates cut nothing off that `compare` looks at."""
    return replace(
        spec,
        score_floor=min(spec.score_floor, SCORE_FLOOR) / 2,
        candidates_per_view=2 * spec.candidates_per_view,
    )


def check(
    plan: Callable[[ExamBatch], list[Candidates]],
    reference: Callable[[ExamBatch], list[Candidates]],
    batches: Iterable[ExamBatch],
    precision: Precision,
    batch: str = "",
    eager: Callable[[ExamBatch], list[Candidates]] | None = None,
) -> Agreement:
    """Run both detectors on the same batches and compare what they find.

    Args:
        plan: the detector on the plan, of a `loosened` spec.
        reference: the detector in fp32 PyTorch, of the same spec.
        batches: what both see.
        precision: the plan's, for its tolerance.
        batch: what the batches are, in words for the report.
        eager: PyTorch in the plan's own number format, of the same spec; see `allowed`.
    """
    found: list[Candidates] = []
    expected: list[Candidates] = []
    rounded: list[Candidates] = []
    for exams in batches:
        found += plan(exams)
        expected += reference(exams)
        rounded += eager(exams) if eager else []
    of_format = compare(expected, rounded, precision).figures if eager else None
    return replace(
        compare(expected, found, precision),
        batch=batch,
        eager=of_format,
        tolerance=allowed(precision, of_format),
    )


def compare(reference: Sequence[Candidates], other: Sequence[Candidates], precision: Precision) -> Agreement:
    """How two detectors' candidates in the same views agree.

    Boxes of one type stand for each other, one to one, where they overlap by at least `LEAST_IOU` and one of
    them scores at least `SCORE_FLOOR`; the closest pairs are made first.
    """
    pairs: dict[str, list[_Pairs]] = defaultdict(list)
    for ours, theirs in zip(reference, other, strict=True):
        for label in sorted(set(ours.labels.tolist()) | set(theirs.labels.tolist())):
            pairs[LESION_TYPES[label - 1]].append(_pairs(ours, theirs, label))
    every = [pair for of_type in pairs.values() for pair in of_type]
    by_type = {name: _figures(of_type) for name, of_type in sorted(pairs.items())}
    return Agreement(precision, TOLERANCES[precision], len(reference), _figures(every), by_type)


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Boxes of one type in one view."""

    reference: Tensor  # scores
    other: Tensor
    partners: list[tuple[int, int]]


def _pairs(ours: Candidates, theirs: Candidates, label: int) -> _Pairs:
    mine, yours = ours.labels == label, theirs.labels == label
    reference, other = ours.scores[mine], theirs.scores[yours]
    counted = torch.maximum(reference[:, None], other) >= SCORE_FLOOR
    overlaps = torch.where(counted, box_iou(ours.boxes[mine], theirs.boxes[yours]), 0.0)
    return _Pairs(reference, other, _partners(overlaps))


def _partners(overlaps_KK: Tensor) -> list[tuple[int, int]]:
    """Pairs of rows and columns, the most overlapping first, none in two pairs."""
    near = (overlaps_KK >= LEAST_IOU).nonzero().tolist()
    near.sort(key=lambda pair: (-float(overlaps_KK[pair[0], pair[1]]), pair))
    rows: set[int] = set()
    columns: set[int] = set()
    partners = []
    for row, column in near:
        if row not in rows and column not in columns:
            partners.append((row, column))
            rows.add(row)
            columns.add(column)
    return partners


def _figures(pairs: Sequence[_Pairs]) -> Figures:
    apart = [abs(float(p.reference[i]) - float(p.other[j])) for p in pairs for i, j in p.partners]
    differences = torch.tensor(apart, dtype=torch.float64)
    counts = (
        sum(int((p.reference >= SCORE_FLOOR).sum()) for p in pairs),
        sum(float(p.reference[i]) >= SCORE_FLOOR for p in pairs for i, _ in p.partners),
        sum(int((p.other >= SCORE_FLOOR).sum()) for p in pairs),
        sum(float(p.other[j]) >= SCORE_FLOOR for p in pairs for _, j in p.partners),
    )
    if not apart:
        return Figures(*counts)
    return Figures(
        *counts, float(differences.max()), float(differences.quantile(0.99)), float(differences.mean())
    )
