"""What run.json says of the run itself: settings, bundle, versions, device."""

from __future__ import annotations

import platform
from dataclasses import asdict
from importlib import metadata
from typing import Any

from mammosweep.config import SweepConfig
from mammosweep.run.begun import Begun
from mammosweep.run.screener import About

__all__ = ["LIBRARIES", "run_record"]

LIBRARIES = (
    *("imagecodecs", "numpy", "opencv-python-headless", "pyarrow", "pydicom"),
    *("safetensors", "timm", "torch", "torchvision", "xgboost"),
    *("openvino", "nncf", "torch-tensorrt", "tensorrt"),
)
"""The distributions whose version can change a result."""


def run_record(begun: Begun, about: About, config: SweepConfig) -> dict[str, Any]:
    """Everything of run.json but the counts and seconds."""
    return {
        "complete": True,
        "run_id": begun.run_id,
        "root": begun.root,
        "archive_digest": begun.archive_digest,
        "selection": {"where": begun.where, "shard": begun.shard},
        "started_at": begun.started_at,
        "settings": asdict(config),
        "bundle_note": about.bundle_note,
        "allow_for_processing": about.allow_for_processing,
        "allow_lossy_jpeg": about.allow_lossy_jpeg,
        "python": platform.python_version(),
        "libraries": {name: version for name in LIBRARIES if (version := _version(name))},
        **asdict(about.provenance),
        "plan_agreement": dict(about.plan_agreement),
    }


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
