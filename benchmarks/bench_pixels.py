"""Decode and normalise, per transfer syntax: mammosweep beside what people use today.

One view at a time, from a file that the operating system holds in memory, on one core for both sides: the
process is bound to it, whatever threads a library starts. The engine too decodes one view per core. Both
sides give the same picture, which is checked before anything is measured.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks.floors import memory_bandwidth_row
from benchmarks.frames import FRAMES, SYNTAXES, BenchFile, write_frames
from benchmarks.harness import Row, failed_row, figure_row, interleaved_seconds
from benchmarks.peers.by_hand import normalise_by_hand
from benchmarks.peers.medip_decode import decode_by_medip
from benchmarks.same_picture import require_same_picture, require_same_values
from mammosweep.config import PixelsConfig
from mammosweep.pixels.decode import read_frame
from mammosweep.pixels.frame import Frame
from mammosweep.pixels.normalise import NormalisedView, normalise

__all__ = ["GRID_MM", "rows"]

GRID_MM = 0.15
REPEATS = 5

Work = Callable[[], object]


def rows(frames: Sequence[str] = tuple(FRAMES), syntaxes: Sequence[str] = tuple(SYNTAXES)) -> list[Row]:
    """Both frames in every transfer syntax, and the least of all ratios."""
    with tempfile.TemporaryDirectory() as folder, one_core():
        found = [memory_bandwidth_row()]
        for file in write_frames(Path(folder), frames, syntaxes):
            found += _rows_of(file)
            file.path.unlink()
    return found + _least(found)


@contextmanager
def one_core() -> Iterator[None]:
    """Bind this process to one core: threads that start inside stay on it too."""
    cores, torch_threads, cv2_threads = os.sched_getaffinity(0), torch.get_num_threads(), cv2.getNumThreads()
    os.sched_setaffinity(0, {max(cores)})
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
        torch.set_num_threads(torch_threads)
        cv2.setNumThreads(cv2_threads)


def _rows_of(file: BenchFile) -> list[Row]:
    name = f"pixels/{file.name}"
    return [
        figure_row(f"{name}/bits-per-pixel", "bits", [file.bits_per_pixel]),
        *_whole_way(file, name),
        *_decode_alone(file, name),
    ]


def _whole_way(file: BenchFile, name: str) -> list[Row]:
    def ours() -> NormalisedView:
        return normalise(_frame(file, GRID_MM), file.view.spacing_mm, GRID_MM)

    def by_hand() -> object:
        return normalise_by_hand(file.path, file.view.spacing_mm[0], GRID_MM)

    def check() -> None:
        hand = normalise_by_hand(file.path, file.view.spacing_mm[0], GRID_MM)
        require_same_picture(file.name, ours(), hand)

    return _compared(ours, by_hand, check, (f"{name}/ours", f"{name}/by-hand", f"{name}/times-by-hand"))


def _decode_alone(file: BenchFile, name: str) -> list[Row]:
    def ours() -> Frame:
        return _frame(file, None)

    def medip() -> object:
        return decode_by_medip(file.path)

    def check() -> None:
        require_same_values(file.name, ours().stored, decode_by_medip(file.path), file.tolerance)

    names = (f"{name}/decode-ours", f"{name}/decode-medip", f"{name}/decode-times-medip")
    return _compared(ours, medip, check, names)


def _frame(file: BenchFile, grid_mm: float | None) -> Frame:
    return read_frame(file.path.read_bytes(), file.view, PixelsConfig(), grid_mm=grid_mm)


def _compared(ours: Work, other: Work, check: Work, names: tuple[str, str, str]) -> list[Row]:
    """Rates of both sides and their ratio; where the peer cannot, its row says so and ours stands alone."""
    try:
        other()
    except Exception as error:  # whatever a peer raises where it does not know the syntax
        [mine] = interleaved_seconds([ours], REPEATS)
        return [
            figure_row(names[0], "views/s", [1 / s for s in mine]),
            *(failed_row(name, f"the peer fails: {type(error).__name__}") for name in names[1:]),
        ]
    check()
    mine, theirs = interleaved_seconds([ours, other], REPEATS, warmup=0)  # the check was one
    return [
        figure_row(names[0], "views/s", [1 / s for s in mine]),
        figure_row(names[1], "views/s", [1 / s for s in theirs]),
        figure_row(names[2], "times", [b / a for a, b in zip(mine, theirs, strict=True)]),
    ]


def _least(found: list[Row]) -> list[Row]:
    """The smallest of the ratios that a promise is about; JPEG 2000 has the same codec on both sides."""
    ratios = {row.what: row.median for row in found if row.unit == "times"}
    groups = {
        "pixels/least-times-by-hand": [v for k, v in ratios.items() if k.endswith("/times-by-hand")],
        "pixels/least-decode-times-medip": [
            v for k, v in ratios.items() if k.endswith("-medip") and "/jpeg2000" not in k
        ],
        "pixels/least-decode-times-medip/jpeg2000": [
            v for k, v in ratios.items() if k.endswith("-medip") and "/jpeg2000" in k
        ],
    }
    return [figure_row(what, "times", [float(np.min(values))]) for what, values in groups.items() if values]
