"""How far a sweep is, from its files alone."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from mammosweep.errors import LedgerError
from mammosweep.run.ledger import Ledger
from mammosweep.run.status import State, status


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
