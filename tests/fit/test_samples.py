"""What is wrong with an annotated archive is known before anything is learned from it."""

from __future__ import annotations

import shutil

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mammosweep.fit.samples import open_annotated


@pytest.fixture
def copy(annotated, tmp_path):
    return shutil.copytree(annotated, tmp_path / "copy")


def test_a_sound_archive_has_no_problems(annotated):
    opened = open_annotated(annotated / "truth.parquet", annotated)

    assert opened.problems == ()
    assert len(opened.exams) == 12
    assert len(set(opened.patients.values())) == 12


def test_an_image_that_is_not_there_and_one_that_cannot_be_read_are_named(copy):
    rows = pq.read_table(copy / "truth.parquet").to_pylist()
    gone, broken = sorted({row["path"] for row in rows})[:2]
    (copy / gone).unlink()
    (copy / broken).write_bytes(b"")

    problems = {p.where: p.what for p in open_annotated(copy / "truth.parquet", copy).problems}

    (first,) = [what for where, what in problems.items() if gone in where]
    (second,) = [what for where, what in problems.items() if broken in where]
    assert first == "it is not in the folder of images"
    assert "empty" in second


def test_a_box_outside_its_image_is_named(copy):
    rows = pq.read_table(copy / "truth.parquet").to_pylist()
    rows[0]["x2"] = 9999.0
    pq.write_table(pa.Table.from_pylist(rows), copy / "truth.parquet")

    (problem,) = open_annotated(copy / "truth.parquet", copy).problems

    assert "a box ends at x 9999" in problem.what
    assert "the image has 450 x 600 pixels" in problem.what


def test_rasters_are_read_with_what_the_table_and_the_settings_say(tmp_path):
    film = np.zeros((400, 300), np.int16)
    cv2.ellipse(film, (0, 200), (180, 160), 0, -90, 90, 120, -1)
    film[180:220, 80:120] = 200
    noise = np.random.default_rng(0).normal(0, 8, film.shape)
    film = np.where(film > 0, np.clip(film + noise, 0, 255), 0).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "7_LEFT_CC.png"), film)
    (tmp_path / "boxes.csv").write_text(
        "file,patient,side,view,x,y,w,h,mass shape,mass margins,pathology,abnormality id\n"
        "7_LEFT_CC.png,7,LEFT,CC,80,180,40,40,ROUND,CIRCUMSCRIBED,BENIGN,1\n"
    )

    opened = open_annotated(tmp_path / "boxes.csv", tmp_path, "0.5 x 0.5")
    (sample,) = opened.samples(opened.exams, 1.0, 0.5)

    (view,) = sample.views
    assert opened.problems == ()
    assert sample.patient == "7"
    x1, y1, x2, y2 = view.boxes_net[0]
    assert (x2 - x1, y2 - y1) == pytest.approx((20, 20), abs=0.5)
    inside = view.gray[int(y1) + 2 : int(y2) - 2, int(x1) + 2 : int(x2) - 2]
    assert inside.mean() > view.gray[view.gray > -0.4].mean() + 0.3
    assert view.normalised.detail.crop(view.lesions[0].box_px, 10.0, 20).shape == (20, 20)
