"""Each fault: what it does, when, and what must come of it.

A fault starts a sweep, strikes, and runs the same command again until the sweep is complete. What must hold
on the way it says by `Stage.expect`; that the results are the uninterrupted run's is `run.py`'s to judge.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.faults.clock import jumping_clock
from tests.faults.ground import BUNDLE, MANY, Command
from tests.faults.stage import ACTOR, DECODE_WORKER, HEADER_WORKER, Stage
from tests.faults.sweep import FAULTY
from tests.faults.verdict import compare, rows_by_exam

from mammosweep.run.finish import OUTCOME_FILES

__all__ = ["FAULTS", "Fault", "Struck"]

FULL_DISK = "No space left on device"
MANY_AT_ONCE = 3  # kills of one sweep
ACTORS_TOLERANCE = 1e-6
SLEEP_S = 4.0  # of a machine: longer than any deadline of an impatient sweep


@dataclass(frozen=True, slots=True, kw_only=True)
class Struck:
    """What a fault did."""

    really: bool  # while the sweep was at work, not after its end
    like: Command  # the uninterrupted run to compare with
    what: str = ""
    tolerance: float = (
        0.0  # of numbers: actors compute with other numbers of threads, which moves last digits
    )


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault."""

    name: str
    share: int  # of a hundred runs
    strike: Callable[[Stage], Struck]
    real: bool = False  # with the networks
    missing: Callable[[], str] = lambda: ""  # why it cannot be had here; empty where it can


# Whoever sweeps


def driver_killed(stage: Stage) -> Struck:
    """Kill -9 at any moment, one to three times."""
    command = stage.command()
    times = stage.random.choice((1, 1, MANY_AT_ONCE))
    killed = 0
    for _ in range(times):
        process = stage.start(command)
        stage.at_random(process, command)
        killed += stage.kill(process)
    stage.sweep(command)
    return Struck(really=killed > 0, like=command, what=f"{killed} kills")


def driver_killed_in_commit(stage: Stage) -> Struck:
    """Kill -9 while a chunk is being written, or just renamed."""
    command = stage.command()
    process = stage.start(command)
    chunks = stage.random.randrange(stage.ground.exams)
    stage.until(process, lambda: stage.parts() >= chunks and any(stage.out.glob("parts/.tmp-*")))
    stage.pause(process, stage.random.choice((0.0, 0.001, 0.004, 0.01)))
    killed = stage.kill(process)
    half = len(list(stage.out.glob("parts/.tmp-*")))
    stage.sweep(command)
    return Struck(really=killed, like=command, what=f"{half} parts half written")


def driver_killed_in_report(stage: Stage) -> Struck:
    """Kill -9 while the outcome files are written."""
    command = stage.command()
    process = stage.start(command)
    name = stage.random.choice(OUTCOME_FILES)
    tried = (f".{name}.tmp", name)
    stage.until(process, lambda: any((stage.out / path).exists() for path in tried))
    stage.pause(process, stage.random.choice((0.0, 0.001, 0.004)))
    killed = stage.kill(process)
    stage.sweep(command)
    return Struck(really=killed, like=command, what=f"at {name}")


def driver_asked_to_end(stage: Stage) -> Struck:
    """SIGTERM: what is in flight is committed, exit 0, and the next run goes on."""
    command = stage.command()
    process = stage.start(command)
    stage.at_random(process, command, before=3)  # what is read ahead is finished, and may be all there is
    struck = stage.kill(process, signal.SIGTERM)
    ended = stage.end(process)
    finished = (stage.out / "run.json").exists()
    stage.expect(ended.code == 0, f"exit code {ended.code} after SIGTERM: {ended.said[-900:]}")
    stage.expect(not any(stage.out.glob("parts/.tmp-*")), "a part is half written after SIGTERM")
    stage.expect(finished or "resumable" in ended.said, f"after SIGTERM: {ended.said[-900:]}")
    stage.sweep(command)
    return Struck(really=struck and not finished, like=command)


def driver_interrupted(stage: Stage) -> Struck:
    """Ctrl-C: exit 130, one sentence."""
    command = stage.command()
    process = stage.start(command)
    stage.at_random(process, command)
    struck = stage.kill(process, signal.SIGINT)
    ended = stage.end(process)
    really = struck and ended.code == 130
    stage.expect(ended.code in (0, 130), f"exit code {ended.code} after Ctrl-C: {ended.said[-900:]}")
    stage.expect(not really or "run the same command again" in ended.said, f"Ctrl-C: {ended.said[-900:]}")
    stage.sweep(command)
    return Struck(really=really, like=command)


