"""The main job on a mixed archive: phantoms in five syntaxes, real films, vendors' headers, junk."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time

import imagecodecs
import pydicom
import pytest
from benchmarks.bench_promises import command, differing_rows, score_difference, unaccounted
from benchmarks.mixed_archive import JUNK, shared_dicom

import mammosweep
from mammosweep.demo import EXAMS
from mammosweep.phantom import PhantomConfig, Syntax, make_exam, write_exam

TABLES = ("images", "findings", "lesions", "exams")

EXPECTED = {
    "empty.dcm": "empty_file",
    "notes.txt": "not_dicom",
    "noise.dcm": "not_dicom",
    "picture.png": "not_dicom",
    "films.zip": "archive_file",
    "DICOMDIR": "dicomdir",
    "cut-in-header.dcm": "truncated",
    "cut-in-pixels.dcm": "truncated",
    "rows-zero.dcm": "size_invalid",
    "rows-huge.dcm": "size_too_large",
    "bits-stored.dcm": "bits_invalid",
    "high-bit.dcm": "bits_invalid",
    "slope-zero.dcm": "rescale_invalid",
    "no-pixels.dcm": "no_pixel_data",
    "no-laterality.dcm": "laterality_missing",
    "no-spacing.dcm": "spacing_missing",
    "no-view.dcm": "view_missing",
    "no-study-uid.dcm": "uid_missing",
    "secondary-capture.dcm": "sop_class",
    "loop": "outside_root",
}


def rows(out, name):
    return mammosweep.read_table(out, name).to_pylist()


def test_every_file_and_every_exam_is_accounted_for(mixed, swept):
    counts = json.loads((swept / "run.json").read_text(encoding="utf-8"))["counts"]

    assert unaccounted(mixed, swept) == 0
    files, exams = counts["files"], counts["exams"]
    assert files["seen"] == mixed.num_files == files["used"] + files["set_aside"] + files["rejected"]
    assert exams["seen"] == exams["scored"] + exams["flagged"] + exams["not_scored"]
    assert {row["status"] for row in rows(swept, "exams")} == {"scored", "flagged", "not_scored"}


@pytest.mark.parametrize("name", JUNK)
def test_junk_has_its_reason(swept, name):
    (row,) = [row for row in rows(swept, "images") if row["path"] == f"junk/{name}"]

    assert row["reason"] == EXPECTED[name]
    assert row["message"]


def test_every_syntax_and_the_real_films_are_scored(swept):
    exams = {row["exam_id"]: row for row in rows(swept, "exams")}
    images = [row for row in rows(swept, "images") if row["status"] == "used"]

    syntaxes = {row["transfer_syntax"] for row in images if row["path"].startswith("phantoms/")}
    assert len(syntaxes) == 5
    for row in images:
        assert exams[row["exam_id"]]["score"] is not None
    for exam_id, _, views in EXAMS.values():
        assert exams[exam_id]["status"] in ("scored", "flagged")
        assert len([row for row in images if row["exam_id"] == exam_id]) == len(views)


def test_a_view_of_a_vendor_is_read_right(swept):
    if shared_dicom() is None:
        pytest.skip("the toolkit test files are not at hand (MAMMOSWEEP_SHARED_DATA)")
    (row,) = [row for row in rows(swept, "images") if row["path"] == "toolkit/GH133.dcm"]

    assert (row["laterality"], row["view_position"], row["status"]) == ("R", "MLO", "used")
    assert row["spacing_mm"] == pytest.approx([0.0941, 0.0941], abs=1e-4)


def test_nothing_ends_in_an_error_that_nobody_foresaw(swept):
    assert [row["path"] for row in rows(swept, "images") if row["reason"] == "unexpected_error"] == []


def test_findings_lie_in_their_image_and_lesions_name_them(swept):
    sizes = {row["sop_instance_uid"]: (row["columns"], row["rows"]) for row in rows(swept, "images")}
    lesions = {(row["exam_id"], row["lesion_id"]) for row in rows(swept, "lesions")}
    findings = rows(swept, "findings")

    assert findings
    for row in findings:
        columns, height = sizes[row["sop_instance_uid"]]
        assert -1 <= row["x1"] < row["x2"] <= columns + 1
        assert -1 <= row["y1"] < row["y2"] <= height + 1
        assert (row["exam_id"], row["lesion_id"]) in lesions
        assert 0 <= row["score"] <= 1
        assert 0 <= row["depth"] <= 1


def test_unassessed_exams_stand_on_top_of_the_worklist(swept):
    lines = (swept / "worklist.csv").read_text(encoding="utf-8").splitlines()[1:]
    scored = ["unassessed" not in line for line in lines]

    assert len(lines) == len(rows(swept, "exams"))
    assert scored == sorted(scored)
    assert not all(scored)


def test_no_patients_name_or_number_is_written_anywhere(swept):
    secrets = (b"Phantom^", b"PHANTOM-", b"Mass-Test_", b"P_00173", b"P_00820", b"ANON-1234", b"OpenREM^")
    text = b"".join(str(rows(swept, name)).encode() for name in TABLES)
    text += b"".join(
        path.read_bytes() for path in swept.rglob("*") if path.suffix in (".html", ".json", ".csv")
    )

    assert [secret for secret in secrets if secret in text] == []


def test_results_open_in_polars_pandas_and_duckdb(swept):
    import duckdb
    import pandas as pd
    import polars as pl

    expected = len(rows(swept, "exams"))
    assert len(pl.read_parquet(swept / "exams.parquet")) == expected
    assert len(pd.read_parquet(swept / "exams.parquet")) == expected
    assert duckdb.sql(f"SELECT count(*) FROM '{swept}/exams.parquet'").fetchall() == [(expected,)]


def test_a_finished_sweep_does_nothing_and_says_so(mixed, swept):
    before = {path: path.stat().st_mtime_ns for path in swept.rglob("*") if path.is_file()}

    done = subprocess.run(command(mixed, swept), capture_output=True, text=True, check=True)

    assert "nothing was done" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in swept.rglob("*") if path.is_file()} == before


def test_strict_exits_3_where_an_exam_could_not_be_scored(mixed, swept):
    done = subprocess.run(command(mixed, swept, "--strict"), capture_output=True, check=False)

    assert done.returncode == 3


def test_a_sweep_that_was_killed_comes_to_the_same_rows(mixed, swept, tmp_path):
    out = tmp_path / "killed"
    process = subprocess.Popen(command(mixed, out, "--chunk-exams", "1"), stderr=subprocess.PIPE, text=True)
    while len(list(out.glob("parts/*/part.json"))) < 3:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    _, said = process.communicate()
    half = list(out.glob("parts/*/part.json"))

    done = subprocess.run(
        command(mixed, out, "--chunk-exams", "1"), capture_output=True, text=True, check=True
    )

    assert not (out / "run.json").exists() or len(half) > 0
    assert [differing_rows(swept, out, name) for name in TABLES] == [0, 0, 0, 0]
    assert "Phantom^" not in said + done.stdout + done.stderr


def test_company_and_order_change_no_score(mixed, swept, tmp_path):
    assert score_difference(mixed, swept, tmp_path) <= 1e-6


def test_python_gives_the_outcomes_that_the_folder_holds(mixed, swept, quick, tmp_path):
    one = next((mixed.source / "phantoms").glob("exam*"))
    (outcome,) = mammosweep.sweep(one, config=quick)

    (row,) = [row for row in rows(swept, "exams") if row["exam_id"] == outcome.exam_id]
    assert outcome.score == pytest.approx(row["score"], abs=1e-6)
    assert len(outcome.lesions) == len([r for r in rows(swept, "lesions") if r["exam_id"] == outcome.exam_id])


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_raster_images_with_a_manifest_score_as_the_dicom_that_they_came_from(kind, quick, tmp_path):
    exam = make_exam(5, 1, PhantomConfig(spacing_mm=0.4, lesion_rate=1.0, border_rate=0.0))
    lines = ["path,exam_id,patient_id,laterality,view,spacing_mm"]
    (tmp_path / "raster").mkdir()
    for view in exam.views:
        name = f"{view.laterality}{view.position}.{kind}"
        (tmp_path / "raster" / name).write_bytes(getattr(imagecodecs, f"{kind}_encode")(view.pixels))
        lines.append(f"{name},case1,p1,{view.laterality},{view.position},0.4 x 0.4")
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("\n".join(lines))
    for path in write_exam(exam, tmp_path / "dicom", syntax=Syntax.EXPLICIT):
        dataset = pydicom.dcmread(path)
        del dataset.WindowCenter, dataset.WindowWidth  # a raster image has no window either
        dataset.save_as(path)

    (raster,) = mammosweep.sweep(tmp_path / "raster", manifest=manifest, config=quick)
    (dicom,) = mammosweep.sweep(tmp_path / "dicom", config=quick)

    assert (raster.exam_id, str(raster.status)) == ("case1", "scored")
    assert [p.grid for p in raster.pictures] == [p.grid for p in dicom.pictures]
    assert raster.score == pytest.approx(dicom.score, abs=1e-6)


def test_a_view_that_vanishes_costs_its_exam_that_view_only(mixed, quick, tmp_path):
    archive = shutil.copytree(mixed.source / "phantoms", tmp_path / "archive")
    catalog = tmp_path / "catalog.parquet"
    subprocess.run(
        [*command(mixed, catalog)[:3], "index", str(archive), "--out", str(catalog)],
        check=True,
        capture_output=True,
    )
    gone = sorted(archive.rglob("*.dcm"))[0]
    gone.unlink()

    outcomes = list(mammosweep.sweep(catalog, config=quick))

    lost = [(o, image) for o in outcomes for image in o.images if str(image.status) == "rejected"]
    ((hit, image),) = lost
    assert len(outcomes) == 5
    assert (str(hit.status), len(hit.pictures)) == ("flagged", 3)
    assert (str(image.reason), image.path[-7:]) == ("file_missing", gone.name)
    assert all(outcome.score is not None for outcome in outcomes)
