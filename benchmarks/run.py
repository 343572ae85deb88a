"""Run every ``bench_*.py`` of this folder, or those named: ``python -m benchmarks.run [promises ...]``."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from benchmarks.harness import append_rows


def main(names: list[str]) -> None:
    found = sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))
    unknown = set(names) - set(found)
    if unknown:
        raise SystemExit(f"no benchmark named {', '.join(sorted(unknown))}; there are {', '.join(found)}")
    for name in names or found:
        rows = importlib.import_module(f"benchmarks.bench_{name}").rows()
        append_rows(name, rows)
        for row in rows:
            print(
                f"{row.what:48s} {row.median:10.4g} {row.unit} ({row.p20:.4g} to {row.p80:.4g})", flush=True
            )


if __name__ == "__main__":
    main(sys.argv[1:])
