"""Catalogs of many files: on disk in groups, and the same exams come of them."""

from __future__ import annotations

import os
import shutil

import pyarrow.parquet as pq
import pytest

from mammosweep.archive import index, read_catalog
from mammosweep.archive import spool as spool_module
from mammosweep.archive.catalog import index_to
from mammosweep.config import ArchiveConfig
from mammosweep.errors import Reason
from mammosweep.records import SLOTS

CONFIG = ArchiveConfig(workers=1)
NUM_EXAMS = 12


@pytest.fixture(autouse=True)
def few_in_memory(monkeypatch):
    """Seven rows are many."""
    monkeypatch.setattr(spool_module, "SPILL_ROWS", 7)


@pytest.fixture
def archive(films, tmp_path):
    """Twelve exams of four views, junk, and one image under two studies' folders."""
    root = tmp_path / "archive"
    for exam in range(NUM_EXAMS):
        for number, (laterality, view) in enumerate(SLOTS):
            film = films.mammogram(laterality, view, number=10 * exam + number)
            film.StudyInstanceUID = f"1.2.3.{exam}"
            films.save(film, root / f"{exam}/{laterality}{view}.dcm")
    (root / "notes.txt").write_text("nothing to see")
    return root


def in_memory(monkeypatch, archive):
    """The catalog as it would be made without spilling."""
    monkeypatch.setattr(spool_module, "SPILL_ROWS", 1000)
    catalog = index(archive, config=CONFIG)
    monkeypatch.setattr(spool_module, "SPILL_ROWS", 7)
    assert len(catalog.groups) == 1
    return catalog


def test_groups_hold_whole_exams_and_give_the_exams_of_a_catalog_in_memory(archive, tmp_path, monkeypatch):
    many = index_to(tmp_path / "c.parquet", archive, config=CONFIG)
    few = in_memory(monkeypatch, archive)

    groups = list(many.exam_groups())
    ids = [exam.exam_id for group in groups for exam in group.exams]

    assert len(groups) > NUM_EXAMS / 2
    assert len(ids) == len(set(ids)) == NUM_EXAMS
    assert many.exams() == few.exams()
    assert many.images() == few.images()
    assert many.records == few.records
    assert sorted(p for group in groups for p in group.paths) == sorted(r.path for r in few.records)
    assert [g.paths for g in read_catalog(tmp_path / "c.parquet").exam_groups()] == [g.paths for g in groups]


def test_nothing_is_left_beside_the_catalog_not_even_of_a_run_that_was_killed(archive, tmp_path):
    (tmp_path / "out/.c.parquet.spool").mkdir(parents=True)
    (tmp_path / "out/.c.parquet.spool/007.arrow").write_bytes(b"half a row")
    index_to(tmp_path / "out/c.parquet", archive, config=CONFIG)

    assert [p.name for p in (tmp_path / "out").iterdir()] == ["c.parquet"]


@pytest.mark.parametrize("same", [True, False], ids=["same-bytes", "other-pixels"])
def test_one_uid_in_two_groups_is_settled_as_in_one(films, archive, tmp_path, monkeypatch, same):
    film = films.mammogram("L", "CC", number=0)
    film.StudyInstanceUID = "1.2.3.0" if same else "1.2.3.99"
    films.save(film, archive / "elsewhere.dcm")
    manifest = tmp_path / "m.csv"
    manifest.write_text("path,exam_id\nelsewhere.dcm,another\n")
    few = index(archive, config=CONFIG, manifest=manifest)
    monkeypatch.setattr(spool_module, "SPILL_ROWS", 1000)
    whole = index(archive, config=CONFIG, manifest=manifest)

    many = index_to(tmp_path / "c.parquet", archive, config=CONFIG, manifest=manifest)

    reasons = {image.path: image.reason for image in many.images() if image.reason is not None}
    expected = (
        {"elsewhere.dcm": Reason.DUPLICATE_FILE}
        if same
        else dict.fromkeys(("0/LCC.dcm", "elsewhere.dcm"), Reason.UID_CONFLICT)
    )
    assert reasons == expected | {"notes.txt": Reason.NOT_DICOM}
    assert many.images() == whole.images() == few.images()
    assert many.exams() == whole.exams() == few.exams()


def test_an_unchanged_archive_is_taken_over_without_opening_a_file(archive, tmp_path):
    first = index_to(tmp_path / "a.parquet", archive, config=CONFIG)
    for path in archive.rglob("*.dcm"):
        path.chmod(0)
        stat = path.stat()
        path.write_bytes(b"\0" * stat.st_size)  # whoever opened one would see that it is no image
        _set_time(path, stat)

    again = index_to(tmp_path / "b.parquet", archive, config=CONFIG, previous=first)

    assert again.records == first.records


def test_what_changed_came_or_went_is_seen(films, archive, tmp_path):
    first = index_to(tmp_path / "a.parquet", archive, config=CONFIG)
    ids = {exam.exam_id for exam in first.exams()}
    shutil.rmtree(archive / "3")
    (archive / "4/LCC.dcm").write_bytes(b"torn")
    late = films.mammogram("R", "MLO", number=500)
    late.StudyInstanceUID = "1.2.3.77"
    films.save(late, archive / "late.dcm")

    again = index_to(tmp_path / "a.parquet", archive, config=CONFIG, previous=first)

    assert again.records == index(archive, config=CONFIG).records
    assert {exam.exam_id for exam in again.exams()} == (ids - {"1.2.3.3"}) | {"1.2.3.77"}


def test_a_row_group_is_a_group(archive, tmp_path):
    catalog = index_to(tmp_path / "c.parquet", archive, config=CONFIG)

    assert pq.ParquetFile(tmp_path / "c.parquet").num_row_groups == len(catalog.groups)
    assert catalog.num_files == 4 * NUM_EXAMS + 1


def _set_time(path, stat):
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
