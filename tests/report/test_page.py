from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace

import cv2
import numpy as np
import pytest

from mammosweep.errors import Flag, Reason
from mammosweep.records import ExamStatus, ImageStatus, Laterality, Position
from mammosweep.report.hanging import NAMED, hang
from mammosweep.report.html import slug
from mammosweep.report.page import write_exam_page, write_index
from mammosweep.report.tables import read_table, write_tables
from mammosweep.report.words import ABSENT, flag_words, reason_words

RUN = {
    "counts": {
        "files": {"seen": 30, "used": 8, "set_aside": 2, "rejected": 20},
        "exams": {"seen": 2, "scored": 1, "flagged": 0, "not_scored": 1},
    },
    "seconds": {"decode": 3.25, "detect": 22.0},
    "device": "cpu",
    "bundle": "reference 1",
}


def text_of(folder, outcome, **more):
    return write_exam_page(folder, outcome, **more).read_text(encoding="utf-8")


def shown(page):
    return " ".join(re.sub(r"<[^>]*>", " ", page.split("</style>")[1].replace("&nbsp;", " ")).split())


def index_of(out, run, *outcomes):
    write_tables(out, outcomes)
    write_index(out, read_table(out, "exams"), run)
    return (out / "index.html").read_text(encoding="utf-8")


def pixels(source):
    encoded = np.frombuffer(base64.b64decode(source.split(",")[1]), np.uint8)
    return cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)


def test_given_four_views_when_hung_then_right_is_left_of_left_and_cc_above_mlo(scored):
    assert [[frame.title for frame in row] for row in hang(scored())] == [
        ["R CC", "L CC"],
        ["R MLO", "L MLO"],
    ]


def test_given_chest_walls_at_the_left_when_hung_then_both_meet_in_the_middle(scored):
    for right, left in hang(scored()):
        # The chest wall is the bright edge of these pictures.
        assert pixels(right.source)[:, -5:].mean() > 200 > 50 > pixels(right.source)[:, :5].mean()
        assert pixels(left.source)[:, :5].mean() > 200 > 50 > pixels(left.source)[:, -5:].mean()
        assert right.picture.right == right.width
        assert left.picture.x == 0


def test_given_pictures_of_different_sizes_when_hung_then_one_scale_and_aligned_at_the_middle(scored):
    outcome = scored()
    small = outcome.pictures[0]
    grid = replace(small.grid, net_size=replace(small.grid.net_size, rows=90, columns=60))
    small = replace(small, gray=np.zeros((90, 60), np.uint8), grid=grid)
    right, left = hang(replace(outcome, pictures=(small, *outcome.pictures[1:])))[0]

    assert (left.width, left.height) == (right.width, right.height) == (100, 150)
    assert (left.picture.width, left.picture.height, left.picture.y) == (60, 90, 30)


@pytest.mark.parametrize(
    ("laterality", "x"),
    # Stored 40..80 halved is 20..40 from the left edge of the stored crop. A left breast's chest wall is
    # there; a right one's is at the stored right, so that the picture hangs as it was stored.
    [(Laterality.LEFT, 20.0), (Laterality.RIGHT, 20.0)],
    ids=["left", "right"],
)
def test_given_a_finding_when_hung_then_its_box_lies_on_the_same_tissue(scored, laterality, x):
    row = hang(scored())[0]
    frame = row[0] if laterality is Laterality.RIGHT else row[1]

    (mark,) = frame.marks

    assert (mark.box.x - frame.picture.x, mark.box.y) == (x, 20.0)
    assert (mark.box.width, mark.box.height) == (20.0, 20.0)


def test_given_a_pair_when_hung_then_both_views_name_it_in_one_colour_unlike_the_others(scored):
    (right_cc, left_cc), (_, left_mlo) = hang(scored())

    assert left_cc.marks[0].text == "L1 mass 0.75"
    assert left_cc.marks[0].colour == left_mlo.marks[0].colour
    assert right_cc.marks[0].colour != left_cc.marks[0].colour


def test_given_a_spacing_when_hung_then_the_scale_bar_is_as_long_as_it_says(scored):
    wide = scored().pictures[0]
    grid = replace(wide.grid, net_size=replace(wide.grid.net_size, columns=400), crop_px=(0, 0, 800, 300))
    wide = replace(wide, gray=np.zeros((150, 400), np.uint8), grid=grid)
    frame = hang(scored(pictures=(wide,)))[0][1]

    assert frame.scale_bar.text == "20 mm"
    assert frame.scale_bar.length == pytest.approx(20 / 0.07 / 2)


