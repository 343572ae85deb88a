"""A small part of `make faults` each time, and whether its judge would notice."""

from __future__ import annotations

import json
import shutil
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.faults.faults import FAULTS
from tests.faults.ground import Ground
from tests.faults.run import Result, fault_of, main, run_one, table
from tests.faults.verdict import compare
from tests.run.tiny import tiny_sweep, write_archive

from mammosweep.report.tables import read_table

SEED = 2026
EXAMS = 4
ALWAYS = (
    "driver killed",
    "driver killed in commit",
    "decode worker killed",
    "disk full",
    "file vanishes",
    "reads fail (EIO)",
    "two sweeps at once",
    "bundle file altered",
)
"""The others take longer, or strike at what has tests of its own."""


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    return Ground(tmp_path_factory.mktemp("faults"), exams=EXAMS)


@pytest.mark.parametrize("name", ALWAYS)
def test_nothing_is_lost_twice_or_other_than_without_the_fault(name, ground):
    (index, fault) = next((i, fault) for i, fault in enumerate(FAULTS) if fault.name == name)

    result = run_one(fault, index, SEED, ground)

    if result.skipped:
        pytest.skip(result.skipped)
    assert (result.lost, result.duplicated, result.differing, result.problems) == (0, 0, 0, ())


def test_a_hundred_runs_hold_every_fault_as_often_as_it_says():
    assert sum(fault.share for fault in FAULTS) == 100
    for block in (0, 1):
        counted = Counter(fault_of(7, 100 * block + index).name for index in range(100))
        assert counted == {fault.name: fault.share for fault in FAULTS}
    assert [fault_of(7, index) for index in range(100)] != [fault_of(8, index) for index in range(100)]


def test_what_was_done_is_not_done_again_and_what_is_wrong_shows(tmp_path, capsys):
    good = Result(index=0, fault="driver killed", struck=True)
    bad = Result(index=1, fault="disk full", struck=True, lost=2, problems=("exit code 7",))
    lines = [json.dumps({name: getattr(r, name) for name in Result.__slots__}) for r in (good, bad)]
    (tmp_path / "seed-1.jsonl").write_text("\n".join([*lines, '{"index": 2, "fau']))

    code = main(["--runs", "2", "--seed", "1", "--folder", str(tmp_path)])

    said = capsys.readouterr().out
    assert code == 1
    assert "2 runs, 0 of them now" in said
    assert "run 1, disk full: exit code 7" in said
    assert table([good]).splitlines()[-1].split() == ["all", "1", "1", "0", "0", "0", "0", "0"]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("judged")
    tiny_sweep(folder / "out", write_archive(folder / "archive", 3))
    return folder / "out"


@pytest.fixture
def out(plain, tmp_path):
    return shutil.copytree(plain, tmp_path / "out")


def rewritten(out, name, change):
    found = read_table(out, name)
    rows = found.to_pylist()
    pq.write_table(pa.Table.from_pylist(change(rows), schema=found.schema), out / f"{name}.parquet")


def test_the_judge_finds_nothing_where_nothing_is(out, plain):
    apart = compare(out, plain)

    assert (apart.lost, apart.duplicated, apart.differing, apart.others) == (0, 0, 0, ())


def test_the_judge_notices_a_lost_exam(out, plain):
    rewritten(out, "exams", lambda rows: rows[1:])

    assert compare(out, plain).lost == 1


def test_the_judge_notices_an_exam_that_came_twice(out, plain):
    rewritten(out, "exams", lambda rows: [rows[0], *rows])

    assert compare(out, plain).duplicated == 1


def test_the_judge_notices_an_exam_that_was_committed_twice(out, plain):
    part = next((out / "parts").iterdir())
    twin = shutil.copytree(part, part.with_name("f" * 32))
    record = json.loads((twin / "part.json").read_text())
    (twin / "part.json").write_text(json.dumps(record | {"chunk_id": "f" * 32}))

    assert compare(out, plain).duplicated == len(record["exams"])


def test_the_judge_notices_another_score(out, plain):
    rewritten(out, "exams", lambda rows: [rows[0] | {"score": 0.5}, *rows[1:]])

    assert compare(out, plain).differing == 2  # one that should be there, one that should not


def test_with_a_tolerance_last_digits_may_differ_and_no_others(out, plain):
    rewritten(out, "lesions", lambda rows: [row | {"malignancy": row["malignancy"] + 1e-7} for row in rows])
    assert compare(out, plain).differing > 0
    assert compare(out, plain, 1e-6).differing == 0

    rewritten(out, "lesions", lambda rows: [rows[0] | {"malignancy": 0.5}, *rows[1:]])
    assert compare(out, plain, 1e-6).differing == 1


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda out: (out / "parts/.tmp-0").mkdir(), ".tmp-0 is left behind"),
        (lambda out: (out / "worklist.csv").write_text("other"), "worklist.csv differs"),
        (lambda out: next((out / "pages").iterdir()).unlink(), "the exams' pages are others"),
        (lambda out: (out / "sweep.json").unlink(), "the sweep is not complete"),
    ],
    ids=["temporary", "worklist", "page", "unfinished"],
)
def test_the_judge_notices_what_is_not_in_the_tables(harm, said, out, plain):
    harm(out)

    assert said in compare(out, plain).others