def machine_sleeps(stage: Stage) -> Struck:
    """Driver and workers are stopped for longer than any deadline, and go on."""
    command = stage.command()
    process = stage.start(replace(command, impatient=True))
    struck = stage.at_random(process, command, before=5)
    family = [process, *stage.children(process, DECODE_WORKER)]
    for one in family:
        one.send_signal(signal.SIGSTOP)
    stage.pause(process, SLEEP_S)
    for one in family:
        one.send_signal(signal.SIGCONT)
    stage.expect(stage.end(process).code == 0, "the sweep did not survive the sleep")
    stage.sweep(command)
    return Struck(really=struck, like=command)


def two_at_once(stage: Stage) -> Struck:
    """A second sweep into the folder refuses, and harms nothing."""
    command = stage.command(delay_s=0.5)
    process = stage.start(command)
    stage.until(process, (stage.out / ".lock").exists)
    second = stage.end(stage.start(command))
    was_there = process.poll() is None
    if was_there:
        stage.expect(second.code == 2, f"the second sweep ended with {second.code}: {second.said[-900:]}")
        stage.expect("another sweep is writing" in second.said, second.said[-900:])
    stage.expect(stage.end(process).code == 0, "the first sweep failed")
    return Struck(really=was_there, like=command)


# Processes that help it


def decode_worker_killed(stage: Stage) -> Struck:
    """Kill -9 of a decode worker, idle, at work or starting: nothing is lost, without another run."""
    command = stage.command()
    process = stage.start(command)
    stage.at_random(process, command, before=5)  # the last exams are decoded long before their parts
    struck = stage.strike_child(process, DECODE_WORKER)
    stage.expect(stage.end(process).code == 0, "the sweep did not survive its worker")
    return Struck(really=struck, like=command)


def decode_worker_hangs(stage: Stage) -> Struck:
    """SIGSTOP of a decode worker: its deadline ends it, another takes its image."""
    command = stage.command()
    process = stage.start(replace(command, impatient=True))
    stage.until(process, lambda: stage.parts() > 0)  # it is ready; one that hangs before may take two minutes
    stage.pause(process, stage.random.uniform(0.0, 0.5))
    struck = stage.strike_child(process, DECODE_WORKER, signal.SIGSTOP)
    stage.expect(stage.end(process).code == 0, "the sweep did not survive its worker")
    stage.sweep(command)  # a busy machine may have been late with a read
    return Struck(really=struck, like=command)


def header_worker_killed(stage: Stage) -> Struck:
    """Kill -9 of a process that reads headers: its files are read by others."""
    command = stage.command(MANY, delay_s=0.0)
    process = stage.start(command)
    stage.until(process, lambda: bool(stage.children(process, HEADER_WORKER)))
    stage.pause(process, stage.random.uniform(0.0, 1.0))
    children = stage.children(process, HEADER_WORKER)
    struck = bool(children) and stage.strike_child(process, HEADER_WORKER)
    ended = stage.end(process)
    stage.expect(ended.code == 0, f"exit code {ended.code} without a header process: {ended.said[-900:]}")
    return Struck(really=struck, like=command)


def actor_killed(stage: Stage) -> Struck:
    """Kill -9 of a Ray actor that screens: its chunk is run again, without another run."""
    like = stage.command()
    command = replace(like, actors=2)
    process = stage.start(command)
    stage.at_random(process, like)
    struck = stage.strike_child(process, ACTOR)
    ended = stage.end(process)
    stage.expect(ended.code == 0, f"exit code {ended.code} without an actor: {ended.said[-900:]}")
    return Struck(really=struck, like=like, tolerance=ACTORS_TOLERANCE)


def driver_of_actors_killed(stage: Stage) -> Struck:
    """Kill -9 of the driver: its actors end too, and the next run goes on, with actors or without."""
    like = stage.command()
    process = stage.start(replace(like, actors=2))
    stage.at_random(process, like)
    killed = stage.kill(process)
    stage.sweep(replace(like, actors=stage.random.choice((0, 2))))
    return Struck(really=killed, like=like, tolerance=ACTORS_TOLERANCE)


# Disks and files


