"""Whether a score depends on who shares the batch: exams of one canvas alone, and two to four together.

One of the exams lacks a view. The phantom bundle, every plan and number format. Findings are compared as the
detector gives them, exam scores as whole sweeps give them for one, two and four exams a batch.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.agreement import Mark, likes
from benchmarks.bundles import PHANTOM_BUNDLE
from benchmarks.harness import Row, failed_row, figure_row
from benchmarks.plans import PLANS, cpu, load_detector
from benchmarks.sweeps import batches_of, sweep_warm, warm_screener
from mammosweep.bundle import open_bundle
from mammosweep.detect.buckets import ExamBatch, joined
from mammosweep.detect.detector import Candidates, Detector
from mammosweep.errors import SweepError
from mammosweep.phantom import PhantomConfig, Syntax, write_phantoms

__all__ = ["rows"]

NUM_EXAMS = 6
SEED = 406
COMPANY = (2, 3, 4)
BATCHES = (1, 2, 4)
SAME_IOU = 0.5


def rows(num_exams: int = NUM_EXAMS, plans: Sequence[str] = tuple(PLANS)) -> list[Row]:
    """The largest score difference of each plan."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder, "archive")
        config = PhantomConfig(lesion_rate=1.0)
        write_phantoms(archive, exams=num_exams, seed=SEED, syntaxes=[Syntax.JPEG_LS], config=config)
        return [row for name in plans for row in _rows_of(name, archive)]


def _rows_of(name: str, archive: Path) -> list[Row]:
    config, bundle = cpu(name), open_bundle(PHANTOM_BUNDLE)
    try:
        detector = load_detector(bundle, config.detect)
        canvases = batches_of(archive, bundle.manifest.grid_mm, bundle.manifest.detector, config)
        return [
            figure_row(f"company/{name}", "score", [_of_findings(detector, canvases)]),
            figure_row(f"company/exam-scores/{name}", "score", [_of_exams(name, archive)]),
        ]
    except SweepError as error:
        return [failed_row(f"company/{name}", f"no such plan here: {type(error).__name__}")]


def _of_findings(detector: Detector, canvases: Sequence[ExamBatch]) -> float:
    """Largest over all exams of the canvas that most exams have."""
    exams = _of_one_canvas(canvases)
    alone = [detector(exam) for exam in exams]
    largest = 0.0
    for size in COMPANY:
        for first in range(0, len(exams) - size + 1):
            found = detector(joined(exams[first : first + size]))
            expected = [one for some in alone[first : first + size] for one in some]
            apart = [_apart(*pair) for pair in zip(found, expected, strict=True)]
            largest = max(largest, *apart)
    return largest


def _of_one_canvas(canvases: Sequence[ExamBatch]) -> list[ExamBatch]:
    groups: dict[tuple[int, int], list[ExamBatch]] = defaultdict(list)
    for batch in canvases:
        groups[batch.size].append(batch)
    most = max(groups.values(), key=len)
    return [*most, _with_a_view_less(most[0])]


def _with_a_view_less(exam: ExamBatch) -> ExamBatch:
    """The same exam without its first view."""
    present = exam.present.clone()
    present[0, 0] = False
    pixels = torch.where(present[..., None, None, None], exam.pixels, exam.pixels.min())
    return replace(exam, pixels=pixels, present=present, views=exam.views[1:], grids=exam.grids[1:])


def _apart(found: Candidates, expected: Candidates) -> float:
    """The largest score difference of one view; a finding without its like counts with all of its score."""
    mine, theirs = _marks(found), _marks(expected)
    return max(
        (
            abs(mark.score - (0.0 if like is None else like.score))
            for one, other in ((mine, theirs), (theirs, mine))
            for mark, like in likes(one, other, SAME_IOU)
        ),
        default=0.0,
    )


def _marks(found: Candidates) -> list[Mark]:
    rows = zip(found.labels.tolist(), found.scores.tolist(), found.boxes.tolist(), strict=True)
    return [Mark("", str(label), score, tuple(box)) for label, score, box in rows]


def _of_exams(name: str, archive: Path) -> float:
    """Largest over all exams, of sweeps with different numbers of exams in a batch."""
    sweeps = []
    for exams in BATCHES:
        config = cpu(name, batch_exams=exams)
        with warm_screener(config, PHANTOM_BUNDLE) as screener:
            outcomes = sweep_warm(screener, archive, config)
        sweeps.append([outcome.score for outcome in outcomes if outcome.score is not None])
    plain, *others = sweeps
    return max(abs(a - b) for other in others for a, b in zip(plain, other, strict=True))
