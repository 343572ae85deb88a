"""Headers of many files at once, in processes of their own; few files are read here."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from mammosweep.archive.header import read_records
from mammosweep.archive.manifest import ManifestRow
from mammosweep.archive.pseudonym import Pseudonym
from mammosweep.archive.source import FileEntry, Source, is_for_every_process, listed_record
from mammosweep.archive.verdict import refused
from mammosweep.config import ArchiveConfig
from mammosweep.errors import Reason
from mammosweep.records import ImageRecord

__all__ = ["HeaderReader", "Job", "read_all"]

# A process costs half a second to start, a header one to three milliseconds to read.
MIN_FILES_FOR_PROCESSES = 200
BATCH_FILES = 64
IN_FLIGHT = 4  # batches for each process: it never waits, and few are in danger when one dies

Job = tuple[FileEntry, ManifestRow | None]


@dataclass(frozen=True, slots=True)
class HeaderReader:
    """What every process needs to read headers of one source."""

    source: Source
    config: ArchiveConfig
    key: bytes

    def __call__(self, jobs: Sequence[Job]) -> list[ImageRecord]:
        """One record for each file, in the same order."""
        pseudonym = Pseudonym(self.key)
        return read_records(self.source, jobs, config=self.config, pseudonym=pseudonym)


def read_all(reader: HeaderReader, jobs: Iterable[Job]) -> Iterator[ImageRecord]:
    """One record for each file, in the order of the jobs whatever the processes' order.

    Jobs are taken as they are needed, so that there may be any number of them.
    """
    rest = iter(jobs)
    first = list(islice(rest, MIN_FILES_FOR_PROCESSES + 1))
    batches = _batches(chain(first, rest))
    workers = reader.config.workers or os.cpu_count() or 1
    if len(first) <= MIN_FILES_FOR_PROCESSES or workers == 1 or not is_for_every_process(reader.source):
        for batch in batches:
            yield from reader(batch)
        return
    yield from _read_in_processes(reader, batches, workers)


def _batches(jobs: Iterable[Job]) -> Iterator[list[Job]]:
    rest = iter(jobs)
    return iter(lambda: list(islice(rest, BATCH_FILES)), [])


def _read_in_processes(
    reader: HeaderReader, batches: Iterator[list[Job]], workers: int
) -> Iterator[ImageRecord]:
    """A process that dies takes its pool along: what was in flight is read apart, the rest by a new pool."""
    pool = _pool(workers)
    flight: deque[tuple[ProcessPoolExecutor, list[Job], Future[list[ImageRecord]]]] = deque()
    try:
        while True:
            for batch in islice(batches, IN_FLIGHT * workers - len(flight)):
                flight.append((pool, batch, _submitted(pool, reader, batch)))
            if not flight:
                return
            asked, batch, future = flight.popleft()
            try:
                records = future.result()
            except BrokenProcessPool:
                if asked is pool:
                    pool.shutdown()
                    pool = _pool(workers)
                records = _read_apart(reader, batch)
            yield from records
    finally:
        pool.shutdown(cancel_futures=True)


def _submitted(
    pool: ProcessPoolExecutor, reader: HeaderReader, batch: list[Job]
) -> Future[list[ImageRecord]]:
    try:
        with _own_main_module():
            return pool.submit(reader, batch)
    except BrokenProcessPool as error:
        lost: Future[list[ImageRecord]] = Future()
        lost.set_exception(error)
        return lost


def _pool(workers: int) -> ProcessPoolExecutor:
    # Not forked: the caller's process may hold threads and locks of a network's library.
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


@contextmanager
def _own_main_module() -> Iterator[None]:
    """Start processes without the caller's script.

    A spawned process first runs the script that spawned it, which in three lines without an ``if __name__``
    would start the whole sweep again. Ours need nothing of it, so it is hidden while they start.
    """
    names = vars(sys.modules["__main__"])
    hidden: dict[str, Any] = {name: names[name] for name in ("__file__", "__spec__") if name in names}
    names.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        names.update(hidden)


def _read_apart(reader: HeaderReader, jobs: list[Job]) -> list[ImageRecord]:
    """Read in a process that nothing else depends on.

    Where it dies too, its files are halved until one is found that costs every process: most often none is,
    for it was not the file's fault.
    """
    try:
        with _pool(1) as pool:
            return _submitted(pool, reader, jobs).result()
    except BrokenProcessPool:
        if len(jobs) == 1:
            return [_fatal(jobs[0][0])]
    half = len(jobs) // 2
    return _read_apart(reader, jobs[:half]) + _read_apart(reader, jobs[half:])


def _fatal(entry: FileEntry) -> ImageRecord:
    message = "the process that read its header died, and so did another; inspect the file"
    return refused(listed_record(entry.path, entry), Reason.READ_FAILED, message)
