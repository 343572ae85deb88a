"""Clocks jump: corrected, set by hand, carried over a change of time. No sweep is decided by the wall clock.

`tests/faults` sweeps under a wall clock that jumps by years; this holds the list of who looks at it at all.
"""

from __future__ import annotations

import ast
from pathlib import Path

ENGINE = Path(__file__).parent.parent.parent / "engine" / "mammosweep"

WALL_CLOCKS = {
    *("time.time", "time.time_ns", "time.localtime", "time.gmtime", "time.ctime", "time.strftime"),
    *("datetime.now", "datetime.utcnow", "datetime.today", "date.today"),
}

MAY_LOOK = {
    "run/local.py": "when a run began and ended, for its reader",
    "run/ledger.py": "when a chunk was committed, for status",
    "run/log.py": "a line's time",
    "run/nightly.py": "which night it is: its date decides what has arrived since an earlier one",
    "run/stop.py": "once, when --until is given: from then on seconds on a clock that nobody sets",
    "detect/plans/store.py": "when a plan was built; whether one half built is old enough to clear away",
}


def wall_clocks(path: Path) -> list[int]:
    """The lines at which a file reads the wall clock."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    named = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    return [node.lineno for node in named if ast.unparse(node) in WALL_CLOCKS]


def test_only_these_look_at_the_wall_clock():
    found = {path.relative_to(ENGINE).as_posix() for path in ENGINE.rglob("*.py") if wall_clocks(path)}

    assert "run/local.py" in found  # it would be found
    assert found <= set(MAY_LOOK)


def test_nobody_imports_it_by_another_name():
    for path in ENGINE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "time":
                assert not {alias.name for alias in node.names} & {"time", "time_ns", "localtime"}, path
