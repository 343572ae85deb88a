"""What it costs to decode in a process that may be lost: time, and the memory that a worker ever held."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.frames import FRAMES, SYNTAXES, BenchFile, write_frames
from benchmarks.harness import Row, figure_row, interleaved_seconds
from mammosweep.archive.source import open_source
from mammosweep.config import PixelsConfig
from mammosweep.pixels.normalise import normalise
from mammosweep.pixels.reader import FrameReader

__all__ = ["rows"]

GRID_MM = 0.15
REPEATS = 9
LARGEST = "4728x2848-16bit"
AHEAD = 8  # views that are asked for together where throughput is measured


def rows(frames: Sequence[str] = tuple(FRAMES), syntaxes: Sequence[str] = tuple(SYNTAXES)) -> list[Row]:
    """Overhead and throughput for both frames, a worker's memory for the larger."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for file in write_frames(Path(folder), frames, syntaxes):
            found += _rows_of(file)
            file.path.unlink()
    return found + _worst(found)


def _rows_of(file: BenchFile) -> list[Row]:
    name = f"isolation/{file.name}"
    found = [figure_row(f"{name}/overhead", "times as long", _overheads(file))]
    found.append(figure_row(f"{name}/two-workers", "views/s", _rates(file, num_workers=2)))
    if file.frame == LARGEST:
        found.append(figure_row(f"{name}/worker-peak", "MiB", [_worker_peak_mib(file)]))
    return found


def _overheads(file: BenchFile) -> list[float]:
    """Time with one worker over the time of the same work in this process: read, decode, normalise."""
    with _reader(isolate=True) as apart, _reader(isolate=False) as here:
        isolated, inside = interleaved_seconds(
            [lambda: _one(apart, file), lambda: _one(here, file)], REPEATS, warmup=2
        )
    return [a / b for a, b in zip(isolated, inside, strict=True)]


def _one(reader: FrameReader, file: BenchFile) -> None:
    with reader.request(open_source(file.path.parent), file.view) as frame:
        normalise(frame, file.view.spacing_mm, GRID_MM)


def _rates(file: BenchFile, num_workers: int) -> list[float]:
    """Views a second that are read and decoded, several at once."""
    source = open_source(file.path.parent)

    def many() -> None:
        for pending in [reader.request(source, file.view) for _ in range(AHEAD)]:
            with pending:
                pass

    with _reader(isolate=True, workers=num_workers) as reader:
        [seconds] = interleaved_seconds([many], repeats=3)
    return [AHEAD / s for s in seconds]


def _worker_peak_mib(file: BenchFile) -> float:
    """The most memory that a worker ever had resident, shared slots included; at full resolution."""
    source = open_source(file.path.parent)
    with _reader(isolate=True, grid_mm=None) as reader:
        for _ in range(2):
            with reader.request(source, file.view):
                pass
        return _high_water_mib(reader.workers[0].pid)


def _high_water_mib(pid: int | None) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def _reader(*, isolate: bool, workers: int = 1, grid_mm: float | None = GRID_MM) -> FrameReader:
    return FrameReader(PixelsConfig(isolate=isolate, workers=workers), grid_mm)


def _worst(found: list[Row]) -> list[Row]:
    """The largest of what a promise bounds."""
    worst = [
        ("isolation/largest-overhead", "times as long", "/overhead"),
        ("isolation/largest-worker-peak", "MiB", "/worker-peak"),
    ]
    figures = {what: [r.median for r in found if r.what.endswith(end)] for what, _, end in worst}
    return [figure_row(what, unit, [max(figures[what])]) for what, unit, _ in worst if figures[what]]
