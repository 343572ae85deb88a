"""Where plans are kept: a folder of this user alone, each plan whole, named by all that decides what it is.

A plan's files hold machine code. So nothing is loaded from a folder into which others can write, nothing
whose digest is not the one that was noted when it was built, and nothing that needs pickle. torch-tensorrt's
own cache leaves weights and GPU out of its key, and its saved modules are pickles; neither is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mammosweep.detect.plans.agreement import Agreement
from mammosweep.detect.plans.key import PlanKey, digest_of
from mammosweep.errors import ConfigError, PlanRefused

__all__ = ["PlanStore", "StoredPlan", "open_store", "store_folder"]

PLAN, AGREEMENT = "plan.json", "agreement.json"
SCHEMA_VERSION = 1
TEMPORARY = ".tmp-"
LONGEST_BUILD_S = 24 * 3600.0  # what is half written for longer was given up
WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """A plan in the store: what was built, or the record of one that was refused."""

    folder: Path
    made_for: dict[str, Any]  # `PlanKey.as_json`
    files: dict[str, str]  # name -> SHA-256; none where the plan was refused
    built_at: str  # ISO 8601, UTC
    seconds: float  # that building took

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.name

    @property
    def agreement(self) -> dict[str, Any]:
        """What `Agreement.as_json` said of it; empty before it was compared."""
        path = self.folder / AGREEMENT
        return _read_json(path) if path.exists() else {}

    def verified(self) -> Path:
        """Its folder, after every file was found to be the one that was built.

        Raises:
            PlanRefused: it did not agree with fp32 PyTorch.
            ConfigError: a file is missing or was changed, or others can write it.
        """
        for name in self.files:
            self.read(name)
        self.require_accepted()
        return self.folder

    def read(self, name: str) -> bytes:
        """One of its files, after its digest was found to be the one that was noted.

        Raises:
            ConfigError: it is missing or was changed, or others can write it.
        """
        path = self.folder / name
        try:
            _require_own(path)
            data = path.read_bytes()
        except OSError as error:
            raise ConfigError(f"plan {self.folder}: {name}: {error.strerror}; build the plan again") from None
        found = hashlib.sha256(data).hexdigest()
        if found != self.files[name]:
            raise ConfigError(
                f"plan {self.folder}: {name} has SHA-256 {found[:12]}..., {PLAN} says "
                f"{self.files[name][:12]}...; the file was changed after it was built: build the plan again"
            )
        return data

    def require_accepted(self) -> None:
        """Go on only with a plan that agreed.

        Raises:
            PlanRefused: it did not, or was never compared.
        """
        said = self.agreement
        if not said.get("accepted", False):
            raise PlanRefused(f"plan {self.name} is refused: {said.get('sentence', 'it was never compared')}")


class PlanStore:
    """A folder of plans. `open_store` makes one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, key: PlanKey) -> StoredPlan | None:
        """The plan of this key, accepted or refused; None where there is none.

        Raises:
            ConfigError: what lies in its place is no plan, or not of this key.
        """
        if not (self.folder / key.name).exists():
            return None
        plan = _read_plan(self.folder / key.name)
        if plan.made_for != key.as_json():
            raise ConfigError(
                f"plan {plan.folder}: {PLAN} is of another plan; remove the folder and build it again"
            )
        return plan

    def save(
        self, key: PlanKey, write: Callable[[Path], None], judge: Callable[[StoredPlan], Agreement]
    ) -> StoredPlan:
        """Build a plan beside its place, compare it, and move it there.

        Args:
            key: what it is; the plan that was there before is replaced.
            write: writes the plan's files into a folder.
            judge: compares what was written with fp32 PyTorch.

        Raises:
            PlanRefused: it does not agree. The report is kept in its place, the files are not.
            ConfigError: the store cannot be written.
        """
        beside = self._beside()
        try:
            made = _made(key, beside, write)
            agreement = judge(made)
            if not agreement.accepted:
                for name in made.files:
                    (beside / name).unlink()
                made = replace(made, files={})
            _write_json(beside / PLAN, _as_json(made, key.digest))
            _write_json(beside / AGREEMENT, agreement.as_json())
            self._move(beside, self.folder / key.name)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        plan = _read_plan(self.folder / key.name)
        plan.require_accepted()
        return plan

    def _beside(self) -> Path:
        """A folder that is no plan yet."""
        beside = self.folder / f"{TEMPORARY}{secrets.token_hex(8)}"
        try:
            beside.mkdir(mode=0o700)
        except OSError as error:
            raise ConfigError(
                f"plan store {self.folder} cannot be written: {error.strerror}; set detect.plan_store to "
                "another"
            ) from None
        return beside

    def _move(self, beside: Path, place: Path) -> None:
        old = self.folder / f"{TEMPORARY}{secrets.token_hex(8)}"
        if place.exists():
            place.rename(old)
        beside.rename(place)
        shutil.rmtree(old, ignore_errors=True)

    def judged_again(self, plan: StoredPlan, agreement: Agreement) -> None:
        """Renew what a plan's report says."""
        beside = plan.folder / f"{TEMPORARY}{AGREEMENT}"
        _write_json(beside, agreement.as_json())
        beside.replace(plan.folder / AGREEMENT)

    def entries(self) -> list[StoredPlan]:
        """Every plan, accepted or refused, by name.

        Raises:
            ConfigError: what lies in a plan's place is none.
        """
        names = sorted(p.name for p in self.folder.iterdir() if p.is_dir() and not p.name.startswith("."))
        return [_read_plan(self.folder / name) for name in names]


