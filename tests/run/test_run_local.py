"""A sweep from its first file to its last row, and every way in which it can be interrupted."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import fsspec
import pytest

from mammosweep.errors import ConfigError, LedgerError, SourceError
from mammosweep.report.tables import TABLES, read_table
from mammosweep.run import local
from mammosweep.run.ledger import read_parts
from mammosweep.run.screener import Screener
from mammosweep.run.status import State, status

FRONT = ("worklist.csv", "worklist.html", "index.html", "run.json")


def rows(out):
    """Every row of every table, but what tells one run from another: nothing does."""
    return {name: read_table(out, name).to_pylist() for name in TABLES}


def contents(folder):
    """Every file's bytes and time of change."""
    return {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in sorted(folder.rglob("*")) if p.is_file()}


def run_json(out):
    return json.loads((out / "run.json").read_text())


def test_a_sweep_writes_tables_pages_worklist_and_its_record(tiny, shared_archive, tmp_path):
    summary = tiny.tiny_sweep(tmp_path, shared_archive)

    assert summary.counts.files == {"used": 16, "set_aside": 0, "rejected": 1}
    assert summary.counts.exams == {"scored": 4, "flagged": 0, "not_scored": 0}
    assert not summary.nothing_new
    assert all((tmp_path / name).is_file() for name in FRONT)
    assert len(list((tmp_path / "pages").glob("*.html"))) == 4
    assert [row["reason"] for row in rows(tmp_path)["images"] if row["reason"]] == ["not_dicom"]


def test_run_json_says_settings_versions_digests_counts_and_seconds(tiny, shared_archive, tmp_path):
    tiny.tiny_sweep(tmp_path, shared_archive, not_scored=[".12"])

    run = run_json(tmp_path)

    assert run["counts"]["files"] == {"seen": 17, "used": 16, "set_aside": 0, "rejected": 1}
    assert run["counts"]["exams"] == {"seen": 4, "scored": 3, "flagged": 0, "not_scored": 1}
    assert run["reasons"]["exams"] == {"not_scored": {"no_usable_view": 1}}
    assert run["settings"]["run"]["chunk_exams"] == 2
    assert (run["bundle"], run["bundle_digest"], run["device"]) == ("tiny 1", "a" * 64, "cpu")
    assert set(run["seconds"]) == {"count", "index", "screen", "commit", "wait-commit", "report"}
    assert run["plan_agreement"] == {}
    assert run["libraries"]["pydicom"].startswith("3.")
    assert run["complete"] is True


def test_no_patient_data_is_written(finished):
    for path, (data, _) in contents(finished).items():
        assert b"Secret" not in data, path.name
        assert b"PATIENT-1" not in data, path.name


@pytest.mark.parametrize("chunk_exams", [1, 8])
def test_the_size_of_the_chunks_changes_no_row(tiny, shared_archive, finished, tmp_path, chunk_exams):
    tiny.tiny_sweep(tmp_path / "out", shared_archive, chunk_exams=chunk_exams)

    assert rows(tmp_path / "out") == rows(finished)


def test_a_finished_sweep_touches_no_file(tiny, shared_archive, finished):
    before, calls = contents(finished), []

    again = tiny.tiny_sweep(finished, shared_archive, calls=calls)

    assert again.nothing_new
    assert again.counts.exams == {"scored": 4, "flagged": 0, "not_scored": 0}
    assert calls == []
    assert contents(finished) == before


@pytest.mark.parametrize("lost", ["exams.parquet", "worklist.csv", "run.json"])
def test_an_outcome_file_that_was_lost_is_written_again_without_screening(
    tiny, shared_archive, finished, lost
):
    (finished / lost).unlink()
    calls = []

    tiny.tiny_sweep(finished, shared_archive, calls=calls)

    assert (finished / lost).is_file()
    assert calls == []


def test_a_sweep_killed_on_its_way_is_continued_to_the_same_rows(tiny, shared_archive, finished, tmp_path):
    out, calls = tmp_path / "out", []
    arguments = [str(shared_archive), str(out), "1", "0.3"]
    with subprocess.Popen([sys.executable, Path(__file__).with_name("tiny.py"), *arguments]) as process:
        _wait_for(lambda: len(list(out.glob("parts/[0-9a-f]*/part.json"))) >= 2)
        process.send_signal(signal.SIGKILL)
    done = {exam.exam_id for part in read_parts(out) for exam in part.exams}
    assert 2 <= len(done) < 4
    stopped = status(out)

    tiny.tiny_sweep(out, shared_archive, chunk_exams=1, calls=calls)

    assert (stopped.state, stopped.exams, stopped.done) == (State.STOPPED, 4, len(done))
    assert len(calls) == 4 - len(done)
    assert done.isdisjoint(calls)
    assert rows(out) == rows(finished)