def disk_full(stage: Stage) -> Struck:
    """The output's file system is too small: exit 1, one sentence; larger, the sweep goes on."""
    command = stage.command()
    plain, _ = stage.ground.plain(command)
    needed = sum(path.stat().st_blocks * 512 for path in plain.rglob("*") if path.is_file())
    size = int(stage.random.uniform(0.1, 0.9) * needed) >> 12 << 12
    with _small_disk(stage.out, size):
        full = stage.end(stage.start(command))
        struck = full.code != 0
        stage.expect(full.code in (0, 1), f"exit code {full.code} on a full disk: {full.said[-900:]}")
        stage.expect(not struck or FULL_DISK in full.said, f"on a full disk: {full.said[-900:]}")
        stage.expect("Traceback" not in full.said, f"a traceback on a full disk: {full.said[-900:]}")
        _mount("remount,size=256m", stage.out)
        stage.sweep(command)
        kept = stage.folder / "kept"
        shutil.copytree(stage.out, kept)
    shutil.rmtree(stage.out)
    kept.rename(stage.out)
    return Struck(really=struck, like=command, what=f"{size >> 10} of {needed >> 10} KiB")


@contextmanager
def _small_disk(folder: Path, size: int) -> Iterator[None]:
    folder.mkdir(parents=True)
    _mount(f"size={size}", folder)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def _mount(options: str, folder: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "mammosweep-faults", folder], check=True)


def no_small_disk() -> str:
    """Why there is none."""
    if os.geteuid() != 0 or sys.platform != "linux":
        return "mounting a small tmpfs needs root on Linux"
    return ""


def file_vanishes(stage: Stage) -> Struck:
    """A file goes while its exam is swept, stays away for a run, and comes back.

    First run: every other exam's rows are whole; its own exam has one row, either whole (it was read before)
    or without the view. Second: as a sweep of what is left. Third: as if nothing had been.
    """
    archive = stage.own_archive()
    command = replace(stage.command(), source=str(archive))
    whole, _ = stage.ground.plain(stage.command())
    file = stage.random.choice(sorted(archive.rglob("*.dcm")))
    aside = stage.folder / file.name
    process = stage.start(command)
    stage.at_random(process, stage.command(), before=3)  # while most files are still to be read
    struck = process.poll() is None
    file.rename(aside)
    ended = stage.end(process)
    stage.expect(ended.code == 0, f"exit code {ended.code} where a file vanished: {ended.said[-900:]}")
    what = _about_vanished(stage, whole, str(file.relative_to(archive)))

    stage.sweep(command)
    left = replace(stage, folder=stage.folder / "left", problems=stage.problems, _started=[])
    left.folder.mkdir()
    left.sweep(command)
    apart = compare(stage.out, left.out)
    stage.expect(not (apart.lost or apart.duplicated or apart.differing), f"without the file: {apart}")

    aside.rename(file)
    stage.sweep(command)
    return Struck(really=struck, like=stage.command(), what=what)


def _about_vanished(stage: Stage, whole: Path, path: str) -> str:
    """When a file went, as its exam's rows say; all other exams must be whole."""
    before, after = rows_by_exam(whole), rows_by_exam(stage.out)
    (exam_id,) = (exam for exam, rows in before.items() if any(f"'{path}'" in row for row in rows))
    others = {exam for exam in before if before[exam] != after.get(exam)} - {exam_id}
    stage.expect(not others, f"a file that vanished changed {len(others)} other exams")
    own = after.get(exam_id, [])
    stage.expect(sum(row.startswith("exams ") for row in own) == 1, "its exam has not one row")
    if own == before[exam_id]:
        return "after it was read"
    images = [row for row in own if f"'{path}'" in row and row.startswith("images ")]
    if not images:
        return "before it was listed"
    stage.expect("file_missing" in images[0], f"the file that vanished has {images[0]}")
    return "between listing and reading"


def reads_fail(stage: Stage) -> Struck:
    """EIO at some reads, then at none."""
    return _storage_that(stage, "eio", 0.15)


def reads_hang(stage: Stage) -> Struck:
    """Some reads never come back, then all do."""
    return _storage_that(stage, "hang", 0.12)


def _storage_that(stage: Stage, kind: str, share: float) -> Struck:
    command = replace(stage.command(), source=f"faulty://{stage.ground.archive('phantoms')}")
    plain, _ = stage.ground.plain(command)
    faulty = {FAULTY: f"{kind} {stage.random.randrange(1 << 30)} {share}"}
    ended = stage.end(stage.start(replace(command, impatient=True), **faulty))
    stage.expect(ended.code == 0, f"exit code {ended.code} where reads {kind}: {ended.said[-900:]}")
    apart = compare(stage.out, plain)
    stage.expect((apart.lost, apart.duplicated) == (0, 0), f"with reads that {kind}: {apart}")
    stage.sweep(command)
    return Struck(really=apart.differing > 0, like=command, what=f"{apart.differing} rows at first")


