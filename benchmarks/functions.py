"""How long the functions of the engine and the kernels are, docstrings included, decorators not."""

from __future__ import annotations

import ast
import statistics
from pathlib import Path

__all__ = ["lengths", "summary"]

ROOT = Path(__file__).parent.parent
PACKAGES = ("engine/mammosweep", "kernels/mammosweep_kernels")


def lengths(package: str) -> list[tuple[int, str]]:
    """(lines, "file:function") of every function, longest last."""
    found = []
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                found.append((lines, f"{path.relative_to(ROOT)}:{node.name}"))
    return sorted(found)


def summary() -> str:
    """A Markdown table."""
    rows = ["| package | functions | median lines | 90th percentile | longest |", "|---|---|---|---|---|"]
    for package in PACKAGES:
        found = lengths(package)
        lines = [count for count, _ in found]
        p90 = statistics.quantiles(lines, n=10, method="inclusive")[8]
        rows.append(
            f"| `{package}` | {len(lines)} | {statistics.median(lines):g} | {p90:g} | "
            f"{found[-1][0]}: `{found[-1][1]}` |"
        )
    return "\n".join(rows)
