"""What the engine itself costs on archives of many exams: seconds, processor time and memory, phase by phase.

``SCALE_EXAMS=1000000 python -m benchmarks.run scale`` is the size that the design is made for (some half hour
on one core); as it stands it runs on a fiftieth of that.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile

from benchmarks.harness import Row, figure_row

EXAMS = int(os.environ.get("SCALE_EXAMS", "20000"))
PHASES = ("index", "half", "resume")


def rows() -> list[Row]:
    """A catalog, half a sweep that is interrupted, and the sweep that goes on; each in its own process."""
    found: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for phase in PHASES:
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.scale_archive", phase, folder, str(EXAMS)],
                check=True,
                capture_output=True,
                text=True,
            )
            figures: dict[str, float] = json.loads(done.stdout)
            name = f"scale/{EXAMS}/{phase}"
            found += [
                figure_row(f"{name}/{what}", "MiB" if what == "peak_mib" else "s", [value])
                for what, value in figures.items()
            ]
            found.append(figure_row(f"{name}/cpu_ms_per_exam", "ms", [1000 * figures["cpu_seconds"] / EXAMS]))
    return found
