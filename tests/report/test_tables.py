from __future__ import annotations

from dataclasses import replace
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mammosweep.errors import LedgerError, Reason
from mammosweep.records import ImageRecord, ImageStatus
from mammosweep.report.tables import SCHEMA_VERSION, TABLES, Gathered, compact, read_table, write_tables

STRAY = ImageRecord(path="notes.txt", status=ImageStatus.REJECTED, reason=Reason.NOT_DICOM, message="No.")


def compacted(out, *chosen, strays=()):
    """Compact pairs of a part and the exams to take from it, as one group."""
    compact([Gathered(chosen, strays)], out)


def test_given_outcomes_when_written_then_every_image_finding_lesion_and_exam_has_its_row(
    tmp_path, scored, unscored
):
    write_tables(tmp_path, [scored(), unscored()], [STRAY])

    rows = {name: read_table(tmp_path, name).num_rows for name in TABLES}
    assert rows == {"images": 4 + 1 + 1, "findings": 3, "lesions": 2, "exams": 2}


def test_given_a_table_when_opened_then_its_schema_is_the_published_one_with_version_and_descriptions(
    tmp_path, scored
):
    write_tables(tmp_path, [scored()])

    for name, schema in TABLES.items():
        found = pq.read_schema(tmp_path / f"{name}.parquet")
        assert found.equals(schema, check_metadata=True)
        assert found.metadata[b"mammosweep.schema_version"] == str(SCHEMA_VERSION).encode()
        assert all(field.metadata[b"description"] for field in found)


def test_given_a_finding_when_written_then_box_character_and_lesion_are_read_back(tmp_path, scored):
    write_tables(tmp_path, [scored()])

    row = read_table(tmp_path, "findings").to_pylist()[0]

    assert (row["x1"], row["y1"], row["x2"], row["y2"]) == (40.0, 90.0, 80.0, 130.0)
    assert (row["shape"], row["margin"], row["morphology"]) == ("irregular", "spiculated", None)
    assert (row["lesion_id"], row["view_position"], row["type"], row["flip_votes"]) == ("L1", "CC", "mass", 4)


def test_given_what_was_measured_and_judged_when_written_then_it_is_read_back_by_name(tmp_path, scored):
    outcome = scored(benign_left=0.125, benign_right=None)
    pair = outcome.lesions[0]
    measured = replace(
        pair.cc,
        place="geometry",
        nipple_mm=41.5,
        character_scores={"margin.spiculated": 0.75, "margin.obscured": 0.25},
        calcification={"count": 7.0},
    )
    judged = replace(pair, cc=measured, contributions={"margin.spiculated": 1.5, "bias": -2.0})
    write_tables(tmp_path, [replace(outcome, lesions=(judged,))])

    finding = read_table(tmp_path, "findings").to_pylist()[0]
    lesion = read_table(tmp_path, "lesions").to_pylist()[0]
    exam = read_table(tmp_path, "exams").to_pylist()[0]

    assert (finding["place"], finding["nipple_mm"]) == ("geometry", 41.5)
    assert finding["character_scores"] == [
        {"name": "margin.obscured", "value": 0.25},
        {"name": "margin.spiculated", "value": 0.75},
    ]
    assert finding["calcification"] == [{"name": "count", "value": 7.0}]
    assert lesion["reasons"] == "spiculated margin +"
    assert lesion["contributions"] == [
        {"name": "bias", "value": -2.0},
        {"name": "margin.spiculated", "value": 1.5},
    ]
    assert (exam["benign_left"], exam["benign_right"]) == (0.125, None)


def test_given_a_part_without_todays_columns_when_compacted_then_they_are_null(tmp_path, scored):
    write_tables(tmp_path / "old", [scored("a")])
    write_tables(tmp_path / "new", [scored("b", benign_left=0.5)])
    table = pq.read_table(tmp_path / "old/exams.parquet")
    pq.write_table(table.drop_columns(["benign_left", "benign_right"]), tmp_path / "old/exams.parquet")

    compacted(tmp_path, (tmp_path / "old", ["a"]), (tmp_path / "new", ["b"]))

    exams = read_table(tmp_path, "exams")
    assert exams.schema.equals(TABLES["exams"])
    assert exams["benign_left"].to_pylist() == [None, 0.5]


def test_given_a_single_finding_when_written_then_the_other_view_is_null(tmp_path, scored):
    write_tables(tmp_path, [scored()])

    single = read_table(tmp_path, "lesions").to_pylist()[1]

    assert single["lesion_id"] == "R1"
    assert single["cc_x1"] == 40.0
    assert [single[f"mlo_{key}"] for key in ("sop_instance_uid", "x1", "y1", "x2", "y2")] == [None] * 5
    assert single["match_probability"] is None


def test_given_an_exam_when_written_then_dates_are_dates_and_spacing_is_row_before_column(tmp_path, scored):
    write_tables(tmp_path, [scored()])

    assert read_table(tmp_path, "exams")["study_date"].to_pylist() == [date(2016, 5, 4)]
    assert read_table(tmp_path, "images")["spacing_mm"].to_pylist()[0] == [0.075, 0.07]


