"""Headers of many files at once, in processes of their own; few files are read here."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from mammosweep.archive.header import read_records
from mammosweep.archive.manifest import ManifestRow
from mammosweep.archive.pseudonym import Pseudonym
from mammosweep.archive.source import FileEntry, Source, is_for_every_process
from mammosweep.archive.verdict import refused
from mammosweep.config import ArchiveConfig
from mammosweep.errors import Reason
from mammosweep.records import ImageRecord, ImageStatus

__all__ = ["HeaderReader", "Job", "read_all"]

# A process costs half a second to start, a header one to three milliseconds to read.
MIN_FILES_FOR_PROCESSES = 200
BATCH_FILES = 64

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


def read_all(reader: HeaderReader, jobs: Sequence[Job]) -> Iterator[ImageRecord]:
    """One record for each file, in the order of the jobs whatever the processes' order."""
    workers = reader.config.workers or os.cpu_count() or 1
    if len(jobs) <= MIN_FILES_FOR_PROCESSES or workers == 1 or not is_for_every_process(reader.source):
        for batch in _batches(jobs):
            yield from reader(batch)
        return
    yield from _read_in_processes(reader, _batches(jobs), workers)


def _batches(jobs: Iterable[Job]) -> list[list[Job]]:
    rest = iter(jobs)
    return list(iter(lambda: list(islice(rest, BATCH_FILES)), []))


def _read_in_processes(
    reader: HeaderReader, batches: Sequence[list[Job]], workers: int
) -> Iterator[ImageRecord]:
    with _pool(min(workers, len(batches))) as pool:
        with _own_main_module():
            futures = [pool.submit(reader, batch) for batch in batches]
        for batch, future in zip(batches, futures, strict=True):
            yield from _result(reader, batch, future)


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
    try:
        return future.result()
    except BrokenProcessPool:
        return [_read_alone(reader, job) for job in batch]


def _read_alone(reader: HeaderReader, job: Job) -> ImageRecord:
    """A file out of a batch whose process died gets a process of its own, which may die of it."""
    entry, _ = job
    try:
        with _pool(1) as pool:
            with _own_main_module():
                future = pool.submit(reader, [job])
            return future.result()[0]
    except BrokenProcessPool:
        record = ImageRecord(
            path=entry.path, status=ImageStatus.USED, size_bytes=entry.size_bytes, mtime_ns=entry.mtime_ns
        )
        return refused(record, Reason.READ_FAILED, "the process that read its header died; inspect the file")
