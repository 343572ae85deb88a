from __future__ import annotations

from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mammosweep.archive.manifest import ManifestRow, read_manifest
from mammosweep.errors import ConfigError
from mammosweep.records import Laterality, Position

EVERYTHING = ManifestRow(
    path="a/1.png",
    patient_id="p1",
    exam_id="e1",
    laterality=Laterality.LEFT,
    view=Position.MLO,
    spacing_mm=(0.05, 0.06),
    study_date=date(2024, 1, 31),
)


@pytest.fixture
def manifest(tmp_path):
    """Reads the text as a manifest."""

    def read(text, encoding="utf-8"):
        (tmp_path / "m.csv").write_bytes(text.encode(encoding))
        return read_manifest(tmp_path / "m.csv")

    return read


def test_a_csv_row_says_everything(manifest):
    found = manifest(
        "path,patient_id,exam_id,laterality,view,spacing_mm,study_date\n"
        "a/1.png,p1,e1,left,mlo,0.05x0.06,2024-01-31\n"
    )

    assert found.get("a/1.png") == EVERYTHING
    assert found.get("a/2.png") is None


def test_a_parquet_row_says_the_same(tmp_path):
    columns = {
        "path": ["a/1.png"],
        "patient_id": ["p1"],
        "exam_id": ["e1"],
        "laterality": ["L"],
        "view": ["MLO"],
        "spacing_mm": [[0.05, 0.06]],
        "study_date": [date(2024, 1, 31)],
    }
    pq.write_table(pa.table(columns), tmp_path / "m.parquet")

    assert read_manifest(tmp_path / "m.parquet").get("a/1.png") == EVERYTHING


def test_parquets_missing_values_say_nothing(tmp_path):
    columns = {
        "path": ["1.png"],
        "spacing_mm": pa.array([None], pa.float64()),
        "view": pa.array([None], pa.string()),
    }
    pq.write_table(pa.table(columns), tmp_path / "m.parquet")

    assert read_manifest(tmp_path / "m.parquet").get("1.png") == ManifestRow(path="1.png")


def test_what_a_spreadsheet_writes_is_read(manifest):
    found = manifest('path,view\r\n"a, b.png",CC\r\n\r\n./c//d.png,\r\n', encoding="utf-8-sig")

    assert found.get("a, b.png").view is Position.CC
    assert found.get("c/d.png") == ManifestRow(path="c/d.png")


@pytest.mark.parametrize(
    ("text", "spacing"),
    [
        ("0.05", (0.05, 0.05)),
        ("0.05x0.06", (0.05, 0.06)),
        (" 0.05 X 0.06 ", (0.05, 0.06)),
        (r"0.05\0.06", (0.05, 0.06)),
        ("5e-2", (0.05, 0.05)),
    ],
)
def test_a_spacing_is_one_number_or_row_by_column(manifest, text, spacing):
    assert manifest(f"path,spacing_mm\n1.png,{text}\n").get("1.png").spacing_mm == spacing


@pytest.mark.parametrize("text", ["2024-01-31", "20240131"])
def test_a_date_is_iso_or_dicoms(manifest, text):
    assert manifest(f"path,study_date\n1.png,{text}\n").get("1.png").study_date == date(2024, 1, 31)


WRONG = {
    "unknown column": ("path,side\n1.png,L\n", "unknown column 'side'; expected any of path, patient_id"),
    "no path column": ("exam_id\ne1\n", "no column 'path'"),
    "column twice": ("path,view,view\n1.png,CC,CC\n", "a column twice"),
    "file twice": ("path\n1.png\n./1.png\n", "row 2: 1.png has a row already"),
    "empty path": ("path,view\n,CC\n", "row 1, column path: found ''"),
    "laterality": (
        "path,laterality\n1.png,L\n2.png,X\n",
        "row 2, column laterality: found 'X'; expected L, R",
    ),
    "view": ("path,view\n1.png,ML\n", "row 1, column view: found 'ML'; expected CC or MLO"),
    "spacing of words": (
        "path,spacing_mm\n1.png,fine\n",
        "column spacing_mm: found 'fine'; expected millimetres",
    ),
    "spacing of three": ("path,spacing_mm\n1.png,1x2x3\n", "column spacing_mm"),
    "spacing 0": ("path,spacing_mm\n1.png,0\n", "column spacing_mm: found '0'"),
    "spacing NaN": ("path,spacing_mm\n1.png,nan\n", "column spacing_mm"),
    "date": ("path,study_date\n1.png,31.1.2024\n", "column study_date: found '31.1.2024'; expected a date"),
    "exam id": ('path,exam_id\n1.png,"a\nb"\n', "column exam_id"),
    "too few fields": ("path,view\n1.png\n", "row 1: found 1 fields; expected 2"),
    "nothing": ("", "is not a table"),
}


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=list(WRONG))
def test_a_wrong_manifest_says_where_and_what(manifest, text, said):
    with pytest.raises(ConfigError) as caught:
        manifest(text)

    assert said in str(caught.value)
    assert "m.csv" in str(caught.value)


def test_a_manifest_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_manifest(tmp_path / "none.csv")


def test_a_damaged_parquet_file_is_said(tmp_path):
    (tmp_path / "m.parquet").write_bytes(b"PAR1" + b"\0" * 50)

    with pytest.raises(ConfigError, match="damaged Parquet"):
        read_manifest(tmp_path / "m.parquet")


def test_absolute_paths_become_relative_to_the_root(manifest, tmp_path):
    found = manifest(f"path,view\n{tmp_path}/a/1.png,CC\n2.png,MLO\n/elsewhere/3.png,CC\n").within(
        str(tmp_path)
    )

    assert list(found.rows) == ["a/1.png", "2.png", "/elsewhere/3.png"]
    assert found.get("a/1.png").path == "a/1.png"


def test_one_file_by_two_paths_is_refused(manifest, tmp_path):
    with pytest.raises(ConfigError, match=r"1\.png is named twice"):
        manifest(f"path\n1.png\n{tmp_path}/1.png\n").within(str(tmp_path))


def test_the_digest_is_the_files(manifest):
    first, again, other = (manifest(text).digest for text in ("path\na\n", "path\na\n", "path\nb\n"))

    assert first == again != other
