"""`--log`: what a run does as lines on stderr, in JSON or in words. No patient data.

An exam is named by the file name of its page: 16 hexadecimal digits of its id's SHA-256. Ids, UIDs, paths
of images and texts of headers are never written, nor messages of exams, which may hold them; nor `--where`,
which may name an exam.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import singledispatch
from typing import Any, TextIO

from mammosweep.records import ExamStatus
from mammosweep.report.html import slug
from mammosweep.run.events import (
    ChunkCommitted,
    ChunkTaken,
    Event,
    RunFailed,
    RunFinished,
    RunStarted,
    RunStopped,
)
from mammosweep.run.log_format import LogFormat

__all__ = ["Log"]

Fields = dict[str, Any]


class Log:
    """Writes one line for each thing that happens; call it with an `Event`."""

    def __init__(
        self, form: LogFormat, stream: TextIO, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._form = form
        self._stream = stream
        self._now = now
        self._run_id = ""

    def __call__(self, event: Event) -> None:
        """Write the event's lines."""
        if isinstance(event, RunStarted):
            self._run_id = event.begun.run_id
        for fields in _lines(event):
            record = {"time": self._now().isoformat(timespec="milliseconds"), **fields}
            self._stream.write(self._line(record | ({"run_id": self._run_id} if self._run_id else {})) + "\n")
        self._stream.flush()

    def _line(self, record: Fields) -> str:
        if self._form is LogFormat.JSON:
            return json.dumps(record)
        time, level, event = (record.pop(name) for name in ("time", "level", "event"))
        words = " ".join(f"{name}={_plain(value)}" for name, value in _flat(record))
        return f"{time} {level:7} {event} {words}"


def _flat(record: Fields, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested fields with dotted names."""
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _flat(dict(value), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _plain(value: object) -> str:
    text = str(value)
    return json.dumps(text) if not text or " " in text or "\n" in text else text


@singledispatch
def _lines(event: Event) -> Iterator[Fields]:
    raise TypeError(type(event))


@_lines.register
def _(event: RunStarted) -> Iterator[Fields]:
    begun, provenance = event.begun, event.about.provenance
    yield {
        "level": "info",
        "event": "run-started",
        "files": begun.files,
        "exams": begun.exams,
        "done": begun.done,
        "shard": begun.shard,
        "where": bool(begun.where),
        "bundle": provenance.bundle,
        "bundle_digest": provenance.bundle_digest,
        "settings_digest": provenance.settings_digest,
        "engine_version": provenance.engine_version,
        "device": provenance.device,
    }


@_lines.register
def _(event: ChunkTaken) -> Iterator[Fields]:
    yield from ()


@_lines.register
def _(event: ChunkCommitted) -> Iterator[Fields]:
    part = event.part
    for exam in part.exams:
        if exam.status is ExamStatus.NOT_SCORED:
            yield {
                "level": "warning",
                "event": "exam-not-scored",
                "exam": slug(exam.exam_id),
                "reason": exam.reason,
                "chunk": part.chunk_id,
            }
    counts = {str(status): sum(exam.status is status for exam in part.exams) for status in ExamStatus}
    yield {
        "level": "info",
        "event": "chunk-committed",
        "chunk": part.chunk_id,
        "exams": len(part.exams),
        **counts,
        "views": sum(exam.views_used for exam in part.exams),
        "seconds": {stage: round(value, 3) for stage, value in sorted(part.seconds.items())},
    }


@_lines.register
def _(event: RunStopped) -> Iterator[Fields]:
    fields = {"why": event.why, "exams": event.exams, "done": event.done, "resumable": True}
    yield {"level": "info", "event": "run-stopped", **fields}


@_lines.register
def _(event: RunFinished) -> Iterator[Fields]:
    yield {
        "level": "info",
        "event": "run-finished",
        "nothing_new": event.nothing_new,
        **event.counts.as_json(),
        "seconds": {stage: round(value, 3) for stage, value in sorted(event.seconds.items())},
    }


@_lines.register
def _(event: RunFailed) -> Iterator[Fields]:
    yield {"level": "error", "event": "run-failed", "error": event.error, "message": event.message}
