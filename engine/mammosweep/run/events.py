"""What a run tells those who watch it, and nothing more: logs and metrics are made of these alone.

A chunk is told of once it is committed, whatever carried it out, so one process or a cluster look the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from mammosweep.run.begun import Begun
    from mammosweep.run.counts import Counts
    from mammosweep.run.part import Part
    from mammosweep.run.screener import About

__all__ = [
    "ChunkCommitted",
    "ChunkTaken",
    "Event",
    "RunFailed",
    "RunFinished",
    "RunStarted",
    "RunStopped",
    "Tell",
    "nobody",
]


@dataclass(frozen=True, slots=True)
class RunStarted:
    """Headers are read, and what is to be done is known."""

    begun: Begun
    about: About


@dataclass(frozen=True, slots=True)
class ChunkTaken:
    """A chunk was given to what screens it."""

    chunk_id: str
    exams: int


@dataclass(frozen=True, slots=True)
class ChunkCommitted:
    """A chunk's results are safe."""

    part: Part


@dataclass(frozen=True, slots=True)
class RunStopped:
    """The run ended before its work did, as it was asked to."""

    why: str
    exams: int | None  # None where headers were still being read
    done: int


@dataclass(frozen=True, slots=True)
class RunFinished:
    """Everything is done, and the counts add up."""

    counts: Counts
    seconds: Mapping[str, float]  # by stage
    nothing_new: bool


@dataclass(frozen=True, slots=True)
class RunFailed:
    """The run ended in an error."""

    error: str  # its kind
    message: str  # one sentence; empty where it might quote what a file holds


Event: TypeAlias = RunStarted | ChunkTaken | ChunkCommitted | RunStopped | RunFinished | RunFailed

Tell = Callable[[Event], None]


def nobody(event: Event) -> None:
    """Nobody watches."""
