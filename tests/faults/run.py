"""``python -m tests.faults.run --runs 100 --seed 1``: hurt sweeps, finish them, and count what they lost.

Run number n of a seed is always the same fault with the same choices; when it strikes depends on the machine
too. Results are lines of JSON in ``runs/faults``; what was stopped goes on where it was. Exit code 1 where
anything was lost, came twice, differs, or went otherwise than it must.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from tests.faults.faults import FAULTS, Fault, Struck
from tests.faults.ground import Ground
from tests.faults.stage import Stage
from tests.faults.verdict import Compared, compare

from mammosweep.errors import SweepError

__all__ = ["Result", "fault_of", "main", "run_one", "table"]

RUNS = Path(__file__).parent.parent.parent / "runs" / "faults"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one run. A line of the results."""

    index: int
    fault: str
    struck: bool = False  # while the sweep was at work
    what: str = ""
    lost: int = 0
    duplicated: int = 0
    differing: int = 0
    problems: tuple[str, ...] = ()
    skipped: str = ""  # why there was no run
    seconds: float = 0.0

    @property
    def is_bad(self) -> bool:
        """Whether anything is not as it must be."""
        return bool(self.lost or self.duplicated or self.differing or self.problems)


def fault_of(seed: int, index: int) -> Fault:
    """The fault of run ``index``: every hundred runs hold each as often as its share says."""
    hundred = [fault for fault in FAULTS for _ in range(fault.share)]
    Random(f"{seed}/{index // len(hundred)}").shuffle(hundred)
    return hundred[index % len(hundred)]


def run_one(fault: Fault, index: int, seed: int, ground: Ground) -> Result:
    """Hurt one sweep, finish it, and compare."""
    if skipped := fault.missing():
        return Result(index=index, fault=fault.name, skipped=skipped)
    folder, start = ground.folder / f"run-{seed}-{index}", time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    stage = Stage(ground, folder, Random(f"{seed}/{index}"), real=fault.real)
    struck, apart = Struck(really=False, like=stage.command()), Compared(0, 0, 0)
    try:
        struck = fault.strike(stage)
        plain, _ = ground.plain(struck.like)
        apart = compare(stage.out, plain, struck.tolerance)
    except SweepError as error:  # a result that cannot be read is none
        stage.problems.append(str(error))
    finally:
        stage.close()
    return Result(
        index=index,
        fault=fault.name,
        struck=struck.really,
        what=struck.what,
        lost=apart.lost,
        duplicated=apart.duplicated,
        differing=apart.differing,
        problems=(*stage.problems, *apart.others),
        seconds=round(time.monotonic() - start, 1),
    )


def table(results: Sequence[Result]) -> str:
    """One line for each fault."""
    by_fault: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        by_fault[result.fault].append(result)
    columns = ("runs", "struck", "lost", "duplicated", "differing", "problems", "skipped")
    lines = [f"{'fault':45}" + "".join(f"{column:>12}" for column in columns)]
    known = [fault.name for fault in FAULTS if fault.name in by_fault]
    lines += [_line(name, by_fault[name]) for name in known]
    return "\n".join([*lines, _line("all", results)])


def _line(name: str, results: Sequence[Result]) -> str:
    ran = [result for result in results if not result.skipped]
    numbers = (
        *(len(ran), sum(result.struck for result in ran)),
        *(sum(getattr(result, column) for result in ran) for column in ("lost", "duplicated", "differing")),
        *(sum(len(result.problems) for result in ran), len(results) - len(ran)),
    )
    return f"{name:45}" + "".join(f"{number:>12}" for number in numbers)


def _earlier(path: Path) -> list[Result]:
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Result(**json.loads(line)) for line in lines if line.endswith("}")]


def main(arguments: list[str]) -> int:
    """Run, print the table, and say by the exit code whether anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=RUNS)
    parser.add_argument("--quick", action="store_true", help="leave out, for now, what needs the networks")
    parser.add_argument("--anew", action="store_true", help="forget the results so far")
    options = parser.parse_args(arguments)
    # A shell's background job ignores Ctrl-C, and so would the sweeps that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = options.folder.resolve()
    path = folder / f"seed-{options.seed}.jsonl"
    if options.anew:
        path.unlink(missing_ok=True)
    ground, results = Ground(folder), _earlier(path)
    done, start = {result.index for result in results}, time.monotonic()
    for index in (index for index in range(options.runs) if index not in done):
        fault = fault_of(options.seed, index)
        if fault.real and options.quick:
            continue
        result = run_one(fault, index, options.seed, ground)
        results.append(result)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(result)) + "\n")
        print(f"{index:4} {result.seconds:5.1f} s  {_said(result)}", flush=True)
    print(
        f"\n{table(results)}\n\n{len(results)} runs, {len(results) - len(done)} of them now in "
        f"{time.monotonic() - start:.0f} s"
    )
    for result in results:
        for problem in result.problems:
            print(f"run {result.index}, {result.fault}: {problem}")
    return 1 if any(result.is_bad for result in results) else 0


def _said(result: Result) -> str:
    if result.skipped:
        return f"{result.fault}: skipped, {result.skipped}"
    fate = "WRONG" if result.is_bad else "as it must be"
    return f"{result.fault}{', ' + result.what if result.what else ''}: {fate}" + (
        "" if result.struck else " (struck too late)"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
