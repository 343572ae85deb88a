"""Storage that fsspec knows, as a source: the same records as from a folder."""

from __future__ import annotations

import csv
import errno
import zipfile
from datetime import UTC, datetime, timedelta

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from mammosweep.archive import index, parallel, read_catalog, write_catalog
from mammosweep.archive.source import FolderSource, is_for_every_process, open_source
from mammosweep.archive.storage import FsspecSource, _state
from mammosweep.config import ArchiveConfig
from mammosweep.errors import Reason, SourceError
from mammosweep.records import SLOTS

CONFIG = ArchiveConfig(workers=1)


@pytest.fixture
def archive(films, tmp_path):
    """One whole exam, a copy of one of its files, a torn file, junk, and names that are awkward."""
    root = tmp_path / "archive"
    for laterality, view in SLOTS:
        films.save(films.mammogram(laterality, view), root / f"exam/{laterality}{view}.dcm")
    whole = (root / "exam/LCC.dcm").read_bytes()
    (root / "exam/copy of LCC.dcm").write_bytes(whole)
    (root / "exam/torn.dcm").write_bytes(whole[:-100])
    (root / "größe 1\n.dcm").write_bytes(whole)
    (root / "notes.txt").write_text("nothing to see")
    (root / "empty").touch()
    (root / "disc").mkdir()
    (root / "disc/DICOMDIR").write_bytes(b"index")
    return root


@pytest.fixture(autouse=True)
def empty_memory():
    """Memory is one for all tests."""
    yield
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


def in_memory(archive, tmp_path):
    del tmp_path
    memory = fsspec.filesystem("memory")
    for path in archive.rglob("*"):
        if path.is_file():
            memory.pipe(f"/films/{path.relative_to(archive)}", path.read_bytes())
    return "memory://films"


def in_a_zip(archive, tmp_path):
    with zipfile.ZipFile(tmp_path / "films.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for path in archive.rglob("*"):
            file.write(path, f"films/{path.relative_to(archive)}")
    return f"zip://films::{tmp_path / 'films.zip'}"


def in_a_zip_in_memory(archive, tmp_path):
    in_a_zip(archive, tmp_path)
    fsspec.filesystem("memory").pipe("/films.zip", (tmp_path / "films.zip").read_bytes())
    return "zip://films::memory://films.zip"


def in_a_folder(archive, tmp_path):
    del tmp_path
    return f"file://{archive}"


STORAGES = {
    "memory": in_memory,
    "zip": in_a_zip,
    "zip in memory": in_a_zip_in_memory,
    "file": in_a_folder,
}


@pytest.fixture(params=STORAGES.values(), ids=list(STORAGES))
def url(request, archive, tmp_path):
    """The archive somewhere else."""
    return request.param(archive, tmp_path)


def but_for_time(records):
    return [{name: getattr(r, name) for name in r.__slots__ if name != "mtime_ns"} for r in records]


def test_storage_gives_the_records_and_exams_that_the_folder_gives(archive, url):
    here, there = index(archive, config=CONFIG), index(url, config=CONFIG)

    assert but_for_time(there.records) == but_for_time(here.records)
    assert but_for_time(there.images()) == but_for_time(here.images())
    views_here, views_there = ([v for exam in found.exams() for v in exam.views] for found in (here, there))
    assert but_for_time(views_there) == but_for_time(views_here)
    assert there.root == (str(archive) if url.startswith("file") else url)


def test_every_file_can_be_opened_by_its_records_path(archive, url):
    source = open_source(url)

    for entry in source.entries():
        with source.open(entry.path) as stream:
            whole = stream.read()
            stream.seek(128)
            assert stream.read(4) == whole[128:132]
        assert len(whole) == entry.size_bytes


def test_what_is_known_is_not_read_again(archive, url, monkeypatch):
    first = index(url, config=CONFIG)
    monkeypatch.setattr("mammosweep.archive.catalog.HeaderReader.__call__", None)  # nobody may call it

    assert index(url, config=CONFIG, previous=first) == first


def test_a_catalog_of_storage_is_read_as_it_was_written(url, tmp_path):
    catalog = index(url, config=CONFIG)

    write_catalog(catalog, tmp_path / "catalog.parquet")

    again = read_catalog(tmp_path / "catalog.parquet")
    assert (again.root, again.basis, again.records) == (catalog.root, catalog.basis, catalog.records)
    assert again.exams() == catalog.exams()


def test_a_manifest_names_files_of_storage_by_path_or_url(url, tmp_path):
    with (tmp_path / "m.csv").open("w", newline="") as file:
        root = open_source(url).url
        csv.writer(file).writerows(
            [("path", "exam_id"), ("exam/LCC.dcm", "e7"), (f"{root}/exam/RCC.dcm", "e7")]
        )

    catalog = index(url, config=CONFIG, manifest=tmp_path / "m.csv")

    assert [r.path for r in catalog.records if r.exam_id == "e7"] == ["exam/LCC.dcm", "exam/RCC.dcm"]
    assert not [r for r in catalog.records if r.reason is Reason.FILE_MISSING]


@pytest.mark.parametrize("name", ["memory", "zip", "zip in memory"])
def test_one_file_of_storage_is_a_source(archive, tmp_path, name):
    folder = STORAGES[name](archive, tmp_path)
    link, *rest = folder.split("::")

    catalog = index("::".join([f"{link}/exam/LCC.dcm", *rest]), config=CONFIG)

    assert catalog.root == "::".join([f"{link}/exam", *rest])
    assert [(record.path, record.reason) for record in catalog.records] == [("LCC.dcm", None)]


def test_a_whole_storage_without_a_folder_is_a_source(archive, tmp_path):
    in_memory(archive, tmp_path)
    in_a_zip(archive, tmp_path)

    for url in ("memory://", f"zip://::{tmp_path / 'films.zip'}"):
        paths = [record.path for record in index(url, config=CONFIG).records]
        assert paths[0] == "films/disc/DICOMDIR"


def test_10_an_object_that_is_replaced_while_it_is_read_has_changed(archive, tmp_path, monkeypatch):
    source = open_source(in_memory(archive, tmp_path))
    entries = list(source.entries())
    memory = fsspec.filesystem("memory")
    opened = FsspecSource.open

    def replace_once_opened(self, path):
        stream = opened(self, path)
        if path == "exam/LCC.dcm":  # by as many bytes: only its time tells
            memory.pipe(f"/films/{path}", (archive / "exam/RCC.dcm").read_bytes())
        return stream

    monkeypatch.setattr(FsspecSource, "open", replace_once_opened)
    monkeypatch.setattr(FsspecSource, "entries", lambda self: iter(entries))

    catalog = index(source, config=CONFIG)

    reasons = {record.path: record.reason for record in catalog.records}
    assert (reasons["exam/LCC.dcm"], reasons["exam/RCC.dcm"]) == (Reason.FILE_CHANGED, None)


class Refusing(MemoryFileSystem):
    """Memory whose library raises errors of its own."""

    protocol = "refusing"

    @classmethod
    def _strip_protocol(cls, path):
        return MemoryFileSystem._strip_protocol(path.removeprefix("refusing://"))

    def _open(self, path, mode="rb", **how):
        if path.endswith("LCC.dcm"):
            raise RuntimeError("https://user:secret@host is not reachable")
        if path.endswith("RCC.dcm"):
            raise PermissionError(errno.EACCES, "AccessDenied")
        return super()._open(path, mode, **how)


def test_what_a_storages_library_raises_is_a_reason_without_its_words(archive, tmp_path):
    fsspec.register_implementation("refusing", Refusing, clobber=True)
    in_memory(archive, tmp_path)

    catalog = index("refusing://films", config=CONFIG)

    records = {record.path: record for record in catalog.records}
    assert records["exam/LCC.dcm"].reason is Reason.READ_FAILED
    assert records["exam/LCC.dcm"].message.startswith("reading failed: the storage raised RuntimeError")
    assert records["exam/RCC.dcm"].reason is Reason.PERMISSION_DENIED
    assert records["exam/LMLO.dcm"].reason is None


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("memory://nowhere", r"source memory://nowhere does not exist; give a folder, a file or a URL$"),
        ("file:///nowhere/at/all", "does not exist"),
        ("nosuch://bucket", "Protocol not known: nosuch"),
        ("ftp://user:secret@host/films", "the source's URL holds a password"),
        ("zip://::/nowhere.zip", "does not exist"),
    ],
)
def test_storage_that_is_not_there_is_said_in_one_sentence(url, said):
    with pytest.raises(SourceError, match=said) as caught:
        open_source(url)

    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_zip_is_said(tmp_path):
    (tmp_path / "films.zip").write_bytes(b"no zip")

    with pytest.raises(SourceError, match="the storage raised BadZipFile"):
        open_source(f"zip://::{tmp_path / 'films.zip'}")