def test_given_missing_views_when_hung_then_each_empty_frame_says_why(scored):
    outcome = scored()
    rejected = replace(outcome.images[3], status=ImageStatus.REJECTED, reason=Reason.TRUNCATED)
    images = (outcome.images[0], outcome.images[1], rejected)
    (right_cc, _), (right_mlo, left_mlo) = hang(
        replace(outcome, images=images, pictures=outcome.pictures[:2])
    )

    assert right_cc.absence == ""
    assert left_mlo.absence == "L MLO: not in this exam"
    assert right_mlo.absence == "R MLO: rejected. the file is cut short"


def test_given_a_scored_exam_when_its_page_is_written_then_all_a_reader_needs_is_on_it(tmp_path, scored):
    flags = (Flag.MISSING_VIEWS,)
    page = shown(text_of(tmp_path, scored(status=ExamStatus.FLAGGED, flags=flags)))

    assert "Research use only. Not a medical device." in page
    assert "Exam score 0.800 Right breast 0.200 Left breast 0.800" in page
    assert "L1 left mass CC, MLO 0.90 0.80 4C upper 0.50 shape irregular, margin spiculated" in page
    assert f"R1 right mass CC only {ABSENT} 0.20 4C" in page
    assert "not all four views are present" in page
    assert "reference 1 abababababab" in page
    assert "cpu, bf16" in page
    assert page.count("1.2.3.") == 4


def test_given_a_decision_when_a_page_is_written_then_each_lesion_has_its_reasons(tmp_path, scored):
    pair, single = scored().lesions
    judged = (replace(pair, contributions={"margin.spiculated": 1.5, "both_views": 0.5, "bias": 1.0}), single)
    page = shown(text_of(tmp_path, scored(lesions=judged)))

    assert "shape irregular, margin spiculated spiculated margin +, seen in both views + R1" in page
    assert "Reasons: what the malignancy rests on" in page


def test_given_benign_scores_when_a_page_is_written_then_they_stand_beside_the_breasts(tmp_path, scored):
    page = shown(text_of(tmp_path, scored(benign_left=0.125, benign_right=None)))

    assert "Right breast 0.200 Left breast 0.800 benign 0.125 Category" in page


def test_given_findings_of_a_detector_only_when_a_page_is_written_then_what_is_not_known_is_a_dash(
    tmp_path, scored
):
    unknown = {"quadrant": None, "depth": None, "malignancy": None, "character": {}}
    pair, single = scored().lesions
    alone = replace(single, cc=replace(single.cc, **unknown))
    page = shown(text_of(tmp_path, scored(lesions=(pair, alone)), bundle_note="detector only: no quadrant."))

    assert f"R1 right mass CC only {ABSENT} 0.20 4C {ABSENT} {ABSENT} {ABSENT}" in page
    assert "detector only: no quadrant." in page
    assert "None" not in page.replace("None of", "")


def test_given_an_unscored_exam_when_its_page_is_written_then_the_reason_stands_before_everything(
    tmp_path, unscored
):
    page = shown(text_of(tmp_path, unscored()))

    reason = page.index("Unassessed: no usable view. None of the exam")
    assert reason < page.index("Exam score") < page.index("Views")
    assert f"Exam score {ABSENT} " in page
    assert "L CC: rejected. Pixel Data holds 10 bytes; expected 20; copy the file again." in page
    assert "No lesion above" not in page


@pytest.mark.parametrize(
    ("bundle", "note", "caution"),
    [
        ("reference 1", "fitted on phantoms only", "fitted on phantoms only"),
        ("phantom-small 2", "", "Fitted on phantoms only"),
    ],
    ids=["said by the caller", "said by the bundle's name"],
)
def test_given_a_bundle_to_be_careful_with_when_a_page_is_written_then_it_says_so_on_top(
    tmp_path, scored, bundle, note, caution
):
    outcome = scored()
    outcome = replace(outcome, provenance=replace(outcome.provenance, bundle=bundle))

    page = shown(text_of(tmp_path, outcome, bundle_note=note))

    assert page.index(caution) < page.index("exam-1")


@pytest.mark.parametrize(
    "exam_id", ["../../etc/x", "a/b", "", "\udce9", "<script>alert(1)</script>"], ids=ascii
)
def test_given_any_exam_id_when_its_page_is_written_then_no_path_is_built_from_it(tmp_path, scored, exam_id):
    path = write_exam_page(tmp_path / "pages", scored(exam_id))

    assert path.parent == tmp_path / "pages"
    assert re.fullmatch(r"[0-9a-f]{16}\.html", path.name)
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == [path.name]


