"""Headers read by several processes: in order, few at a time, and whatever one of them dies of."""

from __future__ import annotations

from importlib import import_module
from itertools import islice

import pytest

from mammosweep.archive import parallel
from mammosweep.archive.parallel import BATCH_FILES, BATCHES_UNDER_WAY, HeaderReader, read_all
from mammosweep.archive.source import FolderSource
from mammosweep.config import ArchiveConfig
from mammosweep.errors import Reason

NUM_FILES = 200
DEADLY_SOURCE = """
import os
from mammosweep.archive.source import FolderSource

class DeadlySource(FolderSource):
    def open(self, path):
        if path == "070":
            os._exit(9)
        return super().open(path)
"""


@pytest.fixture
def folder(tmp_path):
    """Many files that are no images."""
    for number in range(NUM_FILES):
        (tmp_path / f"many/{number:03}").parent.mkdir(exist_ok=True)
        (tmp_path / f"many/{number:03}").write_bytes(b"no film")
    return tmp_path / "many"


def jobs_of(source):
    return ((entry, None) for entry in source.entries())


def reader_of(source, workers=2):
    return HeaderReader(source, ArchiveConfig(workers=workers), b"key")


@pytest.mark.parametrize("seconds", [0, 0.001, 60], ids=["in processes", "in both", "here"])
def test_records_come_in_the_order_of_the_files(folder, monkeypatch, seconds):
    monkeypatch.setattr(parallel, "SECONDS_BEFORE_PROCESSES", seconds)
    source = FolderSource(folder)

    found = [(record.path, record.reason) for record in read_all(reader_of(source), jobs_of(source))]

    assert found == [(f"{number:03}", Reason.NOT_DICOM) for number in range(NUM_FILES)]


def test_a_file_that_processes_die_of_costs_itself_alone(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "SECONDS_BEFORE_PROCESSES", 0)
    monkeypatch.setattr(parallel, "BATCH_FILES", 8)
    monkeypatch.setattr(parallel, "BATCHES_UNDER_WAY", 2)
    (tmp_path / "deadly.py").write_text(DEADLY_SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    source = import_module("deadly").DeadlySource(folder)

    records = list(read_all(reader_of(source), jobs_of(source)))

    assert [record.path for record in records] == [f"{number:03}" for number in range(NUM_FILES)]
    (lost,) = (record for record in records if record.reason is not Reason.NOT_DICOM)
    assert (lost.path, lost.reason) == ("070", Reason.READ_FAILED)
    assert "the process that read its header died" in lost.message


@pytest.mark.parametrize(
    ("workers", "most"), [(1, BATCH_FILES), (2, (2 * BATCHES_UNDER_WAY + 1) * BATCH_FILES)]
)
def test_jobs_are_taken_as_they_are_needed(folder, monkeypatch, workers, most):
    monkeypatch.setattr(parallel, "SECONDS_BEFORE_PROCESSES", 0)
    source = FolderSource(folder)
    taken = []

    def without_end():
        while True:
            for job in jobs_of(source):
                taken.append(job)
                yield job

    records = read_all(reader_of(source, workers), without_end())

    assert len(list(islice(records, 10))) == 10
    assert len(taken) <= most
    records.close()
