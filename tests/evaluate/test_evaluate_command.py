"""Phantoms swept with the shipped bundle, evaluated on the command line."""

from __future__ import annotations

import csv
import json

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import mammosweep
from mammosweep.cli import app
from mammosweep.config import DetectConfig, FlipMode, ReportConfig, SweepConfig
from mammosweep.phantom import PhantomConfig, Syntax, write_phantoms

NUM_EXAMS = 3


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluated") / "archive"
    config = PhantomConfig(spacing_mm=0.3, lesion_rate=1.0)
    write_phantoms(folder, exams=NUM_EXAMS, seed=11, syntaxes=[Syntax.EXPLICIT], config=config)
    return folder


@pytest.fixture(scope="module")
def swept(archive):
    out = archive.parent / "out"
    config = SweepConfig(detect=DetectConfig(flips=FlipMode.NONE), report=ReportConfig(pages=False))
    mammosweep.sweep_to(out, archive, config=config)
    return out


def run(*arguments):
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def test_a_sweep_of_phantoms_is_evaluated_into_tables_a_page_and_a_document(archive, swept, tmp_path):
    truth = pq.read_table(archive / "truth.parquet").to_pylist()

    found = run(
        swept, "--truth", archive / "truth.parquet", "--bootstraps", 50,
        "--page", tmp_path / "page.html", "--json", tmp_path / "figures.json",
    )  # fmt: skip

    assert found.exit_code == 0, found.stderr
    document = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    counts = document["counts"]
    assert (counts["exams"], counts["images"], counts["images_unlisted"]) == (NUM_EXAMS, 4 * NUM_EXAMS, 0)
    assert counts["lesions"] == len({(row["exam_id"], row["lesion_id"]) for row in truth})
    assert document["froc"][0]["num_lesions"] == len(truth)
    assert document["pairing"]["recall_of_annotated"]["num"] == counts["lesions"]
    # The bundle is fitted on phantoms like these.
    assert counts["lesions_found"] > 0
    assert {one["by"]: one["why"] for one in document["subgroups"]}["breast density"] == ""
    assert "per breast" in found.stdout
    assert "<svg" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_truth_of_films_is_matched_by_path_and_ignores_what_it_does_not_name(archive, swept, tmp_path):
    """The phantoms' first lesion, written in CBIS-DDSM's columns."""
    row = pq.read_table(archive / "truth.parquet").to_pylist()[0]
    film = {
        "file": row["path"], "patient": "7", "side": "LEFT", "view": "CC", "x": row["x1"], "y": row["y1"],
        "w": row["x2"] - row["x1"], "h": row["y2"] - row["y1"], "abnormality id": "1.0",
        "mass shape": "OVAL", "pathology": "MALIGNANT" if row["malignant"] else "BENIGN",
    }  # fmt: skip
    with (tmp_path / "boxes.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(film))
        writer.writeheader()
        writer.writerows([film, film | {"file": "gone.jpg"}])

    ignored = run(swept, "--truth", tmp_path / "boxes.csv", "--bootstraps", 10, "--json", tmp_path / "1.json")
    clean = run(
        swept, "--truth", tmp_path / "boxes.csv", "--bootstraps", 10, "--json", tmp_path / "2.json",
        "--unlisted", "clean",
    )  # fmt: skip

    assert (ignored.exit_code, clean.exit_code) == (0, 0)
    counts = [json.loads((tmp_path / f"{i}.json").read_text())["counts"] for i in (1, 2)]
    assert [one["images"] for one in counts] == [1, 4 * NUM_EXAMS]
    assert counts[0]["images_not_read"] == {"not in the sweep": 1}
    assert "of the truth: not in the sweep" in ignored.stdout


def test_the_same_seed_gives_the_same_document(archive, swept, tmp_path):
    for name in ("1.json", "2.json"):
        run(
            swept,
            "--truth",
            archive / "truth.parquet",
            "--bootstraps",
            20,
            "--seed",
            3,
            "--json",
            tmp_path / name,
        )

    assert (tmp_path / "1.json").read_bytes() == (tmp_path / "2.json").read_bytes()


UNUSABLE = {
    "no sweep": (["nowhere", "--truth", "truth.csv"], "nowhere/images.parquet cannot be read"),
    "no truth": (["OUT", "--truth", "none.csv"], "table none.csv cannot be read"),
    "overlap": (["OUT", "--truth", "none.csv", "--iou", "2"], "the overlap of a hit is 2"),
    "unlisted": (["OUT", "--truth", "none.csv", "--unlisted", "maybe"], "--unlisted"),
}


@pytest.mark.parametrize(("arguments", "said"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_cannot_be_used_exits_2_with_one_sentence(swept, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)

    found = run(*[str(swept) if argument == "OUT" else argument for argument in arguments])

    assert found.exit_code == 2
    assert said in found.stderr
    assert "Traceback" not in found.stderr