def open_store(setting: str = "") -> PlanStore:
    """The store that `store_folder` names, made if it is missing, readable by this user alone.

    Raises:
        ConfigError: it cannot be made, belongs to another user, or others can write into it.
    """
    folder = store_folder(setting)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _require_own(folder)
        _clear_leftovers(folder)
    except OSError as error:
        raise ConfigError(
            f"plan store {folder}: {error.strerror}; set detect.plan_store to a folder that can be written"
        ) from None
    return PlanStore(folder)


def _clear_leftovers(folder: Path) -> None:
    """Remove what a build that was killed left half written."""
    for path in folder.glob(f"{TEMPORARY}*"):
        with suppress(FileNotFoundError):  # another process clears too
            if time.time() - path.stat().st_mtime > LONGEST_BUILD_S:
                shutil.rmtree(path)


def store_folder(setting: str = "") -> Path:
    """The setting ``detect.plan_store``, else mammosweep/plans below the user's cache folder."""
    if setting:
        return Path(setting).expanduser().resolve()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return (Path(cache).expanduser() / "mammosweep" / "plans").resolve()


def _require_own(path: Path) -> None:
    said = path.lstat()
    if said.st_uid != os.getuid():
        raise ConfigError(
            f"plan store: {path} belongs to user {said.st_uid}, not to this one ({os.getuid()}), and plans "
            "are machine code; set detect.plan_store to a folder of your own"
        )
    if said.st_mode & WRITABLE_BY_OTHERS:
        raise ConfigError(
            f"plan store: others can write {path} (mode {stat.S_IMODE(said.st_mode):04o}), and plans are "
            f"machine code; remove what is not yours and run: chmod -R go-w {path}"
        )


def _made(key: PlanKey, folder: Path, write: Callable[[Path], None]) -> StoredPlan:
    start_s = time.monotonic()
    write(folder)
    seconds = round(time.monotonic() - start_s, 1)
    files = {}
    for path in sorted(folder.iterdir()):
        path.chmod(0o600)
        files[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return StoredPlan(folder, key.as_json(), files, datetime.now(UTC).isoformat(timespec="seconds"), seconds)


def _as_json(plan: StoredPlan, digest: str) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "digest": digest,
        "made_for": plan.made_for,
        "files": plan.files,
        "built_at": plan.built_at,
        "seconds": plan.seconds,
    }


def _read_plan(folder: Path) -> StoredPlan:
    said = _read_json(folder / PLAN)
    _require_own(folder)
    _require_own(folder / PLAN)
    try:
        if said["schema_version"] != SCHEMA_VERSION or said["digest"] != digest_of(said["made_for"]):
            raise ValueError("its digest is not that of what it says")
        files = {str(name): str(digest) for name, digest in said["files"].items()}
        if any(Path(name).name != name for name in files):
            raise ValueError("a file lies outside its folder")
        return StoredPlan(folder, said["made_for"], files, str(said["built_at"]), float(said["seconds"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"plan {folder}: {PLAN} cannot be used: {error}; remove the folder") from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"plan {path.parent}: {path.name} cannot be read: {error}; remove the folder"
        ) from None
    if not isinstance(found, dict):
        raise ConfigError(f"plan {path.parent}: {path.name} holds no table; remove the folder")
    return found


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    path.chmod(0o600)
