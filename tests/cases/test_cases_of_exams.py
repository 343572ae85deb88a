"""Cases 59 to 74."""

from __future__ import annotations

import pytest
from tests.cases.all_cases import case, shared
from tests.cases.check import check, check_exams, check_image, check_unchanged, swept_of
from tests.cases.making import Desk

import mammosweep


@pytest.mark.parametrize("case", shared("Exam"), ids=lambda case: case.id)
def test_a_case_of_exams_has_its_outcome(case, swept):
    check(case, swept)


def test_63_only_a_breast_with_both_views_has_pairs(swept):
    result = swept.result_of("63-three-views")

    assert {row["view_position"] for row in result["findings"] if row["laterality"] == "R"} <= {"CC"}
    right = [row for row in result["lesions"] if row["laterality"] == "R"]
    assert all(row["match_probability"] is None and row["mlo_x1"] is None for row in right)


def test_65_the_choice_between_two_images_depends_on_no_name(swept):
    chosen = [
        row["sop_instance_uid"]
        for folder in ("65-the-same-view-twice", "65-the-same-view-twice-under-other-names")
        for row in swept.below(folder).values()
        if row["status"] == "used"
    ]

    assert chosen == ["2.25.65.2", "2.25.65.4"]


def test_68_sizes_are_compared_in_millimetres(swept):
    """A finding in both views of one breast is as large in mm, though not in pixels."""
    result = swept.result_of("68-spacing-differs")

    spacings = {row["view_position"]: row["spacing_mm"] for row in result["images"]}
    assert spacings == {"CC": pytest.approx([0.4, 0.4]), "MLO": pytest.approx([0.38, 0.38])}
    assert result["exams"][0]["score"] is not None


def test_71_for_presentation_is_used_whatever_the_order(swept):
    rows = swept.below("71-both-intents")

    assert {name: row["status"] for name, row in rows.items()} == {
        "raw.dcm": "set_aside",
        "shown.dcm": "used",
    }


def test_72_a_late_image_makes_a_new_revision_and_the_old_one_stays(
    tmp_path, write_neighbour, spoilt, quick, alone
):
    late = case("72 late image")
    archive, out = tmp_path / "archive", tmp_path / "out"
    write_neighbour(archive)
    desk = Desk(archive / late.folder, spoilt)
    for view in ("LCC", "RCC", "LMLO"):
        desk.save(desk.image(view), f"{view}.dcm")
    mammosweep.sweep_to(out, archive, config=quick)
    before = swept_of(out).result_of(late.folder)["exams"]
    parts = {path: path.read_bytes() for path in (out / "parts").rglob("*") if path.is_file()}
    desk.save(desk.image("RMLO"))

    mammosweep.sweep_to(out, archive, config=quick)

    swept = swept_of(out)
    result = swept.result_of(late.folder)
    for row in result["images"]:
        check_image(row, late.images["view.dcm"])
    check_exams(result["exams"], late.exam)
    assert before[0]["exam_digest"] != result["exams"][0]["exam_digest"]
    assert (before[0]["status"], before[0]["flags"]) == ("flagged", ["missing_views"])
    assert {path: path.read_bytes() for path in parts} == parts
    check_unchanged(alone, swept.result_of("neighbour"))
