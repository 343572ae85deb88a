"""The tables of benchmarks/README.md about the detector, from the rows of results/*.csv."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from benchmarks.harness import Row, read_rows

__all__ = ["detector", "effects", "pipeline", "plans"]

NOT_YET = "Not yet measured."
Rows = Mapping[str, Row]


def detector() -> str:
    """Each plan beside the script: speed and agreement."""
    rows = read_rows()
    columns = {
        "exams/s": "detector/exam/{}",
        "times the script": "detector/times-script/{}",
        "boxes compared": "detector/agreement/{}/boxes",
        "share matched": "detector/agreement/{}/matched",
        "largest score difference": "detector/agreement/{}/largest-score-difference",
        "99th percentile": "detector/agreement/{}/score-difference-p99",
        "mean": "detector/agreement/{}/mean-score-difference",
    }
    names = _names(rows, "detector/exam/", depth=2)
    return _table("plan", names, columns, rows)


def plans() -> str:
    """The dense part on one canvas, by library."""
    rows = read_rows()
    columns = {"seconds": "plans/{}", "seconds until it had run once": "plans/{}/until-first"}
    return _table("library", _names(rows, "plans/", depth=1), columns, rows)


def pipeline() -> str:
    """Whole sweeps beside the detector alone."""
    rows = read_rows()
    cases = sorted({what.rsplit("/", 1)[0] for what in rows if what.startswith("pipeline/")} & _alone(rows))
    if not cases:
        return NOT_YET
    lines = [
        "| bundle, plan | sweep of | alone, exams/s | sweep, exams/s | efficiency |",
        "|---|---|---|---|---|",
    ]
    for case in cases:
        for what, row in rows.items():
            if what.startswith(f"{case}/") and what.endswith("/efficiency"):
                how = what.split("/")[3]
                alone, swept = _cell(rows.get(f"{case}/alone")), _cell(rows.get(f"{case}/{how}"))
                name = case.removeprefix("pipeline/")
                lines.append(f"| {name} | {how} | {alone} | {swept} | {_spread(row)} |")
    return "\n".join(lines)


def _alone(rows: Rows) -> set[str]:
    return {what.removesuffix("/alone") for what in rows if what.endswith("/alone")}


EFFECTS = ("sensitivity-at-1", "mean-sensitivity")


def effects() -> str:
    """What each variant changes on phantoms and on films, with 95 % intervals."""
    rows = read_rows()
    parts = [_effects_on(name, rows) for name in ("phantoms", "films")]
    return "\n\n".join(part for part in parts if part) or NOT_YET


def _effects_on(name: str, rows: Rows) -> str:
    start = f"effects/{name}"
    if f"{start}/images" not in rows:
        return ""
    images, lesions = (int(rows[f"{start}/{what}"].median) for what in ("images", "lesions"))
    lines = [
        f"**{name}** ({images} images, {lesions} lesions, commit {rows[f'{start}/images'].commit})",
        "",
        "| variant | sensitivity at 1 FP/image | difference | mean sensitivity | difference "
        "| boxes on a cluster |",
        "|---|---|---|---|---|---|",
    ]
    for variant in _names(rows, f"{start}/", depth=2, having="sensitivity-at-1"):
        cells = [cell for measure in EFFECTS for cell in _effect_cells(f"{start}/{variant}/{measure}", rows)]
        boxes = _cell(rows.get(f"{start}/{variant}/boxes-on-a-cluster"))
        lines.append(f"| {variant} | {' | '.join(cells)} | {boxes} |")
    return "\n".join(lines)


def _effect_cells(what: str, rows: Rows) -> tuple[str, str]:
    figure = f"{rows[what].median:.3f}"
    difference, low, high = (rows[f"{what}/difference{end}"].median for end in ("", "-low", "-high"))
    return figure, f"{difference:+.3f} ({low:+.3f} to {high:+.3f})"


def _names(rows: Rows, start: str, depth: int, having: str = "") -> list[str]:
    """What stands behind ``start`` in the names of rows, in the order of the rows."""
    every = [what.split("/") for what in rows if what.startswith(start)]
    return list(dict.fromkeys(parts[depth] for parts in every if not having or parts[-1] == having))


def _table(first: str, names: Sequence[str], columns: Mapping[str, str], rows: Rows) -> str:
    if not names:
        return NOT_YET
    lines = [f"| {first} | {' | '.join(columns)} |", f"|{'---|' * (1 + len(columns))}"]
    for name in names:
        cells = [_cell(rows.get(what.format(name))) for what in columns.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    device = next(row for what, row in rows.items() if what.startswith(columns_start(columns)))
    return "\n".join([*lines, "", f"({device.device}, commit {device.commit})"])


def columns_start(columns: Mapping[str, str]) -> str:
    """The part of the rows' names that all of a table have."""
    return next(iter(columns.values())).split("{")[0]


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    return row.unit if math.isnan(row.median) else f"{row.median:.3g}"


def _spread(row: Row) -> str:
    return f"{row.median:.3f} ({row.p20:.3f} to {row.p80:.3f})"
