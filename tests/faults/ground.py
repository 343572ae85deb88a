"""What all runs share, made once: archives, bundles, settings, and what uninterrupted runs come to."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from tests.run.tiny import write_archive

from mammosweep.bundle.manifest import read_manifest, write_manifest
from mammosweep.phantom import PhantomConfig, Syntax, write_phantoms

__all__ = ["BUNDLE", "MANY", "PHANTOMS", "Command", "Ground", "environment"]

ROOT = Path(__file__).parent.parent.parent
BUNDLE = ROOT / "tests" / "bundles" / "phantom-regnetx-002"
PHANTOMS, MANY = "phantoms", "many"
"""Archives: some exams whose frames take a while to decode; and files enough for header processes."""

SPACING_MM = 0.2
MANY_EXAMS = 51  # 204 files of views: header processes are started beyond 200 files
DELAY_S = 0.12  # an exam of the quick command
DEADLINE_S = 300.0  # of any run, on a busy machine; a hang must be found, not waited for

SETTINGS = """\
[archive]
workers = {header_workers}
read_deadline_s = {read_s}
[pixels]
workers = 1
deadline_s = {decode_s}
read_deadline_s = {read_s}
[detect]
flips = "none"
"""

DEADLINES = {
    "few": {"header_workers": 1, "read_s": 20.0, "decode_s": 20.0},
    "many": {"header_workers": 2, "read_s": 20.0, "decode_s": 20.0},
    "impatient": {"header_workers": 1, "read_s": 0.6, "decode_s": 3.0},
}


@dataclass(frozen=True, slots=True)
class Command:
    """How a run is started."""

    source: str
    bundle: Path = BUNDLE
    real: bool = False  # with the networks; else with a score from the decoded pixels
    many: bool = False  # headers are read in two processes
    impatient: bool = False  # what hangs is given up soon; else only after longer than a busy machine takes
    actors: int = 0  # of Ray; 0: the sweep is this process's alone
    delay_s: float = DELAY_S

    def arguments(self, out: Path, settings: Path) -> list[str]:
        """The command line that sweeps into ``out``."""
        program = ["-m", "mammosweep.cli"] if self.real else ["-m", "tests.faults.sweep", f"{self.delay_s:g}"]
        chosen = settings / f"{'impatient' if self.impatient else 'many' if self.many else 'few'}.toml"
        return [
            *(sys.executable, *program, "sweep", self.source, "--out", str(out)),
            *("--bundle", str(self.bundle), "--chunk-exams", "8" if self.many else "1"),
            *("--config", str(chosen)),
            *(("--ray", "local", "--workers", str(self.actors)) if self.actors else ()),
        ]


def environment(**more: str) -> dict[str, str]:
    """One key for all runs, and no thread more than there are cores."""
    paths = [str(ROOT), str(ROOT / "engine"), str(ROOT / "kernels"), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "OMP_NUM_THREADS": "2"} | more


class Ground:
    """The folder that runs take from; making it twice makes nothing new."""

    def __init__(self, folder: Path, exams: int = 8) -> None:
        self.folder = folder
        self.exams = exams
        self.settings = folder / "settings"
        self.settings.mkdir(parents=True, exist_ok=True)
        self.environment = environment(MAMMOSWEEP_PSEUDONYM_KEY_FILE=str(folder / "pseudonym.key"))
        for name, numbers in DEADLINES.items():
            text = SETTINGS.format(**numbers)
            (self.settings / f"{name}.toml").write_text(text, encoding="utf-8")

    def archive(self, name: str) -> Path:
        """An archive, made if it is not there."""
        folder = self.folder / name
        if not folder.exists():
            partial = folder.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            if name == PHANTOMS:
                config = PhantomConfig(spacing_mm=SPACING_MM)
                syntaxes = [Syntax.JPEG2000, Syntax.JPEG_LOSSLESS]
                write_phantoms(partial, exams=self.exams, seed=3, syntaxes=syntaxes, config=config)
            else:
                write_archive(partial, MANY_EXAMS)
            partial.rename(folder)
        return folder

    def other_bundle(self) -> Path:
        """A bundle with other numbers and, as it must be, another digest."""
        folder = self.folder / "other-bundle"
        if not folder.exists():
            partial = folder.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(BUNDLE, partial)
            manifest = read_manifest(partial)
            slope, intercept = manifest.decision_calibration
            write_manifest(partial, replace(manifest, decision_calibration=(slope, intercept + 0.3)))
            partial.rename(folder)
        return folder

    def plain(self, command: Command) -> tuple[Path, float]:
        """The folder of an uninterrupted run, and the seconds from its lock to its end."""
        key = hashlib.sha256(str(command).encode()).hexdigest()[:12]
        out, seconds = self.folder / f"plain-{key}", self.folder / f"plain-{key}.json"
        if not seconds.exists():
            shutil.rmtree(out, ignore_errors=True)
            span_s = self._sweep(command, out)
            seconds.write_text(json.dumps({"command": str(command), "seconds": span_s}), encoding="utf-8")
        return out, float(json.loads(seconds.read_text(encoding="utf-8"))["seconds"])

    def _sweep(self, command: Command, out: Path) -> float:
        arguments = command.arguments(out, self.settings)
        with subprocess.Popen(
            arguments, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            while not (out / ".lock").exists() and process.poll() is None:
                time.sleep(0.005)
            start = time.monotonic()
            if process.wait(DEADLINE_S) != 0:
                raise RuntimeError(f"the uninterrupted run failed: {' '.join(arguments)}")
        return time.monotonic() - start
