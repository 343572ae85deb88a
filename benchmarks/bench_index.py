"""Reading headers: `mammosweep index` against a loop over `pydicom.dcmread`, and an index that finds nothing.

Both sides are whole commands, from the interpreter's start to its end, and files are in the page cache.
Processor seconds are of all of a command's processes: on a busy machine they vary less than wall seconds.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import Row, figure_row
from benchmarks.header_archive import write_header_archive
from mammosweep.archive.source import open_source

__all__ = ["rows"]

NUM_FILES = 16_000
NUM_FILES_AGAIN = 100_000
REPEATS = 5
NARROW_PX = 16  # wide are the pictures of files that are only listed


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one command."""

    seconds: float
    cpu_seconds: float


def rows(num_files: int = NUM_FILES, num_again: int = NUM_FILES_AGAIN, repeats: int = REPEATS) -> list[Row]:
    """Headers a second and times the loop's; then the second index of a larger archive."""
    with tempfile.TemporaryDirectory() as folder:
        found = _rows_of_headers(Path(folder), num_files, repeats)
    with tempfile.TemporaryDirectory() as folder:
        return found + _rows_of_rescan(Path(folder), num_again, repeats)


def _rows_of_headers(folder: Path, num_files: int, repeats: int) -> list[Row]:
    write_header_archive(folder / "archive", num_files)
    commands = {
        "index": _index(folder / "archive", folder / "catalog.parquet"),
        "loop": _loop(folder / "archive", processes=1),
        "loop-2": _loop(folder / "archive", processes=2),
    }
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for turn in range(1 + repeats):
        (folder / "catalog.parquet").unlink(missing_ok=True)
        for name, command in commands.items():
            cost = _run(command)
            if turn:  # the first fills the page cache
                costs[name].append(cost)
    ours, loop, loop_2 = costs.values()
    return [
        figure_row("index/headers", "headers/s", [num_files / cost.seconds for cost in ours]),
        figure_row("index/pydicom-headers", "headers/s", [num_files / cost.seconds for cost in loop]),
        figure_row("index/cpu", "us/header", [1e6 * cost.cpu_seconds / num_files for cost in ours]),
        figure_row("index/pydicom-cpu", "us/header", [1e6 * cost.cpu_seconds / num_files for cost in loop]),
        figure_row("index/times-pydicom", "times faster", _ratios(loop, ours)),
        figure_row("index/times-pydicom-2-processes", "times faster", _ratios(loop_2, ours)),
        figure_row("index/cpu-times-pydicom", "times less", _cpu_ratios(loop, ours)),
    ]


def _rows_of_rescan(folder: Path, num_files: int, repeats: int) -> list[Row]:
    """Nothing changed since the catalog was written; what listing the files takes of it."""
    archive = folder / "archive"
    write_header_archive(archive, num_files, width_px=NARROW_PX)
    command = _index(archive, folder / "catalog.parquet")
    _run(command)
    again = [_run(command) for _ in range(repeats)]
    listing = [_listing_seconds(archive) for _ in range(repeats)]
    return [
        figure_row("index/again", "s", [cost.seconds for cost in again]),
        figure_row("index/again-cpu", "s", [cost.cpu_seconds for cost in again]),
        figure_row("index/listing-cpu", "s", listing),
    ]


def _listing_seconds(archive: Path) -> float:
    """Processor seconds."""
    start = time.process_time()
    for _ in open_source(archive).entries():
        pass
    return time.process_time() - start


def _index(archive: Path, catalog: Path) -> list[str]:
    return [sys.executable, "-m", "mammosweep.cli", "index", str(archive), "--out", str(catalog)]


def _loop(archive: Path, processes: int) -> list[str]:
    return [sys.executable, "-m", "benchmarks.peers.header_loop", str(archive), str(processes)]


def _run(command: Sequence[str]) -> Cost:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _ratios(others: Sequence[Cost], ours: Sequence[Cost]) -> list[float]:
    return [other.seconds / own.seconds for other, own in zip(others, ours, strict=True)]


def _cpu_ratios(others: Sequence[Cost], ours: Sequence[Cost]) -> list[float]:
    return [other.cpu_seconds / own.cpu_seconds for other, own in zip(others, ours, strict=True)]
