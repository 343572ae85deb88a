"""The roofline of benchmarks/README.md, from the rows of results/*.csv."""

from __future__ import annotations

import math
from collections.abc import Mapping

from benchmarks.harness import Row, read_rows

__all__ = ["roofline"]

Rows = Mapping[str, Row]

FP16_BYTES = 2
ON_H100 = ("fp16", "int8")
PLANS = {"torch-fp32": "fp32", "torch-bf16": "bf16", "openvino-bf16": "bf16", "openvino-int8": "int8"}


def roofline() -> str:
    """Rates; work and floors by network and canvas; and the CPU's plans over their floors."""
    rows = read_rows()
    if "roofline/copy" not in rows:
        return "Not yet measured."
    copy = rows["roofline/copy"]
    rates = ", ".join(
        f"{form} {rows[f'roofline/rate/{form}'].median:.0f}" for form in ("fp32", "bf16", "int8")
    )
    return "\n".join(
        [
            f"{copy.device}, commit {copy.commit}: {rates} GFLOP/s; copy {copy.median:.1f} GB/s.",
            "",
            *_floors(rows),
            "",
            *_gaps(rows),
        ]
    )


def _cases(rows: Rows) -> list[str]:
    """Networks with their canvases, as rows begin."""
    return [what.removesuffix("/maps-operations") for what in rows if what.endswith("/maps-operations")]


def _floors(rows: Rows) -> list[str]:
    headings = ["network", "canvas", "maps, GFLOP", "head, GFLOP", "layers move, fp16", "plans move, fp16"]
    for form in ON_H100:
        headings += [f"H100 {form}, ms", "layer by layer, ms"]
    lines = [f"| {' | '.join(headings)} |", "|" + "---|" * len(headings)]
    for case in _cases(rows):
        cells = [f"{rows[f'{case}/{what}-operations'].median:.3g}" for what in ("maps", "head")]
        for what in ("layers-move", "plans-move"):
            cells.append(f"{rows[f'{case}/{what}'].median * FP16_BYTES / 1e3:.2g} GB")
        for form in ON_H100:
            cells += [
                f"{rows[f'{case}/{what}/h100-{form}'].median * 1e3:.2g}" for what in ("floor", "layers-floor")
            ]
        lines.append(_line(case, cells))
    return lines


def _gaps(rows: Rows) -> list[str]:
    """On the CPU: floors, and what an exam takes, with how many times the floor that is."""
    headings = ["network", "canvas", *(f"floor {form}, s" for form in ("fp32", "bf16", "int8"))]
    headings += [f"{plan}, s (times its floor)" for plan in PLANS]
    lines = [f"| {' | '.join(headings)} |", "|" + "---|" * len(headings)]
    for case in _cases(rows):
        floors = {form: rows[f"{case}/floor/cpu-{form}"].median for form in ("fp32", "bf16", "int8")}
        cells = [f"{floor:.2g}" for floor in floors.values()]
        network, canvas = case.rsplit("/", 1)
        for plan, form in PLANS.items():
            taken = [rows.get(f"{network}/plan/{plan}/{part}") for part in (canvas, "head")]
            seconds = sum(row.median if row is not None else math.nan for row in taken)
            cells.append("-" if math.isnan(seconds) else f"{seconds:.3g} ({seconds / floors[form]:.2f})")
        lines.append(_line(case, cells))
    return lines


def _line(case: str, cells: list[str]) -> str:
    _, network, canvas = case.split("/")
    return f"| {network} | {canvas} | {' | '.join(cells)} |"
