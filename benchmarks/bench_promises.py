"""Promises that are kept or broken: nothing lost, nothing twice, the same scores whatever the company."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import mammosweep
from benchmarks.harness import Row, figure_row
from benchmarks.mixed_archive import MixedArchive, make_mixed_archive

NUM_KILLS = 5


def rows() -> list[Row]:
    """All of them, on one mixed archive."""
    folder = Path(tempfile.mkdtemp())
    archive = make_mixed_archive(folder)
    plain = folder / "plain"
    run(archive, plain)
    return [
        figure_row("promises/unaccounted", "files and exams", [unaccounted(archive, plain)]),
        figure_row("promises/rows-changed-by-kill", "rows", changed_by_kill(archive, plain, folder)),
        figure_row("promises/score-difference", "largest", [score_difference(archive, plain, folder)]),
    ]


def run(archive: MixedArchive, out: Path, *options: str) -> None:
    """A sweep as a process of its own."""
    subprocess.run(command(archive, out, *options), check=True, capture_output=True)


def command(archive: MixedArchive, out: Path, *options: str) -> list[str]:
    """The sweep's command line."""
    start = [sys.executable, "-m", "mammosweep.cli", "sweep", str(archive.source)]
    return [*start, "--manifest", str(archive.manifest), "--out", str(out), "--flips", "none", *options]


def unaccounted(archive: MixedArchive, out: Path) -> int:
    """Files without a row in images.parquet, and exams without one in exams.parquet."""
    images = mammosweep.read_table(out, "images").to_pylist()
    exams = mammosweep.read_table(out, "exams").to_pylist()
    files = archive.num_files - len({image["path"] for image in images})
    named = {image["exam_id"] for image in images} - {None}
    return abs(files) + len(named ^ {exam["exam_id"] for exam in exams})


def changed_by_kill(archive: MixedArchive, plain: Path, folder: Path) -> list[float]:
    """Rows that differ from the uninterrupted run's after kill -9 at a random moment and a second run."""
    moments = random.Random(0)
    changed = []
    for _ in range(NUM_KILLS):
        out = folder / "killed"
        shutil.rmtree(out, ignore_errors=True)
        process = subprocess.Popen(
            command(archive, out, "--chunk-exams", "1"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while process.poll() is None and not list(out.glob("parts/*/part.json")):
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 2))
        process.send_signal(signal.SIGKILL)
        process.wait()
        run(archive, out, "--chunk-exams", "1")
        changed.append(float(sum(differing_rows(plain, out, name) for name in TABLES)))
    return changed


TABLES = ("images", "findings", "lesions", "exams")


def differing_rows(one: Path, other: Path, name: str) -> int:
    """Rows of a table that only one of two results holds, counted with multiplicity."""
    left, right = (sorted(map(str, mammosweep.read_table(out, name).to_pylist())) for out in (one, other))
    return len([row for row in left if row not in right]) + abs(len(left) - len(right))


def score_difference(archive: MixedArchive, plain: Path, folder: Path) -> float:
    """The largest difference of an exam's score from the plain run's."""
    shuffled = _shuffled(archive, folder / "shuffled")
    runs = [(archive, size) for size in ("1", "2", "8")] + [(shuffled, "2")]
    expected = scores(plain)
    largest = 0.0
    for which, size in runs:
        out = folder / "company"
        shutil.rmtree(out, ignore_errors=True)
        run(which, out, "--chunk-exams", size)
        found = scores(out)
        if found.keys() != expected.keys():
            return float("inf")
        largest = max([largest, *(abs(found[exam] - expected[exam]) for exam in expected)])
    return largest


def scores(out: Path) -> dict[str, float]:
    """Exam id to score, of the exams that have one."""
    exams = mammosweep.read_table(out, "exams").to_pylist()
    return {exam["exam_id"]: exam["score"] for exam in exams if exam["score"] is not None}


def _shuffled(archive: MixedArchive, folder: Path) -> MixedArchive:
    """The same files under other names in another order; those that a manifest names keep theirs."""
    names = random.Random(1)
    for path in sorted(archive.source.rglob("*.dcm")):
        relative = path.relative_to(archive.source)
        keeps = relative.parts[0] in ("films", "junk")
        target = folder / (relative if keeps else f"{names.getrandbits(64):016x}.dcm")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return MixedArchive(folder, archive.manifest, 0)
