"""A detector and a decision that cost nothing: what is left of a sweep is the engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.scale_archive import findings_of, outcome_of
from mammosweep.archive.source import Source
from mammosweep.bundle import open_bundle
from mammosweep.config import SweepConfig
from mammosweep.records import ExamOutcome, ExamRef, Provenance, ScreenedExam
from mammosweep.run.screener import Decider, Finder

__all__ = ["load_instant_decider", "load_instant_finder"]


def load_instant_finder(config: SweepConfig, bundle: Path | None) -> Finder:
    """`load_finder` without networks: a finding in every view, in no time."""
    opened = open_bundle(bundle)
    provenance = Provenance(
        engine_version="0",
        bundle=opened.title,
        bundle_digest=opened.digest,
        settings_digest=config.digest,
        device="cpu",
        precision="fp32",
    )

    def find(exams: Iterable[ExamRef], source: Source) -> Iterator[ScreenedExam]:
        for exam in exams:
            yield ScreenedExam(
                exam=exam,
                imaged=exam.views,
                images=exam.images,
                findings=tuple(findings_of(exam).values()),
                provenance=provenance,
            )

    return Finder(find=find, provenance=provenance)


def load_instant_decider(config: SweepConfig, bundle: Path | None) -> Decider:
    """`load_decider` without models."""

    def decide(screened: ScreenedExam) -> ExamOutcome:
        return outcome_of(screened.exam, screened.provenance)

    return decide
