"""How far a sweep is, from its files alone."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mammosweep.errors import LedgerError
from mammosweep.run.begun import read_begun, write_begun
from mammosweep.run.ledger import Ledger, read_parts
from mammosweep.run.part import write_part_file
from mammosweep.run.select import parse_selection
from mammosweep.run.status import State, Status, status
from mammosweep.run.stop import Stop, SweepStopped
from mammosweep.run.summary import limit_text, status_record
from mammosweep.run.terms import Terms


def test_a_finished_sweep_is_complete(finished):
    found = status(finished)

    assert (found.state, found.exams, found.done, found.not_scored) == (State.COMPLETE, 4, 4, 0)
    assert (found.files, found.chunks, set(found.seconds)) == (17, 2, {"count"})


def test_a_sweep_is_running_while_its_process_lives(shared_archive, tmp_path):
    arguments = [str(shared_archive), str(tmp_path), "1", "0.5"]
    with subprocess.Popen([sys.executable, Path(__file__).with_name("tiny.py"), *arguments]) as process:
        while not list(tmp_path.glob("parts/[0-9a-f]*/part.json")):
            assert process.poll() is None
            time.sleep(0.01)
        running = status(tmp_path)
        process.kill()

    assert running.state is State.RUNNING
    assert 1 <= running.done < running.exams == 4
    assert status(tmp_path).state is State.STOPPED


def test_a_sweep_that_still_reads_headers_says_so(tmp_path, identity):
    with Ledger(tmp_path, identity):
        assert status(tmp_path).state is State.INDEXING


@pytest.mark.parametrize("folder", [".", "nowhere"])
def test_a_folder_that_is_no_sweeps_is_said(tmp_path, folder):
    with pytest.raises(LedgerError, match=r"holds no sweep\.json; give the --out folder"):
        status(tmp_path / folder)


def test_a_damaged_record_is_named(finished):
    (finished / "sweep.json").write_text("{}")

    with pytest.raises(LedgerError, match=r"sweep\.json cannot be used \(KeyError: 'schema_version'\)"):
        status(finished)


def timed(out, seconds, stages):
    """Give a sweep's chunks times of commit, that many seconds after its start, and seconds by stage."""
    start = datetime(2026, 11, 24, 22, 0, tzinfo=UTC)
    write_begun(out, replace(read_begun(out), started_at=start.isoformat()))
    for part, after in zip(read_parts(out), seconds, strict=True):
        at = (start + timedelta(seconds=after)).isoformat() if after is not None else ""
        write_part_file(part.folder, replace(part, committed_at=at, seconds=stages))


def test_speed_and_time_left_are_of_the_latest_run(finished):
    timed(finished, [20.0, 10.0], {"detect": 6.0, "wait-views": 9.0})

    found = status(finished)

    assert found.exams_per_s == pytest.approx(4 / 20)
    assert found.committed_at == "2026-11-24T22:00:20+00:00"
    assert replace(found, done=1).seconds_left == pytest.approx(15.0)
    assert limit_text(found.seconds) == (
        "reading, decoding and normalising: the detector worked 12.0 s, waited 18.0 s for views"
    )


@pytest.mark.parametrize("seconds", [(-5.0, -9.0), (None, None)], ids=["clock-set-back", "earlier-version"])
def test_times_that_do_not_tell_give_no_speed(finished, seconds):
    timed(finished, seconds, {})

    assert (status(finished).exams_per_s, status(finished).seconds_left) == (None, None)


def test_reasons_are_counted_over_all_runs(tiny, shared_archive, tmp_path):
    stop = Stop()

    def ask(tally):
        if tally.done_now:
            stop.ask("SIGTERM")

    terms = Terms(stop=stop, selection=parse_selection("path ~ 'exam*'"))
    with pytest.raises(SweepStopped):
        tiny.tiny_sweep(tmp_path, shared_archive, progress=ask, terms=terms, not_scored=[".10", ".11"])
    stopped = status(tmp_path)
    tiny.tiny_sweep(tmp_path, shared_archive, not_scored=[".12"])

    assert (stopped.state, stopped.done, stopped.reasons) == (State.STOPPED, 2, {"no_usable_view": 2})
    assert stopped.selection == "where path ~ 'exam*'"
    assert (status(tmp_path).reasons, status(tmp_path).selection) == ({"no_usable_view": 3}, "")


def test_an_earlier_versions_parts_are_read(tiny, shared_archive, finished):
    for file in finished.glob("parts/*/part.json"):
        record = json.loads(file.read_text())
        del record["committed_at"]
        record["exams"] = [
            {k: e[k] for k in ("exam_id", "digest", "status", "files")} for e in record["exams"]
        ]
        file.write_text(json.dumps(record))
    calls = []
    (finished / "exams.parquet").unlink()

    tiny.tiny_sweep(finished, shared_archive, calls=calls)

    assert calls == []
    assert status(finished).state is State.COMPLETE


def test_the_record_for_machines_holds_what_is_derived(finished):
    record = status_record(status(finished))

    assert json.loads(json.dumps(record)) == record
    assert (record["state"], record["seconds_left"], record["limited_by"]) == ("complete", 0.0, None)
    assert set(record) >= set(Status.__dataclass_fields__)
