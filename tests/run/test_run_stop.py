"""A run that is asked to stop finishes what is in flight, says that it can be resumed, and is resumed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from mammosweep.errors import ConfigError
from mammosweep.report.tables import TABLES, read_table
from mammosweep.run.chunks import Chunk
from mammosweep.run.ledger import is_locked, read_parts
from mammosweep.run.status import State, status
from mammosweep.run.stop import Gate, Stop, SweepStopped, on_sigterm, parse_until, uptime
from mammosweep.run.terms import Terms

CLI = """
import sys
import mammosweep.run.local as local
sys.path.insert(0, sys.argv.pop(1))
import tiny
delay = float(sys.argv.pop(1))
local.load_screener = lambda config, bundle: tiny.tiny_screener(delay=delay)
from mammosweep.cli import main
main()
"""


def started(source, out, delay=0.3, **popen):
    """The command as a process of its own; it screens, slowly, with the tiny screener."""
    command = [sys.executable, "-c", CLI, str(Path(__file__).parent), str(delay), "sweep", str(source)]
    command += ["--out", str(out), "--chunk-exams", "2"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **popen)


def rows(out):
    return {name: read_table(out, name).to_pylist() for name in TABLES}


def committed(out):
    return len(list(out.glob("parts/[0-9a-f]*/part.json")))


def wait_for(truth, process):
    while not truth():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)


@pytest.fixture
def large(tiny, tmp_path):
    """Ten exams."""
    return tiny.write_archive(tmp_path / "large", 10)


@pytest.mark.parametrize("group", [False, True], ids=["process", "group"])
def test_sigterm_finishes_the_chunk_exits_0_and_the_next_run_goes_on(tiny, large, tmp_path, group):
    out, calls = tmp_path / "out", []
    with started(large, out, start_new_session=True) as process:
        wait_for(lambda: committed(out) >= 1, process)
        (os.killpg if group else os.kill)(process.pid, signal.SIGTERM)
        said, errors = process.communicate(timeout=60)
    stopped, done = status(out), [exam.exam_id for part in read_parts(out) for exam in part.exams]

    tiny.tiny_sweep(out, large, calls=calls)
    tiny.tiny_sweep(tmp_path / "whole", large)

    assert process.returncode == 0, errors
    assert f"stopped: SIGTERM; {len(done)} of 10 exams are done; resumable: run the same" in said
    assert (stopped.state, stopped.done) == (State.STOPPED, len(done))
    assert len(done) % 2 == 0  # whole chunks
    assert 2 <= len(done) < 10
    assert not list((out / "parts").glob(".tmp-*"))
    assert sorted(calls + done) == sorted(set(calls + done))
    assert len(calls + done) == 10
    assert rows(out) == rows(tmp_path / "whole")


def test_a_sweep_stops_when_its_time_has_come(tiny, shared_archive, tmp_path):
    seconds = [0.0]
    stop = Stop(3.0, "06:00 has come (--until)", now=lambda: seconds[0])

    def goes_on(tally):
        seconds[0] = tally.done_now  # a second an exam

    with pytest.raises(SweepStopped, match=r"stopped: 06:00 has come \(--until\); 3 of 4 exams are done"):
        tiny.tiny_sweep(tmp_path, shared_archive, chunk_exams=1, progress=goes_on, terms=Terms(stop=stop))

    assert committed(tmp_path) == 3


def test_ctrl_c_does_not_wait(large, tmp_path):
    out = tmp_path / "out"
    with started(large, out) as process:
        wait_for(lambda: committed(out) >= 1, process)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "run the same command again to continue" in errors


def test_a_stop_while_headers_are_read_ends_the_run_there(tiny, shared_archive, tmp_path):
    stop = Stop()
    stop.ask("SIGTERM")

    with pytest.raises(SweepStopped, match="stopped: SIGTERM; while headers were read; resumable"):
        tiny.tiny_sweep(tmp_path, shared_archive, terms=Terms(stop=stop))

    assert not is_locked(tmp_path)
    assert not (tmp_path / "sweep.json").exists()


def test_a_stop_in_a_chunk_finishes_it_and_leaves_no_front_page(tiny, shared_archive, tmp_path):
    stop = Stop()

    def ask(tally):
        if tally.done_now == 1:
            stop.ask("SIGTERM")

    with pytest.raises(SweepStopped) as stopped:
        tiny.tiny_sweep(tmp_path, shared_archive, progress=ask, terms=Terms(stop=stop))

    assert (stopped.value.exams, stopped.value.done) == (4, 2)
    assert {"count", "screen", "commit"} <= set(stopped.value.seconds)
    assert not any((tmp_path / name).exists() for name in ("run.json", "index.html", "exams.parquet"))
    assert status(tmp_path).state is State.STOPPED


def test_a_stop_in_the_last_chunk_leaves_nothing_to_resume(tiny, shared_archive, tmp_path):
    stop = Stop()

    def ask(tally):
        if tally.done_now == 3:
            stop.ask("SIGTERM")

    summary = tiny.tiny_sweep(tmp_path, shared_archive, progress=ask, terms=Terms(stop=stop))

    assert summary.counts.exams_seen == 4
    assert status(tmp_path).state is State.COMPLETE


def test_a_finished_sweep_that_got_new_files_and_was_stopped_is_not_complete(tiny, archive, tmp_path):
    out, stop = tmp_path / "out", Stop()
    tiny.tiny_sweep(out, archive)
    tiny.write_view(archive / "exam77", 77, "L CC")
    asked = Terms(stop=stop)

    def ask(tally):
        if tally.exams is not None:
            stop.ask("SIGTERM")

    tiny.write_view(archive / "exam78", 78, "L CC")
    with pytest.raises(SweepStopped):
        tiny.tiny_sweep(out, archive, chunk_exams=1, progress=ask, terms=asked)

    assert (status(out).state, status(out).done, status(out).exams) == (State.STOPPED, 5, 6)
    summary = tiny.tiny_sweep(out, archive)
    assert len(rows(out)["exams"]) == 6
    assert summary.run_seconds["count"] < summary.seconds["count"]  # what limited this run, not all of them


def test_a_gate_takes_chunks_one_by_one_and_none_once_it_is_shut():
    taken, stop = [], Stop()
    gate = Gate((taken.append(n) or Chunk(str(n), ()) for n in range(9)), stop)
    chunks = iter(gate)

    assert [next(chunks).id, next(chunks).id] == ["0", "1"]
    stop.ask("enough")
    assert list(chunks) == []
    assert (gate.shut, taken) == ("enough", [0, 1, 2])


def test_a_gate_that_ran_out_of_chunks_was_not_shut():
    stop = Stop()
    gate = Gate([Chunk("0", ())], stop)

    assert len(list(gate)) == 1
    stop.ask("too late")
    assert gate.shut is None


def test_the_first_reason_stays():
    stop = Stop(0.0, "06:00 has come (--until)")
    stop.ask("SIGTERM")

    assert stop.why == "SIGTERM"


def test_the_moment_is_kept_on_a_clock_that_nobody_sets(monkeypatch):
    seconds = [100.0]
    stop = Stop(60.0, "it is time", now=lambda: seconds[0])
    monkeypatch.setattr(time, "time", lambda: 0.0)  # the time of day jumps

    seconds[0] = 159.9
    assert stop.why is None
    seconds[0] = 160.0
    assert stop.why == "it is time"


def test_uptime_goes_on():
    before = uptime()
    time.sleep(0.01)

    assert 0.005 < uptime() - before < 60


def test_the_handler_of_sigterm_is_put_back():
    before, stop = signal.getsignal(signal.SIGTERM), Stop()

    with on_sigterm(stop):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)

    assert stop.why == "SIGTERM"
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.fixture
def berlin(monkeypatch):
    """Local time is Berlin's, whose clocks go forward on 2026-03-29 and back on 2026-10-25."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("now", "text", "hours"),
    [
        ("2026-11-24T05:00+01:00", "06:00", 1),
        ("2026-11-24T06:00+01:00", "06:00", 24),
        ("2026-11-24T07:00+01:00", "06:00", 23),
        ("2026-03-28T22:00+01:00", "06:00", 7),  # the night has an hour less
        ("2026-10-24T22:00+02:00", "06:00", 9),  # and one more
        ("2026-11-24T05:00+01:00", "2026-11-26T05:00", 48),
        ("2026-11-24T05:00+01:00", "2026-11-24T05:00Z", 1),
        ("2026-11-24T05:00+01:00", "06:00+00:00", 2),
    ],
)
def test_a_time_is_the_next_one_and_local(berlin, now, text, hours):
    now = datetime.fromisoformat(now)

    assert parse_until(text, now) - now == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("25:00", "expected a time such as 06:00"),
        ("soon", "expected a time such as 06:00"),
        ("", "expected a time such as 06:00"),
        ("2020-01-01T06:00", "which has passed; give a moment to come"),
    ],
)
def test_a_moment_that_cannot_be_waited_for_is_said(text, said):
    with pytest.raises(ConfigError, match=said):
        Stop.at(text)
