"""Cases 1 to 16."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from tests.archive.conftest import as_nobody
from tests.cases.all_cases import case, shared
from tests.cases.check import check, check_unchanged, swept_of
from tests.cases.file_cases import POLYGLOT_MARK
from tests.cases.hung import HungStorage
from tests.cases.making import Desk

import mammosweep
from mammosweep.archive import index, write_catalog
from mammosweep.archive.source import FolderSource
from mammosweep.config import ArchiveConfig


@pytest.mark.parametrize("case", shared("File"), ids=lambda case: case.id)
def test_a_case_of_files_has_its_outcome(case, swept):
    check(case, swept)


def test_the_neighbour_has_the_results_that_it_has_alone(swept, alone):
    check_unchanged(alone, swept.result_of("neighbour"))


def test_every_file_has_one_row_and_no_error_was_unforeseen(swept):
    folder = swept.out.parent / "archive"
    on_disk = sum(len(files) for _, _, files in os.walk(folder))
    linked_folders = sum(Path(at, n).is_symlink() for at, names, _ in os.walk(folder) for n in names)

    assert len(swept.images) == on_disk + linked_folders
    assert [row["path"] for row in swept.images if row["reason"] == "unexpected_error"] == []


def test_14_the_bytes_of_a_preamble_are_never_written_again(swept):
    written = [path for path in swept.out.rglob("*") if path.is_file()]

    assert written
    assert [path.name for path in written if POLYGLOT_MARK in path.read_bytes()] == []


def test_15_what_a_dicomdir_refers_to_is_never_opened(swept):
    assert [row["path"] for row in swept.images if "outside/view" in row["path"]] == []


@pytest.fixture
def open_folder():
    """A folder that everybody may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_10_a_file_that_is_written_to_meanwhile_is_rejected(
    tmp_path, write_neighbour, spoilt, quick, alone, monkeypatch
):
    grows = case("10 grows while swept")
    archive = tmp_path / "archive"
    write_neighbour(archive)
    path = Desk(archive / grows.folder, spoilt)
    path = path.save(path.image())

    grow_when_opened(monkeypatch, path)

    # Headers are read in this process, in which the file can be made to grow at the right moment.
    mammosweep.sweep_to(tmp_path / "out", archive, config=replace(quick, archive=ArchiveConfig(workers=1)))

    swept = swept_of(tmp_path / "out")
    check(grows, swept)
    check_unchanged(alone, swept.result_of("neighbour"))


def grow_when_opened(monkeypatch, growing):
    """A byte is written to a file's end whenever the sweep opens it, after it was listed, as a copy does."""
    real = FolderSource.open

    def opened(source, path):
        if growing.samefile(Path(source.url, path)):
            with growing.open("ab") as file:
                file.write(b"\0")
        return real(source, path)

    monkeypatch.setattr(FolderSource, "open", opened)


def test_10_11_what_a_catalog_says_of_files_that_change_or_may_not_be_read(
    open_folder, write_neighbour, spoilt, quick, alone
):
    changed, closed = case("10 changed since the catalog"), case("11 permission denied")
    archive = open_folder / "archive"
    write_neighbour(archive)
    paths = {}
    for one in (changed, closed):
        desk = Desk(archive / one.folder, spoilt)
        paths[one.id] = desk.save(desk.image())
    paths[closed.id].chmod(0)
    key = Path(shutil.copy(os.environ["MAMMOSWEEP_PSEUDONYM_KEY_FILE"], open_folder / "pseudonym.key"))
    key.chmod(0o644)
    with as_nobody():
        catalog = index(archive, config=ArchiveConfig(workers=1, pseudonym_key_file=os.fspath(key)))
    write_catalog(catalog, open_folder / "catalog.parquet")
    dataset = pydicom.dcmread(paths[changed.id])
    dataset.PixelData = spoilt.views[0].pixels[::-1].tobytes()  # as many bytes, under the same UID
    dataset.save_as(paths[changed.id])

    mammosweep.sweep_to(open_folder / "out", open_folder / "catalog.parquet", config=quick)

    swept = swept_of(open_folder / "out")
    check(changed, swept)
    check(closed, swept)
    check_unchanged(alone, swept.result_of("neighbour"))


@pytest.fixture
def hung():
    """Storage that hangs, until the test is over."""
    yield HungStorage.over
    HungStorage.release()


def test_12_storage_that_hangs_costs_one_file_its_deadline(
    tmp_path, write_neighbour, spoilt, quick, alone, hung
):
    never, second, once = (
        case("12 hung storage"),
        case("12 hung on the second read"),
        case("12 slow at first"),
    )
    hangs = {never.folder: range(99), second.folder: range(1, 99), once.folder: range(1)}
    archive = tmp_path / "archive"
    write_neighbour(archive)
    for one in (never, second, once):
        desk = Desk(archive / one.folder, spoilt)
        desk.save(desk.image())
    patient = replace(
        quick,
        archive=replace(quick.archive, read_deadline_s=0.3),
        pixels=replace(quick.pixels, read_deadline_s=0.3),
    )

    mammosweep.sweep_to(tmp_path / "out", hung(archive, hangs), config=patient)

    swept = swept_of(tmp_path / "out")
    for one in (never, second, once):
        check(one, swept)
    assert HungStorage.readings[never.folder] == 2
    check_unchanged(alone, swept.result_of("neighbour"))
