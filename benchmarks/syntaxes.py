"""The tables of benchmarks/README.md: one line per transfer syntax, from the rows of results/*.csv."""

from __future__ import annotations

import math

from benchmarks.floors import floor_bytes
from benchmarks.harness import Row, read_rows

__all__ = ["pixels", "reduced"]

# Pixels and millimetres per pixel, by the names in frames.py.
FRAMES = {"3328x2560-12bit": (3328 * 2560, 0.07), "4728x2848-16bit": (4728 * 2848, 0.05)}
GRID_MM = 0.15
BANDWIDTH = "pixels/memory-bandwidth"

HEADINGS = (
    "transfer syntax",
    "bits/pixel",
    "mammosweep, views/s",
    "by hand, views/s",
    "times by hand",
    "decode alone, views/s",
    "times medip",
    "ns/pixel",
    "floor, ms",
    "times the floor",
    "isolation",
    "2 workers, views/s",
    "worker, MiB",
)


def pixels() -> str:
    """A table for each frame, and what it was measured on."""
    rows = read_rows()
    return "\n\n".join(_frame(name, rows) for name in FRAMES)


def _frame(frame: str, rows: dict[str, Row]) -> str:
    start = f"pixels/{frame}/"
    syntaxes = [what.split("/")[2] for what in rows if what.startswith(start) and what.endswith("/ours")]
    if not syntaxes:
        return f"**{frame}**: not yet measured"
    first = rows[f"{start}{syntaxes[0]}/ours"]
    lines = [
        f"**{frame}** ({first.device}, commit {first.commit}, {first.repeats} interleaved runs)",
        "",
        f"| {' | '.join(HEADINGS)} |",
        f"|{'---|' * len(HEADINGS)}",
    ]
    return "\n".join(lines + [_line(frame, syntax, rows) for syntax in syntaxes])


def _line(frame: str, syntax: str, rows: dict[str, Row]) -> str:
    def cell(what: str) -> str:
        return _cell(rows.get(f"pixels/{frame}/{syntax}/{what}"))

    apart = {
        what: _cell(rows.get(f"isolation/{frame}/{syntax}/{what}"))
        for what in ("overhead", "two-workers", "worker-peak")
    }
    cells = (
        syntax,
        cell("bits-per-pixel"),
        cell("ours"),
        cell("by-hand"),
        cell("times-by-hand"),
        cell("decode-ours"),
        cell("decode-times-medip"),
        *_floor_cells(frame, syntax, rows),
        *apart.values(),
    )
    return f"| {' | '.join(cells)} |"


def _floor_cells(frame: str, syntax: str, rows: dict[str, Row]) -> tuple[str, str, str]:
    """Decoding's nanoseconds a pixel; the floor of the whole way; how many times that it takes."""
    num_pixels, spacing_mm = FRAMES[frame]
    start = f"pixels/{frame}/{syntax}"
    bits, ours, decode = (rows.get(f"{start}/{what}") for what in ("bits-per-pixel", "ours", "decode-ours"))
    if bits is None or ours is None or decode is None or BANDWIDTH not in rows:
        return "", "", ""
    moved = floor_bytes(num_pixels, bits.median, spacing_mm, GRID_MM)
    floor_s = moved / (rows[BANDWIDTH].median * 1e9)
    return (
        f"{1e9 / decode.median / num_pixels:.2g}",
        f"{floor_s * 1e3:.2g}",
        f"{1 / ours.median / floor_s:.2g}",
    )


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    return row.unit if math.isnan(row.median) else f"{row.median:.3g}"


def reduced() -> str:
    """What reduced resolution changes: every row of bench_reduced.py."""
    found = {what: row for what, row in read_rows().items() if what.startswith("reduced/")}
    if not found:
        return "Not yet measured."
    lines = ["| what | median | 20 % to 80 % | unit | of |", "|---|---|---|---|---|"]
    lines += [
        f"| {what.removeprefix('reduced/')} | {row.median:.3g} | {row.p20:.3g} to {row.p80:.3g} "
        f"| {row.unit} | {row.repeats} |"
        for what, row in found.items()
    ]
    return "\n".join(lines)
