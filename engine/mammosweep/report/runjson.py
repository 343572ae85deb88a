"""The run's own record: settings, versions, digests, device, counts and seconds, as run.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from mammosweep.report.atomic import write_text
from mammosweep.report.schemas import SCHEMA_VERSION

__all__ = ["RUN_FILE", "write_run"]

RUN_FILE = "run.json"


def write_run(out: Path, run: Mapping[str, object]) -> None:
    """Write `run` as `out`/run.json: keys sorted, the schema's version added, replaced at once or not at all.

    Raises:
        TypeError: a value has no JSON form.
        ValueError: a number is NaN or infinite, which JSON cannot hold.
    """
    record = {**run, "schema_version": SCHEMA_VERSION}
    write_text(out / RUN_FILE, json.dumps(record, indent=2, sort_keys=True, allow_nan=False) + "\n")
