"""Runs `convert.py` for many cases, in as many processes as there are cores.

``python -m tests.detect.plans.conversion`` dry-runs every case and writes coverage.csv.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

from tests.detect.plans.networks import Case, all_cases, write_coverage

ROOT = Path(__file__).parent.parent.parent.parent
HAS_CONVERTERS = importlib.util.find_spec("torch_tensorrt") is not None
MOST_PROCESSES = 4
TIMEOUT_S = 1800


def converted(cases: Sequence[tuple[Case, bool]]) -> tuple[dict[Case, dict[str, Any]], set[str]]:
    """What `convert.py` says of each case, the second of each pair asking for a dry run; and the options that
    torch-tensorrt's conversion knows.
    """
    processes = min(os.cpu_count() or 1, MOST_PROCESSES)
    parts = [cases[i::processes] for i in range(processes)]
    with tempfile.TemporaryDirectory() as folder:
        running = [(part, _started(part, Path(folder, str(i)))) for i, part in enumerate(parts) if part]
        said = [(part, _finished(process, made)) for part, (process, made) in running]
    found = {case: one for part, answer in said for (case, _), one in zip(part, answer["found"], strict=True)}
    return found, {name for _, answer in said for name in answer["knows"]}


def _started(cases: Sequence[tuple[Case, bool]], name: Path) -> tuple[subprocess.Popen[str], Path]:
    asked, made = name.with_suffix(".asked"), name.with_suffix(".made")
    asked.write_text(json.dumps({"cases": [(*astuple(case), dry) for case, dry in cases]}))
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.detect.plans.convert", asked, made],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    return process, made


def _finished(process: subprocess.Popen[str], made: Path) -> dict[str, Any]:
    _, error = process.communicate(timeout=TIMEOUT_S)
    if process.returncode:
        raise AssertionError(error)
    answer: dict[str, Any] = json.loads(made.read_text())
    return answer


def main() -> None:
    """Write the table anew."""
    cases = all_cases()
    found, _ = converted([(case, True) for case in cases])
    write_coverage({case: (found[case]["nodes"], found[case]["converted"]) for case in cases})


if __name__ == "__main__":
    main()
