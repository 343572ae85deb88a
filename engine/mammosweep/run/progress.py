"""How far a run is, said while it runs: live on a terminal, plain lines elsewhere. Always on stderr."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Live

__all__ = ["Lines", "Progress", "Tally", "Terminal", "silent", "watch"]

LINE_EVERY_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Where a run stands."""

    files: int = 0  # files looked at
    exams: int | None = None  # None until every header is read
    done: int = 0  # exams, those of earlier runs included
    done_now: int = 0  # exams of this run
    views: int = 0  # used in this run
    not_scored: int = 0  # of those done
    seconds: float = 0.0  # since this run's first exam began
    finished: bool = False

    @property
    def views_per_s(self) -> float:
        """This run's mean speed."""
        return self.views / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """At this run's mean speed; None before the first exam."""
        if self.exams is None or not self.done_now:
            return None
        return self.seconds / self.done_now * (self.exams - self.done)

    def __str__(self) -> str:
        """Exams done of all, views/s, time left, not scored so far."""
        if self.exams is None:
            return f"reading headers: {self.files} files"
        left = self.seconds_left
        time_left = "time left unknown" if left is None else f"{timedelta(seconds=round(left))} left"
        speed = f"{self.views_per_s:.2f} views/s"
        return f"exams {self.done}/{self.exams}, {speed}, {time_left}, {self.not_scored} not scored"


class Progress(Protocol):
    """Is told whenever something was done."""

    def __call__(self, tally: Tally) -> None:
        """Show it, or not."""


def silent(tally: Tally) -> None:
    """The progress of a sweep that is called as a function."""


class Lines:
    """A plain line at most every ten seconds, and one at the end."""

    def __init__(self, console: Console, now: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._now = now
        self._shown_at = now()

    def __call__(self, tally: Tally) -> None:
        """Print the tally if it is time to."""
        if tally.finished or self._now() - self._shown_at >= LINE_EVERY_S:
            self._shown_at = self._now()
            self._console.print(str(tally), highlight=False, soft_wrap=True)


class Terminal:
    """A bar that is drawn in place."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._task: TaskID = live.add_task("", total=None)

    def __call__(self, tally: Tally) -> None:
        """Redraw the bar."""
        self._live.update(self._task, description=str(tally), total=tally.exams, completed=tally.done)


@contextmanager
def watch(console: Console) -> Iterator[Progress]:
    """The progress that suits where ``console`` writes."""
    if not console.is_terminal:
        yield Lines(console)
        return
    with Live(BarColumn(), TextColumn("{task.description}"), console=console) as live:
        yield Terminal(live)
