from __future__ import annotations

import logging
import os
import subprocess
import sys
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mammosweep.archive import Catalog, index, parallel, read_catalog, write_catalog
from mammosweep.archive.catalog_file import TableGroups
from mammosweep.config import ArchiveConfig
from mammosweep.errors import ConfigError, Flag, Reason, SourceError
from mammosweep.records import SLOTS, ImageStatus

CONFIG = ArchiveConfig(workers=1)


@pytest.fixture
def archive(films, tmp_path):
    """One whole exam, a torn file of it, and junk."""
    root = tmp_path / "archive"
    for laterality, view in SLOTS:
        films.save(films.mammogram(laterality, view), root / f"exam/{laterality}{view}.dcm")
    whole = films.save(films.mammogram("L", "CC", number=9), root / "exam/torn.dcm")
    whole.write_bytes(whole.read_bytes()[:-100])
    (root / "notes.txt").write_text("nothing to see")
    (root / "empty").touch()
    return root


def reasons(records):
    return {record.path: record.reason for record in records}


def test_a_folder_becomes_exams_and_every_file_has_a_record(archive):
    catalog = index(archive, config=CONFIG)

    assert reasons(catalog.records) == {
        "empty": Reason.EMPTY_FILE,
        "exam/LCC.dcm": None,
        "exam/LMLO.dcm": None,
        "exam/RCC.dcm": None,
        "exam/RMLO.dcm": None,
        "exam/torn.dcm": Reason.TRUNCATED,
        "notes.txt": Reason.NOT_DICOM,
    }
    (exam,) = catalog.exams()
    assert [view.path for view in exam.views] == [f"exam/{side}{view}.dcm" for side, view in SLOTS]
    assert exam.flags == (Flag.IMAGES_NOT_USED,)


def test_progress_counts_every_file(archive):
    seen = []

    index(archive, config=CONFIG, progress=seen.append)

    assert seen == sorted(seen)
    assert seen[-1] == 7


def test_a_single_file_is_indexed_by_itself(archive, tmp_path):
    (tmp_path / "m.csv").write_text("path,exam_id\nLCC.dcm,e7\nRCC.dcm,e7\n")

    catalog = index(archive / "exam/LCC.dcm", config=CONFIG, manifest=tmp_path / "m.csv")

    assert (catalog.root, [r.path for r in catalog.records]) == (str(archive / "exam"), ["LCC.dcm"])
    assert [exam.exam_id for exam in catalog.exams()] == ["e7"]


def test_processes_give_what_one_process_gives(films, tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "SECONDS_BEFORE_PROCESSES", 0)
    for number in range(1, 211):
        films.save(films.mammogram(study=f"1.2.{number % 50}", number=number), tmp_path / f"{number}.dcm")
    (tmp_path / "junk").write_bytes(b"junk")

    alone = index(tmp_path, config=CONFIG)
    together = index(tmp_path, config=ArchiveConfig(workers=2))

    assert together == alone
    assert len(together.exams()) == 50


def test_three_lines_without_a_main_guard_read_many_files_once(tmp_path):
    for number in range(201):
        (tmp_path / f"films{number}").write_bytes(b"no film")
    script = tmp_path / "three_lines.py"
    script.write_text(
        "from pathlib import Path\n"
        "from mammosweep.archive import index, parallel\n"
        "from mammosweep.config import ArchiveConfig\n"
        "parallel.SECONDS_BEFORE_PROCESSES = 0\n"
        f"print(len(index(Path({str(tmp_path)!r}), config=ArchiveConfig(workers=2)).records))\n"
    )

    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, timeout=60)

    assert (done.stdout, done.stderr) == ("202\n", "")


def test_a_catalog_is_read_as_it_was_written(archive, tmp_path):
    (tmp_path / "m.csv").write_text("path,spacing_mm,exam_id\nexam/LCC.dcm,0.1x0.2,e1\nmissing.dcm,,e1\n")
    catalog = index(archive, config=CONFIG, manifest=tmp_path / "m.csv")

    write_catalog(catalog, tmp_path / "out/catalog.parquet")

    again = read_catalog(tmp_path / "out/catalog.parquet")
    assert (again.root, again.basis) == (catalog.root, catalog.basis)
    assert (again.records, again.row_keys) == (catalog.records, catalog.row_keys)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["catalog.parquet"]