def test_given_any_order_of_work_when_compacted_then_the_files_are_equal_to_the_byte(
    tmp_path, scored, unscored
):
    exams = [scored("b"), unscored("a"), scored("c")]
    write_tables(tmp_path / "one/p", exams)
    write_tables(tmp_path / "two/p", exams[:1])
    write_tables(tmp_path / "two/q", [replace(exams[2], lesions=exams[2].lesions[::-1]), exams[1]])

    compacted(tmp_path / "x", (tmp_path / "one/p", ["a", "b", "c"]), strays=[STRAY])
    compacted(tmp_path / "y", (tmp_path / "two/q", ["a", "c"]), (tmp_path / "two/p", ["b"]), strays=[STRAY])

    for name in TABLES:
        file = f"{name}.parquet"
        assert (tmp_path / "x" / file).read_bytes() == (tmp_path / "y" / file).read_bytes()


def test_given_exams_that_were_not_chosen_when_compacted_then_they_have_no_row(tmp_path, scored):
    write_tables(tmp_path / "a", [scored("x"), scored("y")])

    compacted(tmp_path, (tmp_path / "a", ["y"]))

    assert read_table(tmp_path, "exams")["exam_id"].to_pylist() == ["y"]
    assert read_table(tmp_path, "images").num_rows == 4
    assert read_table(tmp_path, "findings").num_rows == 3


def test_given_several_groups_when_compacted_then_each_is_a_row_group_and_is_checked(tmp_path, scored):
    write_tables(tmp_path / "a", [scored("x"), scored("y")])
    groups = [Gathered([(tmp_path / "a", ["y"])]), Gathered([(tmp_path / "a", ["x"])], [STRAY])]
    checked = []

    compact(groups, tmp_path, lambda tables: checked.append(tables["images"].num_rows))

    assert read_table(tmp_path, "exams")["exam_id"].to_pylist() == ["y", "x"]
    assert pq.ParquetFile(tmp_path / "exams.parquet").num_row_groups == 2
    assert checked == [4, 5]


def test_given_a_check_that_fails_when_compacted_then_the_old_tables_stay(tmp_path, scored):
    compacted(tmp_path, strays=[STRAY])
    write_tables(tmp_path / "a", [scored("x")])

    with pytest.raises(LedgerError, match="does not add up"):
        compact([Gathered([(tmp_path / "a", ["x"])])], tmp_path, _refuse)

    assert read_table(tmp_path, "images")["path"].to_pylist() == ["notes.txt"]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*(f"{n}.parquet" for n in TABLES), "a"])


def _refuse(tables):
    raise LedgerError("it does not add up")


def test_given_strays_of_an_earlier_run_in_a_part_when_compacted_then_only_todays_are_rows(tmp_path, scored):
    write_tables(tmp_path / "a", [scored()], [replace(STRAY, path="deleted.txt")])

    compacted(tmp_path, (tmp_path / "a", [scored().exam_id]), strays=[STRAY])

    paths = read_table(tmp_path, "images")["path"].to_pylist()
    assert paths[-1] == "notes.txt"
    assert "deleted.txt" not in paths
    assert len(paths) == 5


def test_given_no_parts_when_compacted_then_the_tables_are_empty_but_whole(tmp_path):
    compacted(tmp_path)

    for name, schema in TABLES.items():
        assert read_table(tmp_path, name).schema.equals(schema)


def test_given_a_compacted_sweep_when_listed_then_no_temporary_file_is_left(tmp_path, scored):
    write_tables(tmp_path / "parts", [scored()])
    compacted(tmp_path, (tmp_path / "parts", [scored().exam_id]))

    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*(f"{n}.parquet" for n in TABLES), "parts"])


def test_given_a_torn_part_when_compacted_then_the_sentence_names_it_and_the_old_tables_stay(
    tmp_path, scored
):
    compacted(tmp_path, strays=[STRAY])
    write_tables(tmp_path / "a", [scored()])
    (tmp_path / "a" / "lesions.parquet").write_bytes(b"PAR1 torn")

    with pytest.raises(LedgerError, match=r"a/lesions\.parquet cannot be read"):
        compacted(tmp_path, (tmp_path / "a", [scored().exam_id]))
    assert read_table(tmp_path, "images").num_rows == 1


def test_given_a_table_of_another_schema_version_when_read_then_it_is_refused(tmp_path):
    schema = TABLES["exams"].with_metadata({"mammosweep.schema_version": "99"})
    pq.write_table(pa.Table.from_pylist([], schema=schema), tmp_path / "exams.parquet")

    with pytest.raises(LedgerError, match="schema version 99; expected 1"):
        read_table(tmp_path, "exams")


def test_given_a_folder_named_like_a_partition_when_read_then_no_column_is_added(tmp_path, scored):
    write_tables(tmp_path / "site=7", [scored()])

    assert read_table(tmp_path / "site=7", "exams").column_names == TABLES["exams"].names
