"""The pipeline as a run sees it: one function from exams to outcomes, and what it computes with.

The networks' libraries are imported when a screener is loaded, not before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mammosweep.archive.source import Source
from mammosweep.bundle import open_bundle
from mammosweep.clock import StageClock
from mammosweep.config import SweepConfig
from mammosweep.records import ExamOutcome, ExamRef, Provenance
from mammosweep.run.chunks import Identity

__all__ = ["About", "Screener", "load_screener"]


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
        provenance=stages.provenance,
        bundle_note=stages.bundle.manifest.note,
        allow_for_processing=stages.bundle.manifest.allow_for_processing,
        allow_lossy_jpeg=stages.bundle.manifest.allow_lossy_jpeg,
        clock=stages.clock,
        plan_agreement=stages.plan_agreement,
        close=stages.close,
    )
