"""How a figure is born: interleaved pairs, medians, and a row that says on what, when and of which commit."""

from __future__ import annotations

import csv
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

__all__ = [
    "RESULTS",
    "Row",
    "append_rows",
    "failed_row",
    "figure_row",
    "interleaved_seconds",
    "ratio_row",
    "read_rows",
    "seconds_row",
]

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of benchmarks/results/*.csv."""

    what: str  # "sweep/demo/seconds"
    unit: str  # "s", "exams/s", "ratio"
    median: float
    p20: float
    p80: float
    repeats: int
    device: str  # "AMD EPYC, 2 cores" or "NVIDIA H100 80GB HBM3"
    commit: str  # of the code that was measured; "+" where it had uncommitted changes
    measured_at: str  # ISO 8601, UTC


def seconds_row(what: str, work: Callable[[], object], *, repeats: int = 5, warmup: int = 1) -> Row:
    """Wall seconds of one call. For a newcomer's expectation only: compare by `ratio_row`."""
    return figure_row(what, "s", interleaved_seconds([work], repeats, warmup)[0])


def ratio_row(
    what: str, ours: Callable[[], object], other: Callable[[], object], *, repeats: int = 7, warmup: int = 1
) -> Row:
    """How many times faster ``ours`` is than ``other``: the median of ratios of interleaved runs."""
    mine, theirs = interleaved_seconds([ours, other], repeats, warmup)
    return figure_row(what, "times faster", [b / a for a, b in zip(mine, theirs, strict=True)])


def interleaved_seconds(
    works: Sequence[Callable[[], object]], repeats: int, warmup: int = 1
) -> list[list[float]]:
    """Wall seconds of every turn of each work; in a turn each has one run, so that all share the weather."""
    taken: list[list[float]] = [[] for _ in works]
    for turn in range(warmup + repeats):
        for work, seconds in zip(works, taken, strict=True):
            start = time.perf_counter()
            work()
            if turn >= warmup:
                seconds.append(time.perf_counter() - start)
    return taken


def figure_row(what: str, unit: str, values: Sequence[float]) -> Row:
    """A row from repeated figures, or from one that does not vary."""
    cuts = statistics.quantiles(values, n=5, method="inclusive") if len(values) > 1 else [values[0]] * 4
    return Row(
        what=what,
        unit=unit,
        median=statistics.median(values),
        p20=cuts[0],
        p80=cuts[3],
        repeats=len(values),
        device=_device(),
        commit=_commit(),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def failed_row(what: str, why: str) -> Row:
    """A row without a figure: its unit says why there is none."""
    return figure_row(what, why, [float("nan")])


def append_rows(name: str, rows: Sequence[Row]) -> None:
    """Append to ``results/<name>.csv``: old rows stay, the newest of a ``what`` counts."""
    path = RESULTS / f"{name}.csv"
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Row)], lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerows(
            {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in asdict(r).items()} for r in rows
        )


def read_rows() -> dict[str, Row]:
    """The newest row of every ``what``."""
    newest: dict[str, Row] = {}
    for path in sorted(RESULTS.glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            for line in csv.DictReader(file):
                row = Row(
                    **{
                        **line,
                        **{k: float(line[k]) for k in ("median", "p20", "p80")},
                        "repeats": int(line["repeats"]),
                    }  # type: ignore[arg-type]
                )
                if row.what not in newest or row.measured_at >= newest[row.what].measured_at:
                    newest[row.what] = row
    return newest


@cache
def _device() -> str:
    import os

    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            n.split(":")[1].strip() for n in cpuinfo.read_text().splitlines() if n.startswith("model name")
        ]
        model = names[0] if names else model
    return f"{model}, {os.cpu_count()} cores"


@cache
def _commit() -> str:
    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=RESULTS.parent, capture_output=True, text=True, check=False
        ).stdout.strip()

    changed = git(
        "status", "--porcelain", "--untracked-files=no", "--", "engine", "kernels", "benchmarks/*.py"
    )
    return git("rev-parse", "--short=9", "HEAD") + ("+" if changed else "")
