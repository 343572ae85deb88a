"""The generated parts of documents: promises, outcome columns, function lengths, benchmarks' tables.

``python -m benchmarks.table`` writes them; ``--check`` fails where a document holds others.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import detector_tables, functions, gpu_coverage, syntaxes
from benchmarks.harness import Row, read_rows
from benchmarks.roofline_table import roofline
from mammosweep.report.schemas import TABLES

ROOT = Path(__file__).parent.parent
PROMISES = Path(__file__).parent / "promises.toml"


def promises() -> str:
    """What is promised, what was measured: one line for each of promises.toml."""
    rows = read_rows()
    lines = ["| what | goal | figure | device | commit | command |", "|---|---|---|---|---|---|"]
    for promise in tomllib.loads(PROMISES.read_text(encoding="utf-8"))["promise"]:
        lines.append(_line(promise, rows.get(promise["row"])))
    return "\n".join(lines)


def _line(promise: dict[str, Any], row: Row | None) -> str:
    figure = "not yet measured" if row is None else f"{row.median:.4g} {row.unit}"
    if row is not None and row.repeats > 1:
        figure += f" ({row.p20:.3g} to {row.p80:.3g}, {row.repeats} runs)"
    device, commit = (row.device, row.commit) if row else ("", "")
    return (
        f"| {promise['what']} | {promise['goal']} | {figure} | {device} | {commit} | `{promise['command']}` |"
    )


def columns() -> str:
    """Every column of the four tables, from the schemas that they are written with."""
    parts = []
    for name, schema in TABLES.items():
        lines = [f"**`{name}.parquet`**", "", "| column | type | what |", "|---|---|---|"]
        for field in schema:
            kind = str(field.type).replace("list<element: ", "list<")
            lines.append(f"| `{field.name}` | {kind} | {field.metadata[b'description'].decode()} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


GENERATED: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {"promises": promises, "columns": columns},
    "ARCHITECTURE.md": {"functions": functions.summary, "gpu": gpu_coverage.gpu},
    "benchmarks/README.md": {
        "pixels": syntaxes.pixels,
        "reduced": syntaxes.reduced,
        "detector": detector_tables.detector,
        "plans": detector_tables.plans,
        "pipeline": detector_tables.pipeline,
        "effects": detector_tables.effects,
        "roofline": roofline,
    },
}


def renewed(text: str, parts: dict[str, Callable[[], str]]) -> str:
    """A document's text with its generated parts as they should be."""
    for name, make in parts.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, rest = text.split(begin)
        text = f"{before}{begin}\n{make()}\n{end}{rest.split(end)[1]}"
    return text


def main(arguments: list[str]) -> None:
    for document, parts in GENERATED.items():
        path = ROOT / document
        text = path.read_text(encoding="utf-8")
        if renewed(text, parts) == text:
            continue
        if "--check" in arguments:
            raise SystemExit(f"the generated parts of {document} are stale; run: make table")
        path.write_text(renewed(text, parts), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
