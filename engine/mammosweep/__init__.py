"""mammosweep sweeps screening-mammography archives: lesions, exam scores and a reading order for every exam.

Research use only.

    import mammosweep

    for outcome in mammosweep.sweep("archive/"):  # outcomes as they come, nothing written
        print(outcome.exam_id, outcome.status, outcome.score)

    mammosweep.sweep_to("results/", "archive/")  # tables, worklist and pages
    exams = mammosweep.read_table("results/", "exams")  # a pyarrow.Table

Names are imported when they are first used, so that a process which only reads headers stays small.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mammosweep.version import __version__

if TYPE_CHECKING:
    from mammosweep.config import (
        ArchiveConfig,
        DetectConfig,
        Device,
        FlipMode,
        PixelsConfig,
        Precision,
        RayConfig,
        ReportConfig,
        RunConfig,
        SweepConfig,
        load_config,
    )
    from mammosweep.errors import (
        BundleError,
        ConfigError,
        DeviceError,
        Flag,
        LedgerError,
        Reason,
        SourceError,
        SweepError,
    )
    from mammosweep.records import (
        ExamOutcome,
        ExamStatus,
        Finding,
        ImageRecord,
        ImageStatus,
        Laterality,
        Lesion,
        LesionType,
        Position,
        Provenance,
    )
    from mammosweep.run.counts import Counts
    from mammosweep.run.local import SweepSummary, sweep, sweep_to
    from mammosweep.run.progress import Progress, Tally
    from mammosweep.run.results import read_table
    from mammosweep.run.status import State, Status, status

__all__ = [
    "ArchiveConfig",
    "BundleError",
    "ConfigError",
    "Counts",
    "DetectConfig",
    "Device",
    "DeviceError",
    "ExamOutcome",
    "ExamStatus",
    "Finding",
    "Flag",
    "FlipMode",
    "ImageRecord",
    "ImageStatus",
    "Laterality",
    "LedgerError",
    "Lesion",
    "LesionType",
    "PixelsConfig",
    "Position",
    "Precision",
    "Progress",
    "Provenance",
    "RayConfig",
    "Reason",
    "ReportConfig",
    "RunConfig",
    "SourceError",
    "State",
    "Status",
    "SweepConfig",
    "SweepError",
    "SweepSummary",
    "Tally",
    "__version__",
    "load_config",
    "read_table",
    "status",
    "sweep",
    "sweep_to",
]

_HOMES = {
    "mammosweep.config": (
        *("ArchiveConfig", "DetectConfig", "Device", "FlipMode", "PixelsConfig", "Precision"),
        *("RayConfig", "ReportConfig", "RunConfig", "SweepConfig", "load_config"),
    ),
    "mammosweep.errors": (
        *("BundleError", "ConfigError", "DeviceError", "Flag", "LedgerError", "Reason"),
        *("SourceError", "SweepError"),
    ),
    "mammosweep.records": (
        *("ExamOutcome", "ExamStatus", "Finding", "ImageRecord", "ImageStatus", "Laterality"),
        *("Lesion", "LesionType", "Position", "Provenance"),
    ),
    "mammosweep.run.results": ("read_table",),
    "mammosweep.run.counts": ("Counts",),
    "mammosweep.run.local": ("SweepSummary", "sweep", "sweep_to"),
    "mammosweep.run.progress": ("Progress", "Tally"),
    "mammosweep.run.status": ("State", "Status", "status"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:  # PEP 562
    if name not in _HOME_OF:
        raise AttributeError(f"module 'mammosweep' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
