"""`sweep.json`: what the latest run into a folder set out to do, written before its first exam."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mammosweep.errors import LedgerError
from mammosweep.report.atomic import write_text
from mammosweep.run.chunks import Identity

__all__ = ["BEGUN_FILE", "Begun", "read_begun", "write_begun"]

BEGUN_FILE = "sweep.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A run's intentions."""

    run_id: str
    root: str  # the source's url: an absolute folder, or a URL
    archive_digest: str  # over every exam and file of the source
    identity: Identity
    files: int
    exams: int
    done: int  # exams that earlier runs had committed
    not_scored: int  # of those
    started_at: str  # ISO 8601, UTC
    reasons: Mapping[str, int] = field(default_factory=dict)  # why those were not scored
    where: str = ""  # which exams were selected, as `--where` says it; empty: all
    shard: str = ""  # "2/8", where the sweep is one shard of several

    @property
    def selection(self) -> str:
        """What is swept, in words; empty: everything."""
        where = f"where {self.where}" if self.where else ""
        return ", ".join(filter(None, (where, f"shard {self.shard}" if self.shard else "")))


def write_begun(out: Path, begun: Begun) -> None:
    """Write ``out/sweep.json``."""
    record = {"schema_version": SCHEMA_VERSION} | asdict(begun)
    write_text(out / BEGUN_FILE, json.dumps(record, indent=2, sort_keys=True) + "\n")


def read_begun(out: Path) -> Begun | None:
    """Read ``out/sweep.json``; None where no run has begun.

    Raises:
        LedgerError: unreadable or of another schema version.
    """
    try:
        record: dict[str, Any] = json.loads((out / BEGUN_FILE).read_text(encoding="utf-8"))
        if (version := record.pop("schema_version")) != SCHEMA_VERSION:
            raise ValueError(f"schema version is {version}, expected {SCHEMA_VERSION}")
        return Begun(**record | {"identity": Identity(**record["identity"])})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LedgerError(
            f"{out.name}/{BEGUN_FILE} cannot be used ({type(error).__name__}: {error}); remove it and run "
            "the sweep again: what is committed stays"
        ) from None
