"""``python -m tests.e2e.same_rows``: one archive swept in every way there is; all tables must be the same.

In this process, by 1, 2 and 4 of Ray's actors, and as three shards that are merged: with the real pipeline,
the tests' bundle and phantoms. Says how far any number of any row is from the sweep in this process; exit
code 1 where that is more than 1e-6.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from mammosweep.report.tables import TABLES, read_table

BUNDLE = Path(__file__).parent.parent / "bundles" / "phantom-regnetx-002"
TOLERANCE = 1e-6
SHARDS = 3
WORKERS = (1, 2, 4)


def mammosweep(*arguments: object) -> None:
    """A command of its own process; what it says on stderr is shown where it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "mammosweep.cli", *map(str, arguments)], capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"mammosweep {' '.join(map(str, arguments))}: {done.stderr[-2000:]}")


def differences(one: object, other: object, where: str) -> Iterator[tuple[str, float]]:
    """Every place at which two rows differ, and by how much; infinitely where they are no two numbers."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for name in one:
            yield from differences(one[name], other[name], f"{where}.{name}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, pair in enumerate(zip(one, other, strict=True)):
            yield from differences(*pair, f"{where}[{number}]")
    elif one != other:
        are_numbers = isinstance(one, float) and isinstance(other, float)
        yield where, abs(one - other) if are_numbers else math.inf  # type: ignore[operator]


def compare(out: Path, local: Path) -> float:
    """The largest difference between two sweeps' rows; where it is is printed."""
    largest = 0.0
    for name in TABLES:
        rows, expected = (read_table(folder, name).to_pylist() for folder in (out, local))
        for where, size in differences(rows, expected, name):
            if size > max(largest, TOLERANCE):
                print(f"  {where} differs by {size}")
            largest = max(largest, size)
    return largest


def main() -> int:
    """Sweep, compare, and say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exams", type=int, default=12)
    parser.add_argument("--folder", type=Path, default=Path("runs/same"))
    chosen = parser.parse_args()
    archive, local = chosen.folder / "archive", chosen.folder / "local"
    mammosweep("phantom", "--out", archive, "--exams", chosen.exams, "--seed", 5, "--spacing-mm", 0.3)
    how = ["--bundle", BUNDLE, "--chunk-exams", 2]
    mammosweep("sweep", archive, "--out", local, *how)
    outs = {f"ray, {n} actors": chosen.folder / f"ray-{n}" for n in WORKERS}
    for n, out in zip(WORKERS, outs.values(), strict=True):
        mammosweep("sweep", archive, "--out", out, *how, "--ray", "local", "--workers", n)
    shards = [chosen.folder / f"shard-{k}" for k in range(1, SHARDS + 1)]
    for k, shard in enumerate(shards, start=1):
        mammosweep("sweep", archive, "--out", shard, *how, "--shard", f"{k}/{SHARDS}")
    outs[f"{SHARDS} shards, merged"] = chosen.folder / "merged"
    mammosweep("merge", *shards, "--out", outs[f"{SHARDS} shards, merged"])
    worst = 0.0
    rows = sum(read_table(local, name).num_rows for name in TABLES)
    for name, out in outs.items():
        largest = compare(out, local)
        print(f"{name}: {rows} rows of four tables, largest difference {largest:g}")
        worst = max(worst, largest)
    return int(worst > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
