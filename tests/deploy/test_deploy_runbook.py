"""What RUNBOOK.md says of a results folder: roll back a bundle, make the tables again, remove a patient."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from mammosweep.config import RunConfig, SweepConfig
from mammosweep.run.local import prepare

TABLES = ("exams", "findings", "lesions", "images")
PATIENT = "1.2.826.0.1.3680043.8.498.11"  # the exam of exam11


@pytest.fixture(scope="module")
def tiny():
    spec = importlib.util.spec_from_file_location("tiny", Path(__file__).parent.parent / "run" / "tiny.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def archive(tmp_path, tiny):
    return tiny.write_archive(tmp_path / "archive", 4)


@pytest.fixture
def sweep(tmp_path, archive, tiny):
    """Sweep the archive into one folder in chunks of two, and say which exams were scored for it."""

    def run(bundle="a"):
        scored = []
        screener = tiny.tiny_screener(bundle=bundle * 64, calls=scored)
        config = SweepConfig(run=RunConfig(chunk_exams=2))
        with prepare(tmp_path / "out", archive, config=config, load=lambda *_: screener) as ready:
            ready.run()
        return len(scored)

    return run


def digests(out):
    return [(out / f"{name}.parquet").read_bytes() for name in TABLES]


def test_another_bundle_scores_again_and_the_way_back_scores_nothing(sweep, tmp_path):
    out = tmp_path / "out"
    assert sweep("a") == 4
    before = digests(out)

    assert sweep("b") == 4
    assert set(pq.read_table(out / "exams.parquet")["bundle_digest"].to_pylist()) == {"b" * 64}
    assert len(list((out / "parts").iterdir())) == 4  # both bundles' parts

    assert sweep("a") == 0
    assert digests(out) == before
    assert json.loads((out / "run.json").read_text())["bundle_digest"] == "a" * 64


def test_the_tables_are_made_again_of_the_parts(sweep, tmp_path):
    out = tmp_path / "out"
    sweep()
    before = digests(out)
    for name in TABLES:
        (out / f"{name}.parquet").unlink()

    assert sweep() == 0
    assert digests(out) == before


def holders(out, archive_name="exam11"):
    """Files of the results that name the patient's exam or their files."""
    found = []
    for file in sorted(path for path in out.rglob("*") if path.is_file()):
        text = (
            str(pq.read_table(file).to_pydict())
            if file.suffix == ".parquet"
            else file.read_text(encoding="utf-8", errors="replace")
        )
        if PATIENT in text or archive_name in text or PATIENT in file.name:
            found.append(file.relative_to(out).parts[0])
    return set(found)


def test_a_patient_is_gone_once_the_parts_that_hold_the_exam_are(sweep, tmp_path, archive):
    out = tmp_path / "out"
    sweep()
    assert holders(out) >= {"parts", "pages", "exams.parquet", "images.parquet", "catalog.parquet"}

    shutil.rmtree(archive / "exam11")
    assert sweep() == 0
    assert holders(out) == {"parts"}  # the old revision: out of the tables, not off the disk

    held = [part for part in (out / "parts").iterdir() if PATIENT in (part / "part.json").read_text()]
    for part in held:
        shutil.rmtree(part)
    (out / "run.json").unlink()  # else the sweep is complete, and nothing is looked at
    assert sweep() == 1  # the other exam of that chunk
    assert holders(out) == set()
    assert pq.read_table(out / "exams.parquet").num_rows == 3
