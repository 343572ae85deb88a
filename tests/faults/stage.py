"""One seeded run: its folder, its processes, and the means to hurt them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import psutil
from tests.faults.ground import DEADLINE_S, PHANTOMS, Command, Ground

__all__ = ["ACTOR", "DECODE_WORKER", "HEADER_WORKER", "Ended", "Stage"]

ACTOR = "ray::ScreeningActor"
DECODE_WORKER = "mammosweep.pixels.isolation.worker"
HEADER_WORKER = "spawn_main"
SETTLE_S = 60.0
"""In which an orphan must have noticed that it is one: Ray's agents take their time."""

POLL_S = 0.001


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended, and what it said."""

    code: int
    said: str


@dataclass(slots=True)
class Stage:
    """A run's own folder; whatever goes wrong is collected, not raised."""

    ground: Ground
    folder: Path
    random: Random
    real: bool = False
    problems: list[str] = field(default_factory=list)
    _descendants: list[psutil.Process] = field(default_factory=list)  # of drivers that were killed
    _started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def out(self) -> Path:
        """Where the sweep writes."""
        return self.folder / "out"

    def command(self, archive: str = PHANTOMS, **changes: object) -> Command:
        """The sweep of an archive that all runs share."""
        command = Command(str(self.ground.archive(archive)), real=self.real, many=archive != PHANTOMS)
        return replace(command, **changes)  # type: ignore[arg-type]

    def own_archive(self) -> Path:
        """An archive whose files may be taken away: links, of the same bytes and times."""
        own = self.folder / "archive"
        shutil.copytree(self.ground.archive(PHANTOMS), own, copy_function=os.link)
        return own

    # Processes

    def start(self, command: Command, **variables: str) -> subprocess.Popen[bytes]:
        """Start a sweep into `out`; what it says goes to a file."""
        with (self.folder / f"said-{len(self._started)}").open("wb") as said:
            process = subprocess.Popen(
                command.arguments(self.out, self.ground.settings),
                env=self.ground.environment | variables,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def end(self, process: subprocess.Popen[bytes]) -> Ended:
        """Wait for it; one that does not end is a problem, and is ended."""
        try:
            process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.problems.append(f"a run did not end within {DEADLINE_S:g} s")
            process.kill()
            process.wait()
        said = (self.folder / f"said-{self._started.index(process)}").read_text(errors="replace")
        return Ended(process.returncode, " ".join(said.split()))

    def sweep(self, command: Command, expected: int = 0, **variables: str) -> Ended:
        """Sweep to the end; another exit code than the expected one is a problem."""
        ended = self.end(self.start(command, **variables))
        self.expect(
            ended.code == expected, f"exit code {ended.code}, expected {expected}: {ended.said[-300:]}"
        )
        return ended

    def expect(self, truth: bool, problem: str) -> None:
        """What is not so is a problem."""
        if not truth:
            self.problems.append(problem)

    # Moments

    def until(self, process: subprocess.Popen[bytes], truth: Callable[[], bool]) -> bool:
        """Wait for something to be so; False where the process ended first."""
        deadline = time.monotonic() + DEADLINE_S
        while not truth():
            if process.poll() is not None or time.monotonic() > deadline:
                return False
            time.sleep(POLL_S)
        return True

    def at_random(
        self, process: subprocess.Popen[bytes], command: Command, before: int | None = None
    ) -> bool:
        """Wait for any moment between the lock and the end; False where the process ended first.

        With ``before``, a moment while fewer parts than that are committed.

        A random number of committed parts and then a random while: a busy machine is later at both.
        """
        plain, span_s = self.ground.plain(command)
        chunks = len(list(plain.glob("parts/*")))
        parts = self.random.randrange(min(before or chunks, chunks))
        begun = self.until(process, lambda: (self.out / ".lock").exists() and self.parts() >= parts)
        return begun and self.pause(process, self.random.uniform(0.0, 0.8) * span_s / (chunks + 2))

    def pause(self, process: subprocess.Popen[bytes], seconds: float) -> bool:
        """Wait; False where the process ended first."""
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        return process.poll() is None

    def parts(self) -> int:
        """How many chunks are committed."""
        return len(list(self.out.glob("parts/[0-9a-f]*")))

    # Blows

    def kill(self, process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGKILL) -> bool:
        """Send a signal; whether the process was still there, and for SIGKILL whether it died of it."""
        if process.poll() is not None:
            return False
        with suppress(psutil.NoSuchProcess):
            self._descendants += psutil.Process(process.pid).children(recursive=True)
        process.send_signal(how)
        return how is not signal.SIGKILL or process.wait() == -how

    def children(self, process: subprocess.Popen[bytes], program: str) -> list[psutil.Process]:
        """The driver's processes whose command line names a program."""
        found = []
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    if program in " ".join(child.cmdline()):
                        found.append(child)
        return found

    def strike_child(
        self, process: subprocess.Popen[bytes], program: str, how: signal.Signals = signal.SIGKILL
    ) -> bool:
        """Send a signal to one of the driver's processes, once there is one; whether it was there."""
        if not self.until(process, lambda: bool(self.children(process, program))):
            return False
        children = self.children(process, program)
        if not children or process.poll() is not None:
            return False
        with suppress(psutil.NoSuchProcess):
            self.random.choice(children).send_signal(how)
            return True
        return False

    # The end

    def close(self) -> None:
        """End what is left, which is a problem, and remove the folder."""
        for process in self._started:
            if process.poll() is None:
                self.problems.append("a run was left running")
                process.kill()
                process.wait()
        for left in self._orphans():
            self.problems.append(f"a process is left behind: {' '.join(left.cmdline())[:120]}")
            with suppress(psutil.NoSuchProcess):
                left.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _orphans(self) -> list[psutil.Process]:
        """Processes of the runs that outlive them, and the time they have to notice."""
        sessions = {process.pid for process in self._started}
        deadline = time.monotonic() + SETTLE_S
        while True:
            left = {process for process in psutil.process_iter() if _lives_in(process, sessions)}
            left |= {process for process in self._descendants if _lives(process)}
            if not left or time.monotonic() > deadline:
                return list(left)
            time.sleep(0.05)


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def _lives_in(process: psutil.Process, sessions: set[int]) -> bool:
    with suppress(OSError):
        return os.getsid(process.pid) in sessions and _lives(process)
    return False
