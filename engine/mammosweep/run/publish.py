"""A night's folder becomes what readers see: all at once, by one rename.

``OUT/nights/<name>`` is written under a temporary name and renamed, then the link ``OUT/current`` is replaced
by one to it. A reader who opens ``current`` has the old night or the new one, never parts of both; who reads
several files resolves the link once. Refused: renaming files one after the other, which mixes two nights for
a moment; and renaming folders over each other, which no portable call does in one step.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from mammosweep.errors import ConfigError, LedgerError
from mammosweep.report.atomic import flush

__all__ = ["CURRENT", "NIGHTS", "check_writable", "publish"]

CURRENT, NIGHTS = "current", "nights"
TEMPORARY, OLD = ".tmp-", ".old-"


def check_writable(out: Path) -> None:
    """Make the folder where it is missing, and see that a link can be made in it.

    Raises:
        ConfigError: not so, or ``current`` is something else than a link.
    """
    current, probe = out / CURRENT, out / f"{TEMPORARY}probe"
    if current.exists() and not current.is_symlink():
        raise ConfigError(f"{current} is no link that nightly made; give another --out")
    try:
        (out / NIGHTS).mkdir(parents=True, exist_ok=True)
        probe.unlink(missing_ok=True)
        probe.symlink_to(NIGHTS)
        probe.unlink()
    except OSError as error:
        raise ConfigError(
            f"--out {out} cannot be written: {error.strerror}; give a folder whose storage has symbolic links"
        ) from None


def publish(out: Path, name: str, write: Callable[[Path], None], keep: int) -> Path:
    """Write a night and put it in the last one's place.

    Args:
        out: a folder that `check_writable` passed.
        name: the night's; names sort by time.
        write: fills an empty folder.
        keep: so many of the newest nights stay, this one among them.

    Returns:
        The night's folder.

    Raises:
        LedgerError: the folder cannot be written; what was published before still is.
    """
    nights = out / NIGHTS
    temporary, final = nights / f"{TEMPORARY}{name}", nights / name
    try:
        _clear(nights)
        temporary.mkdir()
        write(temporary)
        flush(temporary)
        temporary.rename(final)
        flush(nights)
        _point(out, name)
        _prune(nights, name, keep)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)  # a full disk needs the space
        raise LedgerError(
            f"the worklist could not be published in {out}: {error.strerror or error}; the last one that was "
            "stays: mend the cause and run the same command again"
        ) from error
    return final


def _point(out: Path, name: str) -> None:
    link = out / f"{TEMPORARY}{CURRENT}"
    link.unlink(missing_ok=True)
    link.symlink_to(f"{NIGHTS}/{name}")
    link.replace(out / CURRENT)
    flush(out)


def _prune(nights: Path, name: str, keep: int) -> None:
    names = sorted(path.name for path in nights.iterdir() if not path.name.startswith("."))
    for old in [found for found in names if found != name][: max(0, len(names) - keep)]:
        # Renamed first: no reader finds a night of which files are missing.
        (nights / old).rename(nights / f"{OLD}{old}")
    _clear(nights)


def _clear(nights: Path) -> None:
    """Remove what was on its way in or out when a run was killed."""
    for path in nights.iterdir():
        if path.name.startswith((TEMPORARY, OLD)):
            shutil.rmtree(path)
