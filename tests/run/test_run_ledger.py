"""Chunks appear whole or not at all, and one sweep writes at a time."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from mammosweep.errors import LedgerError
from mammosweep.report.tables import read_table
from mammosweep.run.chunks import cut
from mammosweep.run.ledger import Ledger, is_locked, read_parts

HOLD = """
import sys
from pathlib import Path
from mammosweep.run.chunks import Identity
from mammosweep.run.ledger import Ledger

with Ledger(Path(sys.argv[1]), Identity("a", "b")):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that sweeps into tmp_path / "out"."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "out")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


@pytest.fixture
def commit(tiny):
    """Commits exams as one chunk."""

    def commit_one(ledger, exams, **changes):
        (chunk,) = cut(exams, (), 8, ledger.identity)
        outcomes = [tiny.outcome_of(exam, tiny.tiny_screener().provenance, 0.5) for exam in chunk.exams]
        return ledger.commit(chunk, outcomes, **{"seconds": {"detect": 1.5}, "pages": True} | changes)

    return commit_one


def test_a_committed_chunk_has_tables_pages_and_its_part_file(tmp_path, exam, commit, identity):
    with Ledger(tmp_path, identity) as ledger:
        part = commit(ledger, [exam("A"), exam("B")])

    assert read_parts(tmp_path) == [part]
    assert read_table(part.folder, "exams")["exam_id"].to_pylist() == ["A", "B"]
    assert len(list((part.folder / "pages").glob("*.html"))) == 2
    assert [(e.exam_id, e.status, e.files) for e in part.exams] == [("A", "scored", 1), ("B", "scored", 1)]


def test_a_chunk_without_pages_has_none(tmp_path, exam, commit, identity):
    with Ledger(tmp_path, identity) as ledger:
        part = commit(ledger, [exam("A")], pages=False)

    assert not (part.folder / "pages").exists()


def test_what_a_killed_sweep_left_half_written_is_cleared(tmp_path, exam, commit, identity):
    with Ledger(tmp_path, identity) as ledger:
        part = commit(ledger, [exam("A")])
    half = tmp_path / "parts" / f".tmp-{'0' * 32}"
    shutil.copytree(part.folder, half)

    with Ledger(tmp_path, identity) as ledger:
        assert list(ledger.parts()) == [part]

    assert not half.exists()


@pytest.mark.parametrize("changed", ["bundle_digest", "settings_digest"])
def test_parts_of_another_bundle_or_settings_do_not_count(tmp_path, exam, commit, identity, changed):
    with Ledger(tmp_path, identity) as ledger:
        commit(ledger, [exam("A")])

    with Ledger(tmp_path, replace(identity, **{changed: "c" * 64})) as other:
        assert list(other.parts()) == []


def test_outcomes_that_are_not_the_chunks_are_refused(tmp_path, exam, tiny, identity):
    (chunk,) = cut([exam("A"), exam("B")], (), 8, identity)
    outcome = tiny.outcome_of(chunk.exams[0], tiny.tiny_screener().provenance, 0.5)

    with Ledger(tmp_path, identity) as ledger:
        with pytest.raises(LedgerError, match="2 exams and the 1 outcomes do not correspond"):
            ledger.commit(chunk, [outcome], seconds={}, pages=False)
        assert list(ledger.parts()) == []


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda record: record.pop("exams"), "KeyError: 'exams'"),
        (lambda record: record.update(schema_version=99), "schema version is 99"),
        (lambda record: record.update(chunk_id="0" * 32), "expected the folder's name"),
    ],
    ids=["no-exams", "newer-schema", "another-chunk"],
)
def test_a_part_changed_afterwards_is_named(tmp_path, exam, commit, identity, damage, said):
    with Ledger(tmp_path, identity) as ledger:
        file = commit(ledger, [exam("A")]).folder / "part.json"
        record = json.loads(file.read_text())
        damage(record)
        file.write_text(json.dumps(record))

        with pytest.raises(LedgerError, match=said) as raised:
            list(ledger.parts())

    assert file.parent.name in str(raised.value)
    assert "remove that folder" in str(raised.value)


def test_a_part_without_its_part_file_is_named(tmp_path, identity):
    (tmp_path / "parts" / "0123").mkdir(parents=True)

    with Ledger(tmp_path, identity) as ledger, pytest.raises(LedgerError, match=r"part 0123: part.json"):
        list(ledger.parts())


def test_a_second_sweep_into_a_folder_is_refused(tmp_path, holder, identity):
    with pytest.raises(LedgerError, match="another sweep is writing to"), Ledger(tmp_path / "out", identity):
        pytest.fail("both hold the folder")


def test_the_lock_of_a_killed_sweep_is_free(tmp_path, holder, identity):
    assert is_locked(tmp_path / "out")
    holder.kill()
    holder.wait()

    assert not is_locked(tmp_path / "out")
    with Ledger(tmp_path / "out", identity):
        assert is_locked(tmp_path / "out")


def test_an_output_folder_that_cannot_be_made_is_said(tmp_path, identity):
    (tmp_path / "file").write_text("")

    with (
        pytest.raises(LedgerError, match="cannot be written: Not a directory"),
        Ledger(tmp_path / "file", identity),
    ):
        pytest.fail("a file became a folder")
