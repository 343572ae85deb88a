from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mammosweep.errors import ConfigError
from mammosweep.evaluate.truth import read_rows, read_truth
from mammosweep.phantom.generate import TRUTH_EXAMS_SCHEMA, TRUTH_SCHEMA
from mammosweep.records import LesionType

FILM = (
    "file,patient,side,view,x,y,w,h,abnormality id,breast_density,mass shape,mass margins,"
    "assessment,pathology\n"
)
PLAIN = "path,sop_instance_uid,x1,y1,x2,y2,type,lesion_id,malignant\n"


def table(tmp_path, text):
    path = tmp_path / "truth.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_cbis_columns_say_box_type_pathology_and_assessment(tmp_path):
    rows = (
        "a.jpg,7,LEFT,CC,10,20,30,40,1.0,2.0,IRREGULAR,SPICULATED,5.0,MALIGNANT\n"
        "a.jpg,7,LEFT,CC,1,2,3,4,2.0,2.0,ARCHITECTURAL_DISTORTION,,4.0,BENIGN_WITHOUT_CALLBACK\n"
        "b.jpg,7,LEFT,MLO,1,2,3,4,,2.0,OVAL-ARCHITECTURAL_DISTORTION,,,\n"
    )

    truth = read_truth(table(tmp_path, FILM + rows))

    a, b = truth.images
    assert (a.path, a.patient, a.words) == ("a.jpg", "7", {"density": "2"})
    assert [(m.lesion_id, m.box_px, m.type, m.malignant, m.assessment) for m in a.marks] == [
        ("1", (10, 20, 40, 60), LesionType.MASS, True, "5"),
        ("2", (1, 2, 4, 6), LesionType.DISTORTION, False, "4"),
    ]
    assert (b.marks[0].linked, b.marks[0].type, b.marks[0].malignant) == (False, LesionType.MASS, None)
    assert not truth.unlisted_clean


def test_a_row_without_a_box_names_an_image_without_a_lesion(tmp_path):
    film = read_truth(table(tmp_path, FILM + "c.jpg,7,RIGHT,CC,,,,,,3.0,,,1.0,\n"))
    plain = read_truth(table(tmp_path, PLAIN + "c.dcm,1.2,,,,,,,\n"))

    assert [image.marks for image in (*film.images, *plain.images)] == [(), ()]
    assert plain.images[0].sop_instance_uid == "1.2"


def test_phantoms_truth_knows_its_exams_whole(tmp_path):
    row = dict.fromkeys(TRUTH_SCHEMA.names) | {
        "path": "e/1.dcm", "lesion_id": "M", "type": "mass", "x1": 1.0, "y1": 2.0, "x2": 3.0, "y2": 4.0,
        "size_mm": 8.0, "quadrant": "outer", "depth": 0.4, "malignant": True,
    }  # fmt: skip
    pq.write_table(pa.Table.from_pylist([row], TRUTH_SCHEMA), tmp_path / "truth.parquet")
    exam = dict.fromkeys(TRUTH_EXAMS_SCHEMA.names) | {"exam_id": "E", "density": "c"}
    pq.write_table(pa.Table.from_pylist([exam], TRUTH_EXAMS_SCHEMA), tmp_path / "truth_exams.parquet")

    truth = read_truth(tmp_path / "truth.parquet")

    (mark,) = truth.images[0].marks
    assert (mark.malignant, mark.quadrant, mark.depth, mark.size_mm) == (True, "outer", 0.4, 8.0)
    assert truth.unlisted_clean
    assert truth.exams == {"E": {"density": "c"}}
    assert not read_truth(tmp_path / "truth.parquet", unlisted_clean=False).unlisted_clean


WRONG = {
    "columns": ("path,x1\n", "expected at least path, x1"),
    "no path": (PLAIN + ",,1,2,3,4,mass,M,1\n", "row 1: column path is empty"),
    "no number": (PLAIN + "a,,1,2,3,x,mass,M,1\n", "row 1: column y2 is 'x'; expected a number"),
    "infinite": (PLAIN + "a,,1,2,3,inf,mass,M,1\n", "row 1: column y2 is inf; expected a finite number"),
    "box turned": (PLAIN + "a,,1,2,3,4,mass,M,1\na,,9,2,3,4,mass,M,1\n", "row 2: the box is"),
    "half a box": (PLAIN + "a,,1,2,,,mass,M,1\n", "row 1: the box is"),
    "type": (PLAIN + "a,,1,2,3,4,lump,M,1\n", "row 1: column type is 'lump'; expected one of mass"),
    "malignant": (PLAIN + "a,,1,2,3,4,mass,M,maybe\n", "row 1: column malignant is 'MAYBE'"),
}


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_table_is_refused_by_row_and_reason(tmp_path, text, said):
    with pytest.raises(ConfigError, match=said):
        read_truth(table(tmp_path, text))


@pytest.mark.parametrize("name", ["no.csv", "no.parquet"])
def test_a_table_that_is_not_there_is_named(tmp_path, name):
    with pytest.raises(ConfigError, match=f"table {name} cannot be read"):
        read_rows(tmp_path / name)
