"""The table of boxes: both layouts, and what is wrong with a row."""

from __future__ import annotations

import csv
import re

import pyarrow.parquet as pq
import pytest

from mammosweep.errors import ConfigError
from mammosweep.fit.table import read_table
from mammosweep.records import LesionType

FILM = {
    "file": "00017_LEFT_CC.jpg", "patient": "00017", "side": "LEFT", "view": "CC",
    "x": "100.5", "y": "200", "w": "50", "h": "40", "abnormality id": "1.0",
    "mass shape": "LOBULATED", "mass margins": "CIRCUMSCRIBED-ILL_DEFINED", "pathology": "MALIGNANT",
}  # fmt: skip


def film_table(folder, *rows):
    path = folder / "boxes.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(FILM))
        writer.writeheader()
        writer.writerows({**FILM, **row} for row in rows)
    return path


def the_lesion(folder, **changes):
    annotations = read_table(film_table(folder, changes))
    assert annotations.problems == ()
    return annotations.lesions[FILM["file"]][0]


def test_a_films_row_is_a_box_with_words(tmp_path):
    lesion = the_lesion(tmp_path)

    assert lesion.box_px == (100.5, 200, 150.5, 240)
    assert lesion.type is LesionType.MASS
    assert lesion.malignant is True
    assert lesion.lesion_id == "00017_L_1.0"
    assert lesion.words["margin"] == "indistinct"  # the more suspicious of two


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ("ARCHITECTURAL_DISTORTION", LesionType.DISTORTION),
        ("FOCAL_ASYMMETRIC_DENSITY", LesionType.ASYMMETRY),
        ("IRREGULAR-ARCHITECTURAL_DISTORTION", LesionType.MASS),
        ("OVAL-LYMPH_NODE", LesionType.MASS),
        ("", LesionType.MASS),
    ],
)
def test_a_lesion_without_a_mass_s_shape_is_what_its_shape_says(tmp_path, shape, kind):
    assert the_lesion(tmp_path, **{"mass shape": shape}).type is kind


def test_what_the_table_does_not_say_is_unknown(tmp_path):
    lesion = the_lesion(tmp_path, **{"pathology": "", "mass margins": "", "abnormality id": ""})

    assert lesion.malignant is None
    assert "margin" not in lesion.words
    assert not lesion.linked


def test_headers_that_a_raster_lacks_come_from_the_table(tmp_path):
    annotations = read_table(film_table(tmp_path, {}, {"x": "300"}))

    assert [dict(row) for row in annotations.manifest] == [
        {"path": FILM["file"], "patient_id": "00017", "exam_id": "00017", "laterality": "L", "view": "CC"}
    ]
    assert annotations.rows == {FILM["file"]: (1, 2)}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"x": "left"}, r"column x is 'left'; expected a number"),
        ({"w": "nan"}, r"column w is nan; expected a finite number"),
        ({"w": "0"}, r"the box is x 100.5..100.5, y 200..240; expected rising numbers from 0 on"),
        ({"x": "-3"}, r"the box is x -3..47, .*expected rising numbers from 0 on"),
        ({"side": "MIDDLE"}, r"column side is 'MIDDLE'; expected one of LEFT, RIGHT, L, R"),
        ({"pathology": "MAYBE"}, r"column pathology is 'MAYBE'; expected one of MALIGNANT, BENIGN"),
        ({"file": ""}, r"column file is empty; expected an image's path"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_wrong_row_is_named_and_costs_no_other(tmp_path, changes, said):
    annotations = read_table(film_table(tmp_path, {"file": "other.jpg"}, changes))

    (problem,) = annotations.problems
    assert problem.where == "row 2"
    assert re.search(said, problem.what)
    assert "other.jpg" in annotations.lesions


def test_the_truth_of_phantoms_is_read_whole(annotated):
    rows = pq.read_table(annotated / "truth.parquet").to_pylist()

    annotations = read_table(annotated / "truth.parquet")

    assert annotations.problems == ()
    assert annotations.manifest == ()
    assert sum(len(lesions) for lesions in annotations.lesions.values()) == len(rows)
    assert {lesion.quadrant for lesions in annotations.lesions.values() for lesion in lesions} == {
        row["quadrant"] for row in rows
    }


def test_a_table_without_boxes_is_refused(tmp_path):
    (tmp_path / "other.csv").write_text("name,age\na,1\n")

    with pytest.raises(ConfigError, match=r"has the columns age, name; expected at least path, x1"):
        read_table(tmp_path / "other.csv")


def test_what_is_no_table_is_refused(tmp_path):
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 is not enough")

    with pytest.raises(ConfigError, match="cannot be read"):
        read_table(tmp_path / "broken.parquet")
