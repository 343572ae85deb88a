"""The pipeline as a run sees it: one function from exams to outcomes, and what it computes with.

Where several processes share the work it is two functions: a `Finder` from exams to findings, which needs the
networks, and a `Decider` from findings to outcomes, which does not.

The networks' libraries are imported when a screener is loaded, not before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammosweep.archive.source import Source
from mammosweep.bundle import open_bundle
from mammosweep.clock import StageClock
from mammosweep.config import SweepConfig
from mammosweep.records import ExamOutcome, ExamRef, Provenance, ScreenedExam
from mammosweep.run.chunks import Identity

if TYPE_CHECKING:
    from mammosweep.pipeline import Stages

__all__ = ["About", "Decider", "Finder", "Screener", "load_decider", "load_finder", "load_screener"]


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a sweep must know of the bundle and of what computes with it."""

    provenance: Provenance
    bundle_note: str = ""
    allow_for_processing: bool = False  # the bundle was fitted on such images too
    allow_lossy_jpeg: bool = False  # and 8 bit lossy JPEG is fine enough for it
    plan_agreement: Mapping[str, Any] = field(default_factory=dict)  # compiled plans against fp32 PyTorch

    @property
    def identity(self) -> Identity:
        """What results depend on besides the exam."""
        return Identity(self.provenance.bundle_digest, self.provenance.settings_digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Screener(About):
    """What turns exams into outcomes."""

    screen: Callable[[Iterable[ExamRef], Source], Iterator[ExamOutcome]]  # in the order of the exams
    clock: StageClock = field(default_factory=StageClock)
    close: Callable[[], None] = lambda: None  # ends its threads and processes, once a sweep is over


@dataclass(frozen=True, slots=True, kw_only=True)
class Finder(About):
    """What turns exams into findings: the half that needs pixels."""

    find: Callable[[Iterable[ExamRef], Source], Iterator[ScreenedExam]]  # in the order of the exams
    clock: StageClock = field(default_factory=StageClock)


Decider = Callable[[ScreenedExam], ExamOutcome]
"""What turns findings into an outcome: the other half."""


def load_screener(config: SweepConfig, bundle: Path | None = None) -> Screener:
    """Load a bundle, or the one that is shipped, for the device that the settings ask for.

    Raises:
        BundleError: the bundle is missing, damaged or does not fit.
        DeviceError: the machine lacks the device.
    """
    open_bundle(bundle)  # a damaged one is said at once, not after seconds of loading libraries
    from mammosweep.pipeline import load_stages, screen_all

    stages = load_stages(config, bundle)
    return Screener(
        screen=lambda exams, source: screen_all(exams, source, stages),
        clock=stages.clock,
        close=stages.close,
        **_about(stages),
    )


def load_finder(config: SweepConfig, bundle: Path | None = None) -> Finder:
    """The half of `load_screener` that needs pixels; it raises the same."""
    open_bundle(bundle)
    from mammosweep.pipeline import find_all, load_stages

    stages = load_stages(config, bundle)
    return Finder(
        find=lambda exams, source: find_all(exams, source, stages), clock=stages.clock, **_about(stages)
    )


def load_decider(config: SweepConfig, bundle: Path | None = None) -> Decider:
    """The half of `load_screener` that needs none.

    Raises:
        BundleError: the bundle is missing, damaged or does not fit.
    """
    from mammosweep.decide import decide, load_models

    models = load_models(open_bundle(bundle))
    return lambda screened: decide(screened, models)


def _about(stages: Stages) -> dict[str, Any]:
    manifest = stages.bundle.manifest
    return {
        "provenance": stages.provenance,
        "bundle_note": manifest.note,
        "allow_for_processing": manifest.allow_for_processing,
        "allow_lossy_jpeg": manifest.allow_lossy_jpeg,
        "plan_agreement": stages.plan_agreement,
    }
