"""Whether two detectors found the same: boxes of one type in one image that are each other's."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.harness import Row, figure_row
from mammosweep.evaluate.boxes import iou_matrix
from mammosweep.records import Finding

__all__ = ["Mark", "agreement_rows", "differences", "likes", "marks_of"]

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Mark:
    """A finding as far as it is compared."""

    image: str
    kind: str
    score: float
    box_px: Box


def marks_of(findings: Sequence[Finding]) -> list[Mark]:
    """Of the engine's findings."""
    return [Mark(f.sop_instance_uid, str(f.type), f.score, f.box_px) for f in findings]


def likes(marks: Sequence[Mark], others: Sequence[Mark], iou: float) -> Iterator[tuple[Mark, Mark | None]]:
    """Each mark with that of the others, of its image and type, that overlaps it most, by ``iou`` or more."""
    there = _by_kind(others)
    for what, group in _by_kind(marks).items():
        known = there.get(what)
        if not known:
            yield from ((mark, None) for mark in group)
            continue
        overlaps = iou_matrix([m.box_px for m in group], [m.box_px for m in known])
        for mark, row in zip(group, overlaps, strict=True):
            yield mark, known[int(row.argmax())] if row.max() >= iou else None


def _by_kind(marks: Sequence[Mark]) -> dict[tuple[str, str], list[Mark]]:
    groups: dict[tuple[str, str], list[Mark]] = defaultdict(list)
    for mark in marks:
        groups[mark.image, mark.kind].append(mark)
    return groups


def differences(ours: Sequence[Mark], theirs: Sequence[Mark], *, floor: float, iou: float) -> list[float]:
    """How far scores are apart: of every mark from ``floor`` on, on both sides, from its like on the other.

    The like may score below the floor. NaN where there is none.
    """
    return [
        abs(mark.score - like.score) if like is not None else math.nan
        for one, other in ((ours, theirs), (theirs, ours))
        for mark, like in likes(one, other, iou)
        if mark.score >= floor
    ]


def agreement_rows(name: str, apart: Sequence[float]) -> list[Row]:
    """Of `differences`: the share that has a like, and how far scores of likes are apart."""
    known = [one for one in apart if not math.isnan(one)]
    rows = [figure_row(f"{name}/boxes", "boxes, both ways", [float(len(apart))])]
    if not known:
        return rows
    return [
        *rows,
        figure_row(f"{name}/matched", "share", [len(known) / len(apart)]),
        figure_row(f"{name}/largest-score-difference", "score", [max(known)]),
        figure_row(f"{name}/score-difference-p99", "score", [float(np.percentile(known, 99))]),
        figure_row(f"{name}/mean-score-difference", "score", [float(np.mean(known))]),
    ]
