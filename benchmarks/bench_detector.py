"""The whole way from files to findings, beside a plain torchvision script: same weights, crops and flips.

A turn is one exam: every plan, then the script, one after the other. Everything is loaded and compiled before
the clock starts: each exam has gone through every plan once, and through the script, whose findings of that
first time are compared. There the script sees the engine's own canvases, so that both look at the same
tensors; in the timed turns it sees its own, smaller ones.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torchvision.models.detection import FasterRCNN

from benchmarks import resnet50
from benchmarks.agreement import Mark, agreement_rows, differences, marks_of
from benchmarks.harness import Row, failed_row, figure_row, interleaved_seconds
from benchmarks.peers import torchvision_script as script
from benchmarks.plans import PLANS, cpu
from benchmarks.resnet50_bundle import SCORE_FLOOR, resnet50_bundle
from benchmarks.sweeps import normalised_views, sweep_warm, warm_screener
from mammosweep.bundle import open_bundle
from mammosweep.config import SweepConfig
from mammosweep.detect.buckets import ExamBatch, make_batches
from mammosweep.errors import SweepError
from mammosweep.geometry import clipped
from mammosweep.phantom import PhantomConfig, Syntax, write_phantoms
from mammosweep.pixels.normalise import NormalisedView
from mammosweep.records import LESION_TYPES, View
from mammosweep.run.screener import Screener

__all__ = ["rows"]

NUM_EXAMS = 2  # turns
SEED = 404
SPACING_MM = 0.1
FROM_SCORE = 0.05  # findings that are compared; the floor of both sides is lower, so that none flickers there
SAME_IOU = 0.9

Exam = dict[View, NormalisedView]


@dataclass(frozen=True, slots=True)
class Ours:
    """One plan, ready."""

    screener: Screener
    config: SweepConfig

    def sweep(self, exam: Path) -> list[Mark]:
        """One exam from its files to its findings."""
        [outcome] = sweep_warm(self.screener, exam, self.config)
        return marks_of(outcome.findings)


@dataclass(frozen=True, slots=True)
class Theirs:
    """The script, ready."""

    model: FasterRCNN

    def screen(self, exam: Path, views: Exam) -> None:
        """One exam from its files to its findings, on crops that torchvision pads itself."""
        files = [
            script.ScriptView(exam / view.path, _whole(normalised), normalised.gray)
            for view, normalised in views.items()
        ]
        script.screen(self.model, files, resnet50.GRID_MM, SPACING_MM)

    def find(self, canvas: ExamBatch) -> list[Mark]:
        """What the model finds on the engine's canvas of one view."""
        [view], [grid] = canvas.views, canvas.grids
        found = script.find(self.model, canvas.pixels[0, 0, 0].numpy())
        boxes_px = clipped(grid.to_native(found.boxes.numpy()), view.size_px).tolist()
        return [
            Mark(view.sop_instance_uid, str(LESION_TYPES[label - 1]), score, tuple(box_px))
            for label, score, box_px in zip(
                found.labels.tolist(), found.scores.tolist(), boxes_px, strict=True
            )
        ]


def rows(num_exams: int = NUM_EXAMS, plans: Sequence[str] = tuple(PLANS)) -> list[Row]:
    """How many times faster each plan is than the script, and whether it found the same."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        bundle = resnet50_bundle()
        exams = _exams(Path(folder, "phantoms"), num_exams)
        theirs = Theirs(script.load_model(resnet50.weights(), SCORE_FLOOR))
        ours, failed = _loaded(plans, bundle, stack)
        return [
            *failed,
            *_agreement(ours, theirs, exams, bundle),
            *_times(ours, theirs, exams),
        ]


def _exams(archive: Path, num_exams: int) -> list[tuple[Path, Exam]]:
    """Exams, each in a folder of its own, and their views as both sides are to see them."""
    config = PhantomConfig(spacing_mm=SPACING_MM, lesion_rate=1.0)
    write_phantoms(archive, exams=num_exams, seed=SEED, syntaxes=[Syntax.JPEG_LOSSLESS], config=config)
    folders = sorted(path for path in archive.iterdir() if path.is_dir())
    how = cpu("torch-fp32")
    return [(folder, normalised_views(folder, resnet50.GRID_MM, how)[0]) for folder in folders]


def _loaded(names: Sequence[str], bundle: Path, stack: ExitStack) -> tuple[dict[str, Ours], list[Row]]:
    ours, failed = {}, []
    for name in names:
        config = cpu(name)
        try:
            ours[name] = Ours(stack.enter_context(warm_screener(config, bundle)), config)
        except SweepError as error:
            failed.append(
                failed_row(f"detector/times-script/{name}", f"no such plan here: {type(error).__name__}")
            )
    return ours, failed


def _agreement(
    ours: dict[str, Ours], theirs: Theirs, exams: Sequence[tuple[Path, Exam]], bundle: Path
) -> list[Row]:
    """Everybody's first time, which is not measured."""
    spec = open_bundle(bundle).manifest.detector
    canvases = [canvas for _, views in exams for canvas in make_batches(views, spec)]
    expected = [mark for canvas in canvases for mark in theirs.find(canvas)]
    found = []
    for name, plan in ours.items():
        marks = [mark for exam, _ in exams for mark in plan.sweep(exam)]
        apart = differences(marks, expected, floor=FROM_SCORE, iou=SAME_IOU)
        found += agreement_rows(f"detector/agreement/{name}", apart)
    return found


def _times(ours: dict[str, Ours], theirs: Theirs, exams: Sequence[tuple[Path, Exam]]) -> list[Row]:
    """Seconds of each plan and of the script, exam by exam."""
    taken: dict[str, list[float]] = {name: [] for name in (*ours, "script")}
    for exam, views in exams:
        works: list[Callable[[], object]] = [partial(plan.sweep, exam) for plan in ours.values()]
        works.append(partial(theirs.screen, exam, views))
        for name, [seconds] in zip(taken, interleaved_seconds(works, 1, warmup=0), strict=True):
            taken[name].append(seconds)
    return [
        *(figure_row(f"detector/exam/{name}", "exams/s", [1 / s for s in t]) for name, t in taken.items()),
        *(
            figure_row(
                f"detector/times-script/{name}",
                "times",
                [b / a for a, b in zip(taken[name], taken["script"], strict=True)],
            )
            for name in ours
        ),
    ]


def _whole(normalised: NormalisedView) -> tuple[int, int, int, int]:
    x1, y1, x2, y2 = (round(edge) for edge in normalised.grid.crop_px)
    return x1, y1, x2, y2
