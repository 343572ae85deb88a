"""Stopping a sweep: no new chunk is taken, those in flight are finished and committed, the next run goes on.

SIGTERM asks for it, and so does the moment that `--until` names. Ctrl-C does not wait: it ends the run at
once and costs what was not committed.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from datetime import time as time_of_day
from typing import TYPE_CHECKING

from mammosweep.errors import ConfigError

if TYPE_CHECKING:
    from mammosweep.run.chunks import Chunk

__all__ = ["Gate", "Stop", "SweepStopped", "on_sigterm", "parse_until"]


def uptime() -> float:
    """Seconds on a clock that nobody sets; on Linux one that goes on while the machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class SweepStopped(Exception):  # noqa: N818 - nothing went wrong: it does what was asked
    """A run ended before its work did, as it was asked to; what is committed stays.

    Attributes:
        why: such as "SIGTERM".
        exams: how many there are; None where headers were still being read.
        done: of those, earlier runs' included.
        seconds: by stage, of this run.
    """

    def __init__(
        self, why: str, *, exams: int | None = None, done: int = 0, seconds: Mapping[str, float] | None = None
    ) -> None:
        super().__init__(why)
        self.why = why
        self.exams = exams
        self.done = done
        self.seconds = seconds or {}

    def __str__(self) -> str:
        """One sentence: why, how far, how to go on."""
        how_far = (
            "while headers were read" if self.exams is None else f"{self.done} of {self.exams} exams are done"
        )
        return f"stopped: {self.why}; {how_far}; resumable: run the same command again to continue"


class Stop:
    """A request to stop, and the moment at which there will be one.

    The moment is kept as seconds from now on a clock that nobody sets: the machine's time of day may be
    corrected while the sweep runs, and neither ends it early nor keeps it going.
    """

    def __init__(
        self, seconds: float | None = None, said: str = "", now: Callable[[], float] = uptime
    ) -> None:
        self._now = now
        self._ends_at = None if seconds is None else now() + seconds
        self._said = said
        self._asked: str | None = None

    @classmethod
    def at(cls, until: str | None) -> Stop:
        """A stop at the moment that ``--until`` names, where it is given.

        Raises:
            ConfigError: it cannot be read, or has passed.
        """
        if until is None:
            return cls()
        now = datetime.now().astimezone()
        return cls((parse_until(until, now) - now).total_seconds(), f"{until} has come (--until)")

    def ask(self, why: str) -> None:
        """Ask for it; the first reason stays."""
        self._asked = self._asked or why

    @property
    def why(self) -> str | None:
        """Why to stop; None: go on."""
        if self._asked is None and self._ends_at is not None and self._now() >= self._ends_at:
            self.ask(self._said)
        return self._asked

    def check(self) -> None:
        """Leave the work before the first chunk.

        Raises:
            SweepStopped: it was asked for.
        """
        if (why := self.why) is not None:
            raise SweepStopped(why)


class Gate:
    """The chunks on their way to the executor: shut once a stop was asked for."""

    def __init__(self, chunks: Iterable[Chunk], stop: Stop) -> None:
        self._chunks = chunks
        self._stop = stop
        self.shut: str | None = None  # why, where a chunk was left behind it

    def __iter__(self) -> Iterator[Chunk]:
        """Each chunk as it is asked for, until the gate is shut."""
        for chunk in self._chunks:
            if (why := self._stop.why) is not None:
                self.shut = why
                return
            yield chunk


@contextmanager
def on_sigterm(stop: Stop) -> Iterator[None]:
    """Have SIGTERM ask for a stop. A second one asks for the same: Ctrl-C or SIGKILL end the run at once."""
    previous = signal.signal(signal.SIGTERM, lambda *_: stop.ask("SIGTERM"))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def parse_until(text: str, now: datetime) -> datetime:
    """The moment that ``--until`` names: the next time that the clock shows HH:MM, or an ISO date and time.

    Without an offset both are local, with the offset of that day.

    Raises:
        ConfigError: it is neither, or has passed.
    """
    try:
        at = time_of_day.fromisoformat(text)
    except ValueError:
        return _moment(text, now)
    today = now.astimezone(at.tzinfo)
    moments = (datetime.combine(today.date() + timedelta(days), at).astimezone() for days in (0, 1, 2))
    return next(moment for moment in moments if moment > now)


def _moment(text: str, now: datetime) -> datetime:
    try:
        moment = datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise ConfigError(
            f"--until is {text!r}; expected a time such as 06:00, or a date and time such as 2026-11-30T06:00"
        ) from None
    if moment <= now:
        raise ConfigError(f"--until is {text!r}, which has passed; give a moment to come")
    return moment
