"""The sweep's folder as a ledger: one writer, chunks that appear whole or not at all.

A chunk is written to ``parts/.tmp-<id>``, flushed and renamed to ``parts/<id>``: what exists is done, and a
kill at any moment loses at most the chunk in flight. Parts carry the digests of their bundle and settings;
a sweep counts only its own as done, so another bundle in the same folder scores every exam again.

A chunk some of whose files the storage did not give is committed as ``parts/<id>.again``: its rows say so for
now, and the next run takes the part back and does its exams again.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from mammosweep.errors import TRANSIENT, LedgerError
from mammosweep.records import ExamOutcome, ImageStatus
from mammosweep.report.atomic import flush
from mammosweep.report.html import PAGES
from mammosweep.report.page import write_exam_page
from mammosweep.report.runjson import RUN_FILE
from mammosweep.report.tables import write_tables
from mammosweep.run.chunks import Chunk, Identity
from mammosweep.run.part import Part, PartExam, read_part, write_part_file

__all__ = ["LOCK", "PARTS", "Ledger", "Writer", "commit", "each_part", "is_locked", "read_parts"]

LOCK = ".lock"
PARTS = "parts"
TEMPORARY = ".tmp-"
AGAIN = ".again"

# `is_locked` holds the lock for an instant; a sweep that starts in that instant tries again.
LOCK_ATTEMPTS, LOCK_PAUSE_S = 5, 0.1


class Ledger:
    """Exclusive use of a sweep's folder, for as long as the ``with`` block lasts or the process lives."""

    def __init__(self, out: Path, identity: Identity) -> None:
        self.out = out
        self.identity = identity
        self.run_id = secrets.token_hex(8)
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        """Lock the folder, made if it is missing, and clear what a killed sweep left half written.

        Raises:
            LedgerError: another sweep is writing there, or the folder cannot be written.
        """
        try:
            (self.out / PARTS).mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.out / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise LedgerError(
                f"output folder {self.out} cannot be written: {error.strerror}; give another --out"
            ) from None
        self._lock(self._descriptor)
        for leftover in (self.out / PARTS).glob(f"{TEMPORARY}*"):
            shutil.rmtree(leftover)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Unlock the folder."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def parts(self) -> Iterator[Part]:
        """Every committed part of this bundle and these settings, by name.

        Raises:
            LedgerError: a part was damaged after it was committed.
        """
        return (part for part in each_part(self.out) if part.identity == self.identity)

    def take_back(self) -> None:
        """Remove the parts that are to be done again; a sweep that was complete with them is no more.

        Raises:
            OSError: the folder cannot be written.
        """
        again = list((self.out / PARTS).glob(f"*{AGAIN}"))
        if again:  # first, so that a kill in between leaves no sweep that passes for complete
            (self.out / RUN_FILE).unlink(missing_ok=True)
            flush(self.out)
        for part in again:
            aside = part.with_name(f"{TEMPORARY}{part.name}")
            part.rename(aside)
            shutil.rmtree(aside)

    def commit(
        self,
        chunk: Chunk,
        outcomes: Sequence[ExamOutcome],
        *,
        seconds: Mapping[str, float],
        pages: bool,
        bundle_note: str = "",
    ) -> Part:
        """Make a chunk's results part of the sweep, all of them at once.

        Args:
            chunk: the exams.
            outcomes: one for each of the chunk's exams, in their order.
            seconds: wall seconds by stage.
            pages: whether each exam gets its page.
            bundle_note: what the pages must say of the bundle.

        Raises:
            LedgerError: the outcomes are not the chunk's, or the disk refuses them.
        """
        return commit(
            Writer(self.out, self.run_id, self.identity),
            chunk,
            outcomes,
            seconds=seconds,
            pages=pages,
            bundle_note=bundle_note,
        )

    def _lock(self, descriptor: int) -> None:
        for attempt in range(LOCK_ATTEMPTS):
            with suppress(BlockingIOError):
                return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if attempt < LOCK_ATTEMPTS - 1:
                time.sleep(LOCK_PAUSE_S)
        self.__exit__(None, None, None)
        raise LedgerError(
            f"another sweep is writing to {self.out}; wait for it (mammosweep status shows how far it is) "
            "or give another --out"
        )


@dataclass(frozen=True, slots=True)
class Writer:
    """What a process needs to commit a chunk on behalf of the one that holds the folder's lock."""

    out: Path
    run_id: str
    identity: Identity


def commit(
    writer: Writer,
    chunk: Chunk,
    outcomes: Sequence[ExamOutcome],
    *,
    seconds: Mapping[str, float],
    pages: bool,
    bundle_note: str = "",
) -> Part:
    """See `Ledger.commit`. Where two processes commit one chunk, the first part stays: rows are equal."""
    _check_complete(chunk, outcomes)
    parts = writer.out / PARTS
    name = f"{chunk.id}{AGAIN}" if _is_unread(chunk, outcomes) else chunk.id
    temporary, final = parts / f"{TEMPORARY}{chunk.id}-{secrets.token_hex(4)}", parts / name
    part = Part(
        folder=final,
        run_id=writer.run_id,
        identity=writer.identity,
        exams=tuple(PartExam.of(*pair) for pair in zip(chunk.exams, outcomes, strict=True)),
        seconds=seconds,
        committed_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )
    try:
        write_tables(temporary, outcomes)
        for outcome in outcomes if pages else ():
            write_exam_page(temporary / PAGES, outcome, bundle_note)
        write_part_file(temporary, part)
        if final.exists():
            shutil.rmtree(temporary)
            return read_part(final)
        temporary.rename(final)
        flush(parts)
    except OSError as error:
        raise LedgerError(
            f"chunk {chunk.id} could not be committed: {error.strerror or error}; committed chunks are "
            "safe: mend the cause and run the same command again"
        ) from error
    return part


def is_locked(out: Path) -> bool:
    """Whether a living process is sweeping into this folder."""
    try:
        descriptor = os.open(out / LOCK, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def each_part(out: Path) -> Iterator[Part]:
    """Every committed part in the folder, of any bundle and settings, by name; one is held at a time."""
    names = sorted(entry.name for entry in _folders(out / PARTS) if not entry.name.startswith("."))
    return (read_part(out / PARTS / name) for name in names)


def read_parts(out: Path) -> list[Part]:
    """All of `each_part` at once: of a sweep that is small."""
    return list(each_part(out))


def _folders(folder: Path) -> Iterator[os.DirEntry[str]]:
    with suppress(FileNotFoundError), os.scandir(folder) as found:
        yield from (entry for entry in found if entry.is_dir())


def _is_unread(chunk: Chunk, outcomes: Sequence[ExamOutcome]) -> bool:
    """Whether a file that was there when it was indexed could not be read, for a reason that may pass."""
    for exam, outcome in zip(chunk.exams, outcomes, strict=True):
        indexed = {image.path for image in exam.images if image.status is ImageStatus.USED}
        if any(image.reason in TRANSIENT and image.path in indexed for image in outcome.images):
            return True
    return False


def _check_complete(chunk: Chunk, outcomes: Sequence[ExamOutcome]) -> None:
    expected = [(exam.exam_id, exam.digest) for exam in chunk.exams]
    found = [(outcome.exam_id, outcome.exam_digest) for outcome in outcomes]
    if found != expected:
        raise LedgerError(
            f"chunk {chunk.id}: its {len(expected)} exams and the {len(found)} outcomes do not correspond; "
            "this is a fault of the engine: nothing of the chunk was committed"
        )