def _wait_for(truth, seconds=30):
    deadline = time.monotonic() + seconds
    while not truth():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _remove_after(folder, exams):
    def progress(tally):
        if tally.done_now == exams:
            shutil.rmtree(folder)

    return progress


def test_a_sweep_that_stops_keeps_its_chunks_and_counts_them_when_it_goes_on(tiny, archive, tmp_path):
    out, tallies = tmp_path / "out", []
    vanishing = _remove_after(archive / "exam12", exams=1)
    with pytest.raises(FileNotFoundError):
        tiny.tiny_sweep(out, archive, chunk_exams=1, progress=vanishing, not_scored=[".11"])
    stopped = status(out)

    tiny.tiny_sweep(out, archive, chunk_exams=1, progress=tallies.append)

    assert (stopped.state, stopped.exams, stopped.done, stopped.not_scored) == (State.STOPPED, 4, 2, 1)
    first = next(tally for tally in tallies if tally.done_now)
    assert (first.exams, first.done, first.not_scored) == (3, 3, 1)
    assert status(out).state is State.COMPLETE


def test_a_late_image_makes_its_exam_new_and_the_old_rows_go(tiny, archive, tmp_path):
    late = archive / "exam11" / "RMLO.dcm"
    late.rename(tmp_path / "aside")
    out, calls = tmp_path / "out", []
    tiny.tiny_sweep(out, archive)
    before = rows(out)
    (tmp_path / "aside").rename(late)

    tiny.tiny_sweep(out, archive, calls=calls)

    assert [exam_id[-3:] for exam_id in calls] == [".11"]
    assert len(rows(out)["exams"]) == len(before["exams"]) == 4
    assert len(rows(out)["images"]) == len(before["images"]) + 1
    (revised,) = (row for row in rows(out)["exams"] if row["exam_id"].endswith(".11"))
    assert revised not in before["exams"]
    assert (revised["status"], revised["flags"]) == ("scored", [])


def test_an_exam_that_goes_back_to_an_earlier_revision_is_not_screened_again(tiny, archive, tmp_path):
    moved = archive / "exam11" / "RMLO.dcm"
    out, calls = tmp_path / "out", []
    tiny.tiny_sweep(out, archive)
    whole = rows(out)
    moved.rename(tmp_path / "aside")
    tiny.tiny_sweep(out, archive)
    (tmp_path / "aside").rename(moved)

    tiny.tiny_sweep(out, archive, calls=calls)

    assert calls == []
    assert rows(out) == whole


def test_an_exam_that_left_the_source_leaves_tables_and_pages(tiny, archive, tmp_path):
    out = tmp_path / "out"
    tiny.tiny_sweep(out, archive)
    shutil.rmtree(archive / "exam13")

    summary = tiny.tiny_sweep(out, archive)

    assert summary.counts.exams_seen == 3
    assert len(list((out / "pages").glob("*.html"))) == 3


@pytest.mark.parametrize("changed", ["bundle", "settings"])
def test_another_bundle_or_settings_scores_everything_again(tiny, shared_archive, finished, changed):
    before, calls = pages(finished), []

    tiny.tiny_sweep(finished, shared_archive, calls=calls, **{changed: "c" * 64})

    assert len(calls) == 4
    assert {row[f"{changed}_digest"] for row in rows(finished)["exams"]} == {"c" * 64}
    assert pages(finished).keys() == before.keys()
    assert all("c" * 12 in page and page != before[name] for name, page in pages(finished).items())


def pages(out):
    return {page.name: page.read_text() for page in (out / "pages").iterdir()}


def test_a_catalog_is_a_source(tiny, finished, tmp_path):
    tiny.tiny_sweep(tmp_path / "out", finished / "catalog.parquet")

    assert rows(tmp_path / "out") == rows(finished)


def test_a_catalog_whose_folder_is_gone_is_said(tiny, archive, tmp_path):
    tiny.tiny_sweep(tmp_path / "out", archive)
    shutil.rmtree(archive)

    with pytest.raises(SourceError, match="does not exist"):
        tiny.tiny_sweep(tmp_path / "again", tmp_path / "out" / "catalog.parquet")


def test_one_file_is_a_source(tiny, shared_archive, tmp_path):
    summary = tiny.tiny_sweep(tmp_path / "out", shared_archive / "exam10" / "LCC.dcm")

    assert (summary.counts.files_seen, summary.counts.exams["flagged"]) == (1, 1)


