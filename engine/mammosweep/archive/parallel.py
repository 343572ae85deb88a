"""Headers of many files at once, in processes of their own; few files are read here."""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from time import monotonic
from typing import Any, TypeVar

from mammosweep.archive.header import read_records
from mammosweep.archive.manifest import ManifestRow
from mammosweep.archive.pseudonym import Pseudonym
from mammosweep.archive.source import FileEntry, Source, is_for_every_process, listed_record
from mammosweep.archive.verdict import refused
from mammosweep.config import ArchiveConfig
from mammosweep.errors import Reason
from mammosweep.records import ImageRecord

__all__ = ["HeaderReader", "Job", "read_all"]

# A process takes as long to start as some thousand headers of a local disk: until then, and while processes
# start, headers are read here. 0: all are read in processes.
SECONDS_BEFORE_PROCESSES = 0.3
BATCH_FILES = 64
BATCHES_UNDER_WAY = 16  # for each process: the others go on while one waits for its storage

Job = tuple[FileEntry, ManifestRow | None]
T = TypeVar("T")


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

    Jobs are taken as they are needed: a few batches for each process are under way at a time.
    """
    workers = reader.config.workers or os.cpu_count() or 1
    batches = _batches(jobs)
    if workers == 1 or not is_for_every_process(reader.source):
        yield from _read_here(reader, batches)
        return
    begun_at = monotonic()
    yield from _read_here(reader, batches, until=lambda: monotonic() - begun_at >= SECONDS_BEFORE_PROCESSES)
    while (batch := next(batches, None)) is not None:  # once, unless processes die
        yield from _read_in_processes(reader, chain([batch], batches), workers)


def _batches(jobs: Iterable[Job]) -> Iterator[list[Job]]:
    rest = iter(jobs)
    return iter(lambda: list(islice(rest, BATCH_FILES)), [])


def _read_here(
    reader: HeaderReader, batches: Iterator[list[Job]], until: Callable[[], bool] = lambda: False
) -> Iterator[ImageRecord]:
    """Read in this process, to the end or until something else is the case."""
    while not until() and (batch := next(batches, None)) is not None:
        yield from reader(batch)


def _read_in_processes(
    reader: HeaderReader, batches: Iterator[list[Job]], workers: int
) -> Iterator[ImageRecord]:
    """Read to the end, or until a process dies, with what was under way then."""
    under_way: deque[tuple[list[Job], Future[list[ImageRecord]]]] = deque()
    pool = _pool(workers)
    try:
        started = [_submit(pool, _start) for _ in range(workers)]
        if SECONDS_BEFORE_PROCESSES:
            yield from _read_here(reader, batches, until=lambda: any(future.done() for future in started))
        for batch in batches:
            under_way.append((batch, _submit(pool, reader, batch)))
            if len(under_way) < BATCHES_UNDER_WAY * workers:
                continue
            if isinstance(under_way[0][1].exception(), BrokenProcessPool):
                break
            yield from under_way.popleft()[1].result()
        for batch, future in under_way:
            yield from _result(reader, batch, future)
    finally:
        pool.shutdown(cancel_futures=True)  # of whoever wants no more


def _start() -> None:
    """What a process does first: it is there, and has loaded what it needs."""
    gc.freeze()  # modules stay, and need not be looked through again and again


def _submit(pool: ProcessPoolExecutor, work: Callable[..., T], *arguments: object) -> Future[T]:
    """Give a process work; a process that died has broken the pool, which the future then says."""
    try:
        with _own_main_module():
            return pool.submit(work, *arguments)
    except BrokenProcessPool as error:
        broken: Future[T] = Future()
        broken.set_exception(error)
        return broken


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


def _result(reader: HeaderReader, batch: list[Job], future: Future[list[ImageRecord]]) -> list[ImageRecord]:
    """What a process gives; where it died, or another that broke the pool, what one of its own gives."""
    if not isinstance(future.exception(), BrokenProcessPool):
        return future.result()
    found = _read_apart(reader, batch)
    return [_read_alone(reader, job) for job in batch] if found is None else found


def _read_alone(reader: HeaderReader, job: Job) -> ImageRecord:
    """A file out of a batch that processes die of gets one of its own, which may die of it."""
    found = _read_apart(reader, [job])
    if found is not None:
        return found[0]
    return refused(
        listed_record(job[0].path, job[0]),
        Reason.READ_FAILED,
        "the process that read its header died; inspect the file",
    )


def _read_apart(reader: HeaderReader, batch: list[Job]) -> list[ImageRecord] | None:
    """Read in a new process; None where it dies."""
    with _pool(1) as pool:
        future = _submit(pool, reader, batch)
        return None if isinstance(future.exception(), BrokenProcessPool) else future.result()
