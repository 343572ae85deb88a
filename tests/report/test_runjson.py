from __future__ import annotations

import json

import pytest

from mammosweep.report.atomic import replacing
from mammosweep.report.runjson import write_run


def test_given_a_run_when_written_then_keys_are_sorted_and_the_schema_version_is_in_it(tmp_path):
    write_run(tmp_path, {"seconds": {"b": 1.5, "a": 2}, "device": "cpu"})

    text = (tmp_path / "run.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"device": "cpu", "schema_version": 1, "seconds": {"a": 2, "b": 1.5}}
    assert text.index('"device"') < text.index('"schema_version"') < text.index('"a"') < text.index('"b"')


def test_given_a_number_that_json_cannot_hold_when_written_then_the_old_file_stays(tmp_path):
    write_run(tmp_path, {"views_per_second": 1.0})

    with pytest.raises(ValueError, match="not JSON compliant"):
        write_run(tmp_path, {"views_per_second": float("nan")})
    assert json.loads((tmp_path / "run.json").read_text())["views_per_second"] == 1.0


def test_given_a_failure_half_way_when_replacing_then_the_file_is_as_before_and_nothing_is_left(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("old")

    def fail_half_way():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("disk")

    with pytest.raises(RuntimeError, match="disk"):
        fail_half_way()
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("x.txt", "old")]


def test_given_what_a_killed_run_left_when_replacing_then_it_is_overwritten(tmp_path):
    (tmp_path / ".run.json.tmp").write_text("torn")

    write_run(tmp_path, {})

    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]