def test_a_folder_without_an_image_is_a_complete_sweep(tiny, tmp_path):
    (tmp_path / "empty").mkdir()

    summary = tiny.tiny_sweep(tmp_path / "out", tmp_path / "empty")

    assert (summary.counts.files_seen, summary.counts.exams_seen) == (0, 0)
    assert run_json(tmp_path / "out")["complete"] is True


@pytest.mark.parametrize("out", ["archive", "archive/out", "."], ids=["same", "inside", "around"])
def test_a_sweep_never_reads_what_it_writes(tiny, archive, tmp_path, out):
    before = sorted(tmp_path.rglob("*"))

    with pytest.raises(ConfigError, match="lie in each other"):
        tiny.tiny_sweep(tmp_path / out, archive)

    assert sorted(tmp_path.rglob("*")) == before


def test_a_source_that_is_not_there_is_said_before_anything_is_made(tiny, tmp_path):
    with pytest.raises(SourceError, match="does not exist"):
        tiny.tiny_sweep(tmp_path / "out", tmp_path / "nowhere")

    assert not (tmp_path / "out").exists()


def test_a_manifest_beside_a_catalog_is_refused(tiny, finished, tmp_path):
    with pytest.raises(ConfigError, match="leave the manifest out"):
        tiny.tiny_sweep(tmp_path / "out", finished / "catalog.parquet", manifest=tmp_path / "manifest.csv")


def test_another_archive_does_not_take_a_sweeps_place(tiny, finished, tmp_path):
    tiny.write_view(tmp_path / "other", 77, "L CC")
    before = contents(finished)

    with pytest.raises(LedgerError, match="holds the sweep of another source"):
        tiny.tiny_sweep(finished, tmp_path / "other")

    assert contents(finished) == before


def test_an_archive_that_moved_is_continued(tiny, shared_archive, finished, tmp_path):
    shutil.copytree(shared_archive, tmp_path / "moved")
    calls = []

    tiny.tiny_sweep(finished, tmp_path / "moved", calls=calls)

    assert calls == []


def but_for_time(tables):
    """A file's time of change, and the exam's digest that it goes into, are its storage's."""
    return {
        name: [{k: v for k, v in row.items() if k not in ("mtime_ns", "exam_digest")} for row in table]
        for name, table in tables.items()
    }


def in_memory(folder):
    memory = fsspec.filesystem("memory")
    for path in folder.rglob("*"):
        if path.is_file():
            memory.pipe(f"/archive/{path.relative_to(folder)}", path.read_bytes())
    return "memory://archive"


def test_storage_that_is_no_folder_gives_the_rows_of_the_folder(tiny, shared_archive, finished, tmp_path):
    url, out, calls = in_memory(shared_archive), tmp_path / "out", []

    tiny.tiny_sweep(out, url)
    again = tiny.tiny_sweep(out, url, calls=calls)
    tiny.tiny_sweep(tmp_path / "of catalog", out / "catalog.parquet")

    assert but_for_time(rows(out)) == but_for_time(rows(finished))
    assert rows(tmp_path / "of catalog") == rows(out)
    assert (again.nothing_new, calls) == (True, [])
    assert run_json(out)["root"] == "memory://archive"


def test_what_screens_is_closed_when_a_sweep_ends_and_when_it_fails(tiny, archive, tmp_path, monkeypatch):
    closed = []
    monkeypatch.setattr(tiny, "Screener", partial(Screener, close=lambda: closed.append(1)))

    tiny.tiny_sweep(tmp_path / "out", archive)
    with pytest.raises(FileNotFoundError):
        tiny.tiny_sweep(
            tmp_path / "torn", archive, chunk_exams=1, progress=_remove_after(archive / "exam12", exams=1)
        )

    assert closed == [1, 1]


def test_progress_counts_exams_views_and_what_was_not_scored(tiny, shared_archive, tmp_path):
    tallies = []

    tiny.tiny_sweep(tmp_path, shared_archive, progress=tallies.append, not_scored=[".10", ".12"])

    assert tallies[0].exams is None
    assert [tally.done for tally in tallies if tally.done_now and not tally.finished] == [1, 2, 3, 4]
    assert (tallies[-1].finished, tallies[-1].views, tallies[-1].not_scored) == (True, 16, 2)


def test_outcomes_come_one_by_one_and_nothing_is_written(tiny, shared_archive, tmp_path, monkeypatch):
    calls = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(local, "load_screener", lambda config, bundle: tiny.tiny_screener(calls=calls))

    outcomes = local.sweep(str(shared_archive))
    first = next(outcomes)

    assert calls == [first.exam_id]
    assert [first.exam_id[-3:], *(outcome.exam_id[-3:] for outcome in outcomes)] == [
        ".10",
        ".11",
        ".12",
        ".13",
    ]
    assert list(tmp_path.iterdir()) == []
