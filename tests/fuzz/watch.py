"""Memory, descriptors and processes over a run: they must not grow."""

from __future__ import annotations

import gc
import os
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median

__all__ = ["MAX_GROWTH_MIB", "Watch"]

MAX_GROWTH_MIB = 24.0
"""From the run's second fifth to its last: caches fill, heaps fragment; a leak of 1 KiB a file makes 60."""

SETTLE_S = 5.0


class Watch:
    """Looks now and then at this process and its workers."""

    def __init__(self) -> None:
        self._descriptors = _num_descriptors()
        self._children = _children()
        self._resident: dict[str, list[float]] = defaultdict(list)  # MiB, of the parent and of its workers

    def look(self, workers: Sequence[int | None]) -> None:
        """Take down how much memory is resident."""
        self._resident["the parent"].append(_resident_mib(os.getpid()))
        sizes = [_resident_mib(pid) for pid in workers if pid is not None]
        if sizes:
            self._resident["a worker"].append(max(sizes))

    def growth_mib(self) -> dict[str, float]:
        """How much the last fifth of the run has more than the second; the first is warm-up."""
        fifths = {who: (len(sizes) // 5, sizes) for who, sizes in self._resident.items() if len(sizes) >= 10}
        return {who: median(s[-num:]) - median(s[num : 2 * num]) for who, (num, s) in fifths.items()}

    def leaks(self) -> list[str]:
        """What is left behind, or grew, one sentence each; to be asked when the reader is closed."""
        leaks = [
            f"memory of {who} grew by {growth:.0f} MiB"
            for who, growth in self.growth_mib().items()
            if growth > MAX_GROWTH_MIB
        ]
        gc.collect()  # readers and their queues refer to each other
        deadline = time.monotonic() + SETTLE_S
        while (left := self._left()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return leaks + left

    def _left(self) -> list[str]:
        """Descriptors (shared memory is one too) and processes that were not there before."""
        now = {
            "descriptors": _num_descriptors() - self._descriptors,
            "processes": len(_children() - self._children),
        }
        return [f"{number} {what} are left behind" for what, number in now.items() if number > 0]

    def summary(self) -> str:
        """Growth in words."""
        growth = [f"{who} {mib:+.0f} MiB" for who, mib in self.growth_mib().items()]
        return "memory: " + (", ".join(growth) or "too short a run to tell")


def _num_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def _children() -> set[str]:
    found: set[str] = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # a thread that has ended meanwhile
            found |= set((task / "children").read_text().split())
    return found


def _resident_mib(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return next(
        (int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS:")), 0.0
    )