# Bundles and clocks


def bundle_changed_between(stage: Stage) -> Struck:
    """Half is swept with one bundle, then all with another: all rows are the other's."""
    other = stage.ground.other_bundle()
    first, second = stage.command(), stage.command(bundle=other)
    process = stage.start(first)
    stage.until(process, lambda: stage.parts() > 0)
    stage.pause(process, stage.random.uniform(0.0, 0.5))
    killed = stage.kill(process)
    stage.sweep(second)
    return Struck(really=killed, like=second)


def bundle_file_altered(stage: Stage) -> Struck:
    """A bundle's file is altered while a sweep runs: it ends with what it loaded; the next run is refused."""
    own = stage.folder / "bundle"
    shutil.copytree(BUNDLE, own)
    command = stage.command(bundle=own)
    process = stage.start(command)
    stage.until(process, (stage.out / ".lock").exists)
    is_killed = stage.random.random() < 0.5
    stage.at_random(process, stage.command(), before=5)
    struck = process.poll() is None
    weights = own / stage.random.choice(["detector.safetensors", "lesion.safetensors", "decision.ubj"])
    original = weights.read_bytes()
    at = stage.random.randrange(len(original) // 2, len(original))
    weights.write_bytes(original[:at] + bytes([original[at] ^ 1]) + original[at + 1 :])
    if is_killed:
        stage.kill(process)
    first = stage.end(process)
    stage.expect(is_killed or first.code == 0, f"exit code {first.code}: {first.said[-900:]}")
    refusal = stage.sweep(command, expected=2)
    stage.expect("the file was changed" in refusal.said, f"an altered bundle: {refusal.said[-900:]}")
    weights.write_bytes(original)
    stage.sweep(command)
    return Struck(really=struck, like=stage.command(), what="killed too" if is_killed else "to its end")


def clock_jumps(stage: Stage) -> Struck:
    """The wall clock jumps by years, both ways, several times a second; the sweep is killed once."""
    command = stage.command()
    jumps = jumping_clock(stage.ground.folder, stage.random.randrange(1 << 30))
    process = stage.start(command, **jumps)
    stage.at_random(process, command)
    killed = stage.kill(process)
    stage.sweep(command, **jumps)
    return Struck(really=killed, like=command)


def no_compiler() -> str:
    """Why the clock cannot be made to jump."""
    return "" if shutil.which("cc") and sys.platform == "linux" else "no C compiler"


def no_sigterm() -> str:
    """Why SIGTERM is not answered."""
    return "" if importlib.util.find_spec("mammosweep.run.stop") else "this version knows no SIGTERM"


def no_ray() -> str:
    """Why there are no actors."""
    return "" if importlib.util.find_spec("mammosweep.run.ray") else "this version knows no --ray"


FAULTS = (
    Fault("driver killed", 12, driver_killed),
    Fault("driver killed in commit", 9, driver_killed_in_commit),
    Fault("driver killed in report", 9, driver_killed_in_report),
    Fault("SIGTERM", 5, driver_asked_to_end, missing=no_sigterm),
    Fault("Ctrl-C", 3, driver_interrupted),
    Fault("machine sleeps", 2, machine_sleeps),
    Fault("two sweeps at once", 4, two_at_once),
    Fault("decode worker killed", 9, decode_worker_killed),
    Fault("decode worker hangs", 4, decode_worker_hangs),
    Fault("header process killed", 4, header_worker_killed),
    Fault("disk full", 6, disk_full, missing=no_small_disk),
    Fault("file vanishes", 5, file_vanishes),
    Fault("reads fail (EIO)", 4, reads_fail),
    Fault("reads hang", 3, reads_hang),
    Fault("bundle changed between runs", 3, bundle_changed_between),
    Fault("bundle file altered", 3, bundle_file_altered),
    Fault("clock jumps", 2, clock_jumps, missing=no_compiler),
    Fault("actor killed, real pipeline", 4, actor_killed, real=True, missing=no_ray),
    Fault("driver of actors killed, real pipeline", 2, driver_of_actors_killed, real=True, missing=no_ray),
    Fault("driver killed, real pipeline", 2, driver_killed, real=True),
    Fault("decode worker killed, real pipeline", 3, decode_worker_killed, real=True),
    Fault("bundle changed between runs, real pipeline", 1, bundle_changed_between, real=True),
    Fault("file vanishes, real pipeline", 1, file_vanishes, real=True),
)
"""By share these are a hundred runs."""
