"""How much of the detector's speed a whole sweep keeps: exams/s of both, on the same cores.

The detector alone is fed from memory with the canvases that the sweep makes of the same exams. The sweep is
`sweep_to` without the loading of its bundle: headers, files, decoding, normalising, networks, tables; for one
transfer syntax also with an HTML page for every exam. A turn has one run of each.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from benchmarks.bundles import PHANTOM_BUNDLE
from benchmarks.harness import Row, failed_row, figure_row, interleaved_seconds
from benchmarks.plans import cpu, load_detector
from benchmarks.resnet50_bundle import resnet50_bundle
from benchmarks.sweeps import batches_of, sweep_into, warm_screener
from mammosweep.bundle import open_bundle
from mammosweep.config import ReportConfig, SweepConfig
from mammosweep.errors import SweepError
from mammosweep.phantom import Syntax, write_phantoms
from mammosweep.run.local import SweepSummary
from mammosweep.run.screener import Screener

__all__ = ["rows"]

SEED = 405
SYNTAXES = (Syntax.JPEG_LOSSLESS, Syntax.JPEG2000)
TURNS = 3


@dataclass(frozen=True, slots=True)
class Case:
    """A bundle, its name in rows, how many exams make a run of some seconds, and the plans to run."""

    name: str
    bundle: Path
    num_exams: int
    plans: tuple[str, ...]


def rows() -> list[Row]:
    """Exams/s of the whole sweep over those of the detector alone; and seconds by stage."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        cases = [
            Case("resnet50", resnet50_bundle(), 2, ("openvino-bf16",)),
            Case("shipped", PHANTOM_BUNDLE, 12, ("torch-bf16",)),
        ]
        return [row for case in cases for row in _rows_of_case(case, work)]


def _rows_of_case(case: Case, work: Path) -> list[Row]:
    """A bundle on each plan, and the least of the efficiencies without pages."""
    found = [row for plan in case.plans for row in rows_of(case, plan, work)]
    efficiencies = [
        row.median
        for row in found
        if row.what.endswith(tuple(f"/{syntax}/efficiency" for syntax in SYNTAXES))
    ]
    if efficiencies:
        least = min(efficiencies)
        found.append(figure_row(f"pipeline/{case.name}/least-efficiency", "of the detector alone", [least]))
    return found


def rows_of(case: Case, plan: str, work: Path) -> list[Row]:
    """One bundle on one plan, in each transfer syntax."""
    config = cpu(plan)
    name = f"pipeline/{case.name}/{plan}"
    archives = {syntax: _archive(work, syntax, case.num_exams) for syntax in SYNTAXES}
    try:
        with warm_screener(config, case.bundle) as screener:
            runs = _runs(case, config, screener, archives, work / "out")
            for once in ("alone", str(SYNTAXES[0])):  # compiles every canvas, starts every worker
                runs[once]()
            taken = dict(zip(runs, interleaved_seconds(list(runs.values()), TURNS, warmup=0), strict=True))
    except SweepError as error:
        return [failed_row(f"{name}/efficiency", f"no such plan here: {type(error).__name__}")]
    alone = taken.pop("alone")
    found = [figure_row(f"{name}/alone", "exams/s", [case.num_exams / s for s in alone])]
    for how, seconds in taken.items():
        found.append(figure_row(f"{name}/{how}", "exams/s", [case.num_exams / s for s in seconds]))
        ratios = [a / s for a, s in zip(alone, seconds, strict=True)]
        found.append(figure_row(f"{name}/{how}/efficiency", "of the detector alone", ratios))
    return found + _stage_rows(name, runs)


class Run:
    """A sweep into a folder that was emptied before; remembers what each of its stages took."""

    def __init__(self, out: Path, archive: Path, config: SweepConfig, screener: Screener) -> None:
        self._sweep = partial(sweep_into, out, archive, config, screener)
        self._out = out
        self.seconds: dict[str, list[float]] = defaultdict(list)

    def __call__(self) -> None:
        shutil.rmtree(self._out, ignore_errors=True)
        summary: SweepSummary = self._sweep()
        for stage, seconds in summary.seconds.items():
            self.seconds[stage].append(seconds)


def _runs(
    case: Case, config: SweepConfig, screener: Screener, archives: Mapping[Syntax, Path], out: Path
) -> dict[str, Callable[[], object]]:
    """The detector alone, and a sweep of each archive without and with pages."""
    bundle = open_bundle(case.bundle)
    detector = load_detector(bundle, config.detect)
    spec, grid_mm = bundle.manifest.detector, bundle.manifest.grid_mm
    batches = batches_of(archives[SYNTAXES[0]], grid_mm, spec, config)
    paged = replace(config, report=ReportConfig(pages=True))
    runs: dict[str, Callable[[], object]] = {"alone": lambda: [detector(batch) for batch in batches]}
    for syntax, archive in archives.items():
        runs[str(syntax)] = Run(out, archive, config, screener)
    runs[f"{SYNTAXES[0]}-pages"] = Run(out, archives[SYNTAXES[0]], paged, screener)
    return runs


def _stage_rows(name: str, runs: Mapping[str, object]) -> list[Row]:
    return [
        figure_row(f"{name}/{how}/seconds/{stage}", "s", seconds[-TURNS:])
        for how, run in runs.items()
        if isinstance(run, Run)
        for stage, seconds in run.seconds.items()
    ]


def _archive(work: Path, syntax: Syntax, num_exams: int) -> Path:
    """Phantoms in one transfer syntax; the same pictures in each."""
    archive = work / f"{syntax}-{num_exams}"
    if not archive.exists():
        write_phantoms(archive, exams=num_exams, seed=SEED, syntaxes=[syntax])
    return archive