def test_a_file_url_is_the_folder_itself(tmp_path):
    assert isinstance(open_source(f"file://{tmp_path}"), FolderSource)
    assert (
        open_source(f"file://{tmp_path}").url == open_source(tmp_path).url == open_source(str(tmp_path)).url
    )


def test_other_processes_read_what_they_can_open_themselves(archive, tmp_path):
    fsspec.register_implementation("refusing", Refusing, clobber=True)
    in_memory(archive, tmp_path)

    assert is_for_every_process(open_source(archive))
    assert is_for_every_process(open_source(in_a_zip(archive, tmp_path)))
    assert not is_for_every_process(open_source(in_a_zip_in_memory(archive, tmp_path)))
    assert not is_for_every_process(open_source("memory://films"))
    assert not is_for_every_process(open_source("refusing://films"))


@pytest.mark.parametrize("name", ["memory", "zip"])
def test_processes_give_what_one_process_gives(films, tmp_path, monkeypatch, name):
    monkeypatch.setattr(parallel, "SECONDS_BEFORE_PROCESSES", 0)
    root = tmp_path / "many"
    for number in range(210):
        films.save(films.mammogram(study=f"1.2.{number % 50}", number=number), root / f"{number}.dcm")
    url = STORAGES[name](root, tmp_path)

    assert index(url, config=ArchiveConfig(workers=2)) == index(url, config=CONFIG)


TIME = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)
NANOSECONDS = (TIME - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


@pytest.mark.parametrize(
    "info",
    [
        {"mtime": TIME.timestamp(), "created": 1.0},
        {"LastModified": TIME, "ETag": '"aa"'},
        {"last_modified": TIME.replace(tzinfo=None)},
        {"created": TIME.timestamp(), "mtime": None},
    ],
    ids=["local", "S3", "without a zone", "memory"],
)
def test_a_storages_time_of_change_is_taken_whatever_its_form(info):
    assert _state(info | {"size": 7}) == (7, NANOSECONDS)


def test_where_there_is_no_time_a_mark_of_the_content_stands_for_it():
    first, second = (_state({"size": 7, "ETag": mark})[1] for mark in ('"aa"', '"ab"'))

    assert first != second
    assert 0 <= first < 1 << 62
    assert _state({"size": 7}) == (7, None)