def test_given_markup_and_controls_in_texts_when_a_page_is_written_then_they_are_inert(tmp_path, scored):
    outcome = scored('<script>x</script>"\x1b[2J\u202e')
    lesion = replace(outcome.lesions[0], lesion_id="<img src=x>", category="<b>")
    image = replace(outcome.images[0], message="<svg onload=x>")
    page = text_of(tmp_path, replace(outcome, lesions=(lesion,), images=(image, *outcome.images[1:])))

    assert not re.search(r"<script|<img|<b>|onload=x>", page)
    assert "&lt;script&gt;x&lt;/script&gt;&#34;[2J" in page
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", page)


def test_given_a_page_when_read_then_nothing_is_loaded_and_only_its_own_style_is_allowed(tmp_path, scored):
    page = text_of(tmp_path, scored())

    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1].replace("&#39;", "'")
    style = re.search(r"<style>(.*?)</style>", page, re.S)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:;")
    assert not re.search(r"<script|<link|@import|url\(|style=|src=|https?:", page)
    assert len(re.findall(r'href="data:image/jpeg;base64,', page)) == 4


def test_given_equal_outcomes_when_written_twice_then_the_pages_are_equal(tmp_path, scored):
    assert text_of(tmp_path / "a", scored()) == text_of(tmp_path / "b", scored())


def test_given_more_findings_than_names_fit_when_written_then_all_are_drawn_and_the_page_says_so(
    tmp_path, scored
):
    left = scored().lesions[0]
    lesions = tuple(replace(left, lesion_id=f"L{i}", malignancy=1 - i / 100) for i in range(NAMED + 5))
    page = text_of(tmp_path, scored(lesions=lesions))

    assert page.count('class="box"') == 2 * (NAMED + 5)
    assert page.count('class="plate"') == 2 * NAMED
    assert "Only the most suspicious findings of a view are named" in page
    assert "Only the most suspicious" not in text_of(tmp_path, scored())


def test_given_a_run_when_its_index_is_written_then_counts_reconcile_and_exams_stand_in_reading_order(
    tmp_path, scored, unscored
):
    path = write_exam_page(tmp_path / "pages", scored())
    page = index_of(tmp_path, RUN, scored(), unscored())
    text = shown(page)

    assert "Files seen 30 = 8 used + 2 set aside + 20 rejected" in text
    assert "Exams seen 2 = 1 scored + 0 flagged + 1 unassessed" in text
    assert "decode 3.2, detect 22.0" in text
    assert text.index(f"1 exam-0 {ABSENT} unassessed") < text.index("2 exam-1 2016-05-04 scored 0.800")
    assert "None of the exam" in text
    assert f'<a href="pages/{path.name}">exam-1</a>' in page
    assert slug("exam-0") not in page


def test_given_counts_that_do_not_add_up_when_indexed_then_the_page_says_so(tmp_path, scored):
    run = {"counts": {"files": {"seen": 5, "used": 4}}}

    text = shown(index_of(tmp_path, run, scored()))

    assert "Files seen 5 ≠ 4 used" in text
    assert "These counts do not add up." in text


def test_given_no_exam_and_an_empty_run_when_indexed_then_the_page_is_whole(tmp_path):
    assert "No exam was found in the source." in shown(index_of(tmp_path, {}))


@pytest.mark.parametrize("reason", list(Reason))
def test_given_a_reason_when_shown_then_it_has_words_of_its_own(reason):
    assert " " in reason_words(reason)
    assert "_" not in reason_words(reason)


@pytest.mark.parametrize("flag", list(Flag))
def test_given_a_flag_when_shown_then_it_has_words_of_its_own(flag):
    assert flag_words(flag) != flag.replace("_", " ")


def test_given_a_view_shown_twice_when_hung_then_marks_stay_with_their_own_image(scored):
    outcome = scored()
    elsewhere = replace(outcome.lesions[0].cc, sop_instance_uid="9.9.9")
    moved = replace(outcome.lesions[0], cc=elsewhere)

    rows = hang(replace(outcome, lesions=(moved,)))

    assert {frame.title: len(frame.marks) for row in rows for frame in row} == {
        f"{side} {view}": int((side, view) == ("L", "MLO")) for side in Laterality for view in Position
    }
