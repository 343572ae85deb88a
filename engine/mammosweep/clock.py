"""Seconds by stage, for the run's account of where its time went; stages run beside each other."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

__all__ = ["SCREEN", "WAIT_COMMIT", "WAIT_VIEWS", "StageClock"]

SCREEN = "screen"
"""From the first exam's turn to the last one's: what the others are to be compared with."""

WAIT_VIEWS, WAIT_COMMIT = "wait-views", "wait-commit"
"""Seconds that the detector stood still because views, or the writing of earlier exams, took longer."""


class StageClock:
    """Adds up wall seconds under a name; threads that work at the same time add up too."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._lock = Lock()

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Count the time spent inside towards ``stage``."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - start)

    def add(self, stage: str, seconds: float) -> None:
        """Count seconds towards ``stage``."""
        with self._lock:
            self.seconds[stage] += seconds

    def snapshot(self) -> dict[str, float]:
        """Seconds by stage so far."""
        with self._lock:
            return dict(self.seconds)
