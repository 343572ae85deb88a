"""The main job as a newcomer runs it: `mammosweep demo`, as a process of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.harness import Row, seconds_row


def rows() -> list[Row]:
    """Wall seconds, imports and the bundle's loading included."""
    out = Path(tempfile.mkdtemp())

    def demo() -> None:
        shutil.rmtree(out)
        subprocess.run(
            [sys.executable, "-m", "mammosweep.cli", "demo", "--out", str(out)],
            check=True,
            capture_output=True,
        )

    return [seconds_row("demo/seconds", demo, repeats=5)]
