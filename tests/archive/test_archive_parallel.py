"""Header processes that die: of a file, or because somebody ended them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from mammosweep.archive import parallel
from mammosweep.archive.parallel import (
    BATCH_FILES,
    IN_FLIGHT,
    MIN_FILES_FOR_PROCESSES,
    HeaderReader,
    read_all,
)
from mammosweep.archive.source import FileEntry, open_source
from mammosweep.config import ArchiveConfig
from mammosweep.errors import Reason

WORKERS = 2
NUM_FILES = MIN_FILES_FOR_PROCESSES + 3 * BATCH_FILES


@dataclass(frozen=True, slots=True)
class DeadlyReader(HeaderReader):
    """Its process dies over one file; where ``once`` names a file, only until that is there."""

    deadly: str = ""
    once: str = ""

    def __call__(self, jobs):
        if any(entry.path == self.deadly for entry, _ in jobs) and not Path(self.once).is_file():
            if self.once:
                Path(self.once).touch()
            os._exit(9)
        return HeaderReader.__call__(self, jobs)


@pytest.fixture
def folder(tmp_path):
    """Files that are no images: their rows say so, which is enough to tell that they were read."""
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(NUM_FILES):
        (folder / f"{number:04}").write_text("not a mammogram")
    return folder


@pytest.fixture
def reader(folder):
    config = ArchiveConfig(workers=WORKERS)

    def made(**deadly):
        return DeadlyReader(source=open_source(folder, config=config), config=config, key=b"key", **deadly)

    return made


def jobs(folder):
    for path in sorted(folder.iterdir()):
        status = path.stat()
        yield FileEntry(path.name, status.st_size, status.st_mtime_ns), None


def test_a_file_that_costs_every_process_is_found_and_costs_no_other(reader, folder, monkeypatch):
    pools, pool = [], parallel._pool
    monkeypatch.setattr(parallel, "_pool", lambda workers: pools.append(workers) or pool(workers))

    records = list(read_all(reader(deadly="0100"), jobs(folder)))

    assert [record.path for record in records] == [entry.path for entry, _ in jobs(folder)]
    reasons = {record.path: record.reason for record in records}
    assert reasons.pop("0100") is Reason.READ_FAILED
    assert set(reasons.values()) == {Reason.NOT_DICOM}
    assert "died, and so did another" in records[100].message
    assert len(pools) < BATCH_FILES / 2  # not one for each file in danger


def test_a_process_that_is_ended_by_chance_costs_no_file(reader, folder, tmp_path):
    records = list(read_all(reader(deadly="0100", once=str(tmp_path / "died")), jobs(folder)))

    assert (tmp_path / "died").exists()
    assert [record.path for record in records] == [entry.path for entry, _ in jobs(folder)]
    assert {record.reason for record in records} == {Reason.NOT_DICOM}


def test_jobs_are_taken_as_they_are_needed(reader, folder):
    taken = []
    endless = (taken.append(1) or job for _ in range(1000) for job in jobs(folder))

    records = read_all(reader(), endless)
    next(records)
    records.close()

    assert len(taken) <= MIN_FILES_FOR_PROCESSES + (IN_FLIGHT * WORKERS + 1) * BATCH_FILES
