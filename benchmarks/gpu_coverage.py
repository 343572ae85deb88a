"""The table of ARCHITECTURE.md on what was proven for GPUs without one: converted plans and compiled kernels.

Plans: tests/detect/plans/coverage.csv, which a test holds against the dry run. Kernels: the builds that
tests/kernels/test_cubins.py compiles.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from itertools import groupby
from pathlib import Path

from tests.kernels.test_cubins import ARCHITECTURES, BUILDS

__all__ = ["gpu"]

PLANS = Path(__file__).parent.parent / "tests" / "detect" / "plans" / "coverage.csv"

NOT_YET = (
    "**Not yet run on a GPU.** TensorRT's converters were asked whether they know every node of both plans "
    "(a dry run of torch-tensorrt, full compilation required), and every Triton kernel was compiled ahead of "
    "time. That says that they convert and compile, not what they compute or how fast."
)


def gpu() -> str:
    """One line for each plan of each trunk and its looks, and one for each Triton kernel."""
    return f"{NOT_YET}\n\n{_plans()}\n\n{_kernels()}"


def _plans() -> str:
    lines = [
        "| trunk | plan | looks | canvases | nodes | converted by TensorRT |",
        "|---|---|---|---|---|---|",
    ]
    with PLANS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    # Canvases change the sizes in a graph, not its nodes.
    for (trunk, part, flips, nodes), group in groupby(
        rows, lambda row: (row["trunk"], row["part"], row["flips"], row["nodes"])
    ):
        same = list(group)
        converted = min(int(row["converted"]) for row in same)
        canvases = ", ".join(row["bucket"] for row in same)
        lines.append(f"| {trunk} | {part} | {flips} | {canvases} | {nodes} | {converted} of {nodes} |")
    return "\n".join(lines)


def _kernels() -> str:
    builds: dict[str, list[str]] = defaultdict(list)
    for name, build in BUILDS.items():
        builds[str(build["kernel"])].append(name)
    architectures = ", ".join(f"sm_{number}" for number in ARCHITECTURES)
    lines = ["| Triton kernel | builds | machine code for |", "|---|---|---|"]
    lines += [f"| `{kernel}` | {'; '.join(names)} | {architectures} |" for kernel, names in builds.items()]
    return "\n".join(lines)