def test_the_file_shows_the_final_status_of_every_file(archive, tmp_path):
    (archive / "exam/copy.dcm").write_bytes((archive / "exam/LCC.dcm").read_bytes())

    write_catalog(index(archive, config=CONFIG), tmp_path / "catalog.parquet")

    rows = {row["path"]: row for row in pq.read_table(tmp_path / "catalog.parquet").to_pylist()}
    assert len(rows) == 8
    copy = rows["exam/copy.dcm"]
    assert (copy["status"], copy["reason"], copy["header_status"]) == ("set_aside", "duplicate_file", "used")
    assert (rows["exam/LCC.dcm"]["status"], rows["exam/LCC.dcm"]["header_status"]) == ("used", "used")


def test_a_late_file_changes_what_becomes_of_the_others(archive, tmp_path):
    first = index(archive, config=CONFIG)
    (archive / "exam/zcopy.dcm").write_bytes((archive / "exam/LCC.dcm").read_bytes())

    second = index(archive, config=CONFIG, previous=first)

    final = reasons(second.images())
    assert (final["exam/LCC.dcm"], final["exam/zcopy.dcm"]) == (None, Reason.DUPLICATE_FILE)
    assert reasons(second.records)["exam/zcopy.dcm"] is None


def spoil_unseen(path):
    """Make a file unreadable as an image without a sign of it: same size, same time."""
    status = path.stat()
    path.write_bytes(b"\0" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_a_rescan_opens_only_what_is_new_or_changed(films, archive):
    first = index(archive, config=CONFIG)
    spoil_unseen(archive / "exam/LCC.dcm")
    films.save(films.mammogram(SOPInstanceUID="1.2.3", ViewPosition="ML"), archive / "exam/RCC.dcm")
    films.save(films.mammogram(SOPInstanceUID="1.2.4"), archive / "exam/new.dcm")
    (archive / "notes.txt").unlink()

    second = index(archive, config=CONFIG, previous=first)

    assert reasons(second.records) == {
        "empty": Reason.EMPTY_FILE,
        "exam/LCC.dcm": None,  # it would be NOT_DICOM, had it been opened
        "exam/LMLO.dcm": None,
        "exam/RCC.dcm": Reason.VIEW_UNSUPPORTED,
        "exam/RMLO.dcm": None,
        "exam/new.dcm": None,
        "exam/torn.dcm": Reason.TRUNCATED,
    }


@pytest.mark.parametrize(
    "row", ["exam/LCC.dcm,0.2", "exam/RCC.dcm,0.1"], ids=["another value", "no row any more"]
)
def test_a_rescan_opens_what_the_manifest_says_something_else_of(archive, tmp_path, row):
    manifest = tmp_path / "m.csv"
    manifest.write_text("path,spacing_mm\nexam/LCC.dcm,0.1\n")
    first = index(archive, config=CONFIG, manifest=manifest)
    spoil_unseen(archive / "exam/LCC.dcm")
    manifest.write_text(f"path,spacing_mm\n{row}\n")

    second = index(archive, config=CONFIG, manifest=manifest, previous=first)

    assert reasons(second.records)["exam/LCC.dcm"] is Reason.NOT_DICOM


def test_a_rescan_opens_everything_where_the_settings_are_others(archive):
    first = index(archive, config=CONFIG)
    spoil_unseen(archive / "exam/LCC.dcm")

    second = index(archive, config=replace(CONFIG, max_spacing_mm=0.4), previous=first)

    assert reasons(second.records)["exam/LCC.dcm"] is Reason.NOT_DICOM


def test_a_rescan_from_a_file_is_as_good_as_one_from_memory(archive, tmp_path):
    write_catalog(index(archive, config=CONFIG), tmp_path / "catalog.parquet")
    spoil_unseen(archive / "exam/LCC.dcm")

    second = index(archive, config=CONFIG, previous=read_catalog(tmp_path / "catalog.parquet"))

    assert reasons(second.records)["exam/LCC.dcm"] is None


def test_a_file_that_could_not_be_read_is_tried_again(films, open_folder):
    path = films.save(films.mammogram(), open_folder / "view.dcm")
    path.chmod(0)
    with films.as_nobody():
        first = read_without_rights(open_folder)
    path.chmod(0o644)

    second = index(open_folder, config=CONFIG, previous=first)

    assert reasons(first.records)["view.dcm"] is Reason.PERMISSION_DENIED
    assert reasons(second.records)["view.dcm"] is None


def read_without_rights(folder):
    key = folder.parent / f"{folder.name}.key"
    key.unlink(missing_ok=True)
    try:
        return index(folder, config=replace(CONFIG, pseudonym_key_file=str(key)))
    finally:
        key.unlink()


def test_a_manifest_names_files_that_are_not_there(archive, tmp_path):
    (tmp_path / "m.csv").write_text("path,exam_id\nexam/gone.dcm,e1\n")

    catalog = index(archive, config=CONFIG, manifest=tmp_path / "m.csv")

    missing = next(record for record in catalog.records if record.path == "exam/gone.dcm")
    assert (missing.status, missing.reason) == (ImageStatus.REJECTED, Reason.FILE_MISSING)
    assert [(exam.exam_id, exam.reason) for exam in catalog.exams()][-1] == ("e1", Reason.FILE_MISSING)


def test_26_bytes_are_compared_where_two_files_have_one_uid(films, tmp_path):
    films.save(films.mammogram("L", "CC"), tmp_path / "a.dcm")
    films.save(films.mammogram("L", "CC", PixelData=b"\1" * 6144), tmp_path / "b.dcm")
    films.save(films.mammogram("R", "CC"), tmp_path / "c.dcm")

    (exam,) = index(tmp_path, config=CONFIG).exams()

    assert reasons(exam.images) == {"a.dcm": Reason.UID_CONFLICT, "b.dcm": Reason.UID_CONFLICT, "c.dcm": None}


def test_a_file_that_cannot_be_compared_is_no_copy(films, tmp_path):
    films.save(films.mammogram(), tmp_path / "a.dcm")
    films.save(films.mammogram(), tmp_path / "b.dcm")
    catalog = index(tmp_path, config=CONFIG)
    (tmp_path / "a.dcm").unlink()
    (tmp_path / "b.dcm").unlink()

    assert set(reasons(catalog.images()).values()) == {Reason.UID_CONFLICT}


def test_no_catalog_holds_a_patients_name_or_number(archive, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    (tmp_path / "m.csv").write_text("path,patient_id\nexam/LCC.dcm,PID-0815\n")
    write_catalog(index(archive, config=CONFIG, manifest=tmp_path / "m.csv"), tmp_path / "catalog.parquet")

    written = str(pq.read_table(tmp_path / "catalog.parquet").to_pylist()) + caplog.text
    for secret in ("Nightingale", "PID-4711", "PID-0815"):
        assert secret not in written


def parquet(path, **metadata):
    table = pa.table({"path": ["a"]}).replace_schema_metadata(metadata)
    pq.write_table(table, path)


def test_a_file_that_is_no_catalog_is_refused(tmp_path):
    (tmp_path / "text").write_text("text")
    parquet(tmp_path / "table.parquet")
    parquet(tmp_path / "old.parquet", **{"mammosweep.catalog.format_version": "0"})
    cases = {
        "none": "cannot be read: No such file",
        "text": "it is no Parquet file",
        "table.parquet": "is no catalog; make one with 'mammosweep index'",
        "old.parquet": "is of format 0; this version reads 2",
    }

    for name, said in cases.items():
        with pytest.raises(SourceError, match=said):
            read_catalog(tmp_path / name)


def test_a_catalog_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(SourceError, match="cannot be written"):
        write_catalog(Catalog(str(tmp_path), TableGroups(())), tmp_path / "file" / "catalog.parquet")


def test_a_manifest_that_is_wrong_stops_before_any_file_is_read(archive, tmp_path):
    (tmp_path / "m.csv").write_text("path,view\nexam/LCC.dcm,ML\n")
    seen = []

    with pytest.raises(ConfigError, match="column view"):
        index(archive, config=CONFIG, manifest=tmp_path / "m.csv", progress=seen.append)
    assert seen == []
