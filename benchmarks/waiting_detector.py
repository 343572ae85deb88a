"""A stand-in for a GPU: a detector that takes a known time for each exam, waits for it, and finds nothing."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import torch

from mammosweep.config import SweepConfig
from mammosweep.detect.buckets import ExamBatch
from mammosweep.detect.detector import Candidates
from mammosweep.detect.plans.seam import PlanAbout
from mammosweep.run.screener import Finder

__all__ = ["SECONDS", "load_waiting_finder"]

SECONDS = 1.0
"""For an exam."""


class WaitingDetector:
    def __init__(self, about: PlanAbout) -> None:
        self.about = about

    def exams_at_once(self, size: tuple[int, int]) -> int:
        return 1

    def __call__(self, batch: ExamBatch) -> list[Candidates]:
        time.sleep(SECONDS)
        return [_nothing() for _ in batch.views]


def load_waiting_finder(config: SweepConfig, bundle: Path | None) -> Finder:
    """`load_finder` with everything real but the detector."""
    from mammosweep.pipeline import find_all, load_stages

    loaded = load_stages(config, bundle)
    stages = replace(loaded, detect=WaitingDetector(loaded.detect.about))
    return Finder(
        find=lambda exams, source: find_all(exams, source, stages),
        provenance=stages.provenance,
        clock=stages.clock,
    )


def _nothing() -> Candidates:
    none = torch.zeros(0)
    return Candidates(none.reshape(0, 4), none.long(), none, none.long(), none.reshape(0, 1))
