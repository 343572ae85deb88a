"""A sweep beside its truth: cases small enough to count by hand."""

from __future__ import annotations

import pytest

from mammosweep.errors import ConfigError
from mammosweep.evaluate.agreement import pairing
from mammosweep.evaluate.evaluation import Settings, evaluate
from mammosweep.evaluate.lesions import breasts
from mammosweep.evaluate.study import join
from mammosweep.evaluate.subgroups import read_about
from mammosweep.records import LesionType

LESION, SECOND, ELSEWHERE = (10, 10, 30, 30), (50, 50, 80, 80), (200, 200, 220, 220)
FEW = Settings(num_bootstraps=50)


def run(desk, settings=FEW, *, unlisted_clean=False, **more):
    return evaluate(desk.tables, desk.truth(unlisted_clean=unlisted_clean), settings, **more)


def at(evaluation, curve, rate):
    (point,) = [p for p in evaluation.curve(curve).points if p.false_positives_per_image == rate]
    return point.sensitivity


def test_images_that_the_truth_does_not_name_are_left_out_or_clean_as_asked(desk):
    desk.exam("A").true("A L CC", "1", LESION).found("A R CC", "R1", ELSEWHERE, 0.9)

    ignored, clean = run(desk), run(desk, unlisted_clean=True)

    assert (ignored.counts.images, ignored.counts.images_unlisted, ignored.counts.findings) == (1, 3, 0)
    assert (clean.counts.images, clean.counts.images_unlisted, clean.counts.findings) == (4, 0, 1)


def test_only_the_exams_that_the_truth_knows_whole_are_clean(desk):
    desk.exam("A").exam("B").true("A L CC", "1", LESION)

    found = evaluate(desk.tables, desk.truth(unlisted_clean=True, exams={"A": {"density": "b"}}), FEW)

    assert (found.counts.exams, found.counts.images, found.counts.images_unlisted) == (1, 4, 4)


def test_images_of_the_truth_that_were_not_used_are_counted_by_reason(desk):
    desk.exam("A").true("A L CC", "1", LESION).true("A L MLO", "1", LESION).true("gone L CC", "1", LESION)
    desk.images["A L MLO"] |= {"status": "rejected", "reason": "no_breast"}

    found = run(desk)

    assert found.counts.images_not_read == {"no_breast": 1, "not in the sweep": 1}
    assert dict(found.not_read) == {"A L MLO": "no_breast", "gone L CC": "not in the sweep"}
    assert found.counts.images == 1


def test_an_image_is_found_by_its_uid_where_its_path_differs(desk):
    desk.exam("A").clean("A L CC")
    desk.images["A L CC"]["path"] = "elsewhere/1.dcm"
    truth = desk.truth()
    (image,) = truth.images
    image = type(image)(path=image.path, sop_instance_uid="uid A L CC")

    found = join(desk.tables, type(truth)(images=(image,), unlisted_clean=False, exams={}))

    assert [one.path for one in found.images] == ["elsewhere/1.dcm"]


def test_a_truth_of_another_sweep_is_refused(desk):
    desk.exam("A").clean("B L CC")

    with pytest.raises(ConfigError, match="none of the sweep's 4 used images is named by the truth's 1"):
        run(desk)


def test_a_lesion_seen_in_one_view_is_found_for_the_breast(desk):
    desk.exam("A", views=("L CC", "L MLO")).true("A L CC", "1", LESION).true("A L MLO", "1", LESION)
    desk.found("A L CC", "L1", LESION, 0.9)

    found = run(desk)

    assert [at(found, name, 0.5) for name in ("all views", "CC", "MLO", "per breast")] == [0.5, 1.0, 0.0, 1.0]
    assert (found.curve("all views").num_lesions, found.curve("per breast").num_lesions) == (2, 1)


def test_a_lesion_of_a_breast_counts_at_the_score_of_its_matched_lesion(desk):
    """Two images. The weak hit (0.3) is matched with a strong one (0.8); a false mark lies between (0.5)."""
    desk.exam("A", views=("L CC", "L MLO")).true("A L CC", "1", LESION).true("A L MLO", "1", LESION)
    desk.found("A L CC", "L1", LESION, 0.3).found("A L MLO", "L1", LESION, 0.8)
    desk.found("A L CC", "L2", ELSEWHERE, 0.5)

    found = run(desk)

    # One false mark in two images is more than 0.25 an image: scores must lie above 0.5.
    assert (at(found, "CC", 0.25), at(found, "per breast", 0.25)) == (0.0, 1.0)


def test_what_a_wrong_link_marks_is_false_at_the_score_of_its_lesion(desk):
    """The MLO finding hits nothing, but is linked with a hit of 0.9: false before a lone mark of 0.6 is."""
    desk.exam("A", views=("L CC", "L MLO"))
    desk.true("A L CC", "1", LESION).true("A L CC", "2", SECOND).clean("A L MLO")
    desk.found("A L CC", "L1", LESION, 0.9).found("A L MLO", "L1", ELSEWHERE, 0.1)
    desk.found("A L CC", "L2", SECOND, 0.7)

    found = run(desk)

    assert at(found, "all views", 0.25) == 1.0
    assert at(found, "per breast", 0.25) == 0.0
    assert at(found, "per breast", 0.5) == 1.0


def test_links_are_judged_by_the_lesions_that_they_hit(desk):
    both = ("L CC", "L MLO")
    for exam_id in "ABCDE":
        desk.exam(exam_id, views=both)
    for exam_id in "ABCD":
        for view in both:
            desk.true(f"{exam_id} {view}", "1", LESION).true(f"{exam_id} {view}", "2", SECOND)
    desk.clean("E L CC", "E L MLO")
    desk.found("A L CC", "L1", LESION, 0.9).found("A L MLO", "L1", LESION, 0.9)  # right
    desk.found("B L CC", "L1", LESION, 0.9).found("B L MLO", "L1", SECOND, 0.9)  # crossed
    desk.found("C L CC", "L1", LESION, 0.9).found("C L MLO", "L2", LESION, 0.9)  # seen twice, not linked
    desk.found("D L CC", "L1", LESION, 0.9).found("D L MLO", "L1", ELSEWHERE, 0.9)  # linked with nothing
    desk.found("E L CC", "L1", ELSEWHERE, 0.9).found("E L MLO", "L1", ELSEWHERE, 0.9)  # two false marks

    found = run(desk).pairing

    counts = {
        name: (getattr(found, name).num_positive, getattr(found, name).num)
        for name in ("precision", "precision_of_all", "recall_of_found", "recall_of_annotated")
    }
    assert counts == {
        "precision": (1, 3),
        "precision_of_all": (1, 4),
        "recall_of_found": (1, 2),
        "recall_of_annotated": (1, 8),
    }


def test_a_lesion_without_an_id_leaves_its_link_unjudged(desk):
    desk.exam("A", views=("L CC", "L MLO"))
    for number, view in enumerate(("L CC", "L MLO")):
        desk.true(f"A {view}", f"row {number}", LESION, linked=False).found(f"A {view}", "L1", LESION, 0.9)

    found = pairing(breasts(join(desk.tables, desk.truth())))

    assert (found.precision_of_all.num, found.recall_of_annotated.num) == (0, 0)


def test_place_is_that_of_the_best_finding_on_each_view(desk):
    desk.exam("A", views=("L CC", "L MLO"))
    desk.true("A L CC", "1", LESION, quadrant="outer", depth=0.5)
    desk.true("A L MLO", "1", LESION, quadrant="upper", depth=0.5)
    desk.found("A L CC", "L1", LESION, 0.4, quadrant="inner", depth=0.9)
    desk.found("A L CC", "L2", (11, 11, 29, 29), 0.9, quadrant="outer", depth=0.6)
    desk.found("A L MLO", "L2", LESION, 0.9, quadrant="lower", depth=0.2)

    found = run(desk).place

    assert (found.quadrant_accuracy.num_positive, found.quadrant_accuracy.num) == (1, 2)
    assert found.depth_error.value == pytest.approx((0.1 + 0.3) / 2)


def test_categories_are_compared_with_assessments_of_found_lesions(desk):
    desk.exam("A").exam("B").exam("C").exam("D")
    desk.true("A L CC", "1", LESION, assessment="4").found("A L CC", "L1", LESION, 0.9, category="4C")
    desk.true("B L CC", "1", LESION, assessment="2").found("B L CC", "L1", LESION, 0.9, category="3")
    desk.true("C L CC", "1", LESION, assessment="0").found("C L CC", "L1", LESION, 0.9, category="2")
    desk.true("D L CC", "1", LESION, assessment="5")

    found = run(desk).categories

    assert (found.table[3][3], found.table[2][1], sum(map(sum, found.table)), found.num_left_out) == (
        1,
        1,
        2,
        1,
    )


def test_without_assessments_there_is_no_agreement(desk):
    desk.exam("A").true("A L CC", "1", LESION)

    assert run(desk).categories is None


def test_a_breast_of_which_the_pathology_is_not_known_is_no_case(desk):
    desk.exam("A", scores=(0.9, 0.2)).exam("B", scores=(0.3, 0.1))
    desk.true("A L CC", "1", LESION, malignant=None).clean("A R CC")
    desk.true("B L CC", "1", LESION, malignant=None).true("B L CC", "2", SECOND, malignant=True)

    lesions, breast, exams = run(desk).roc

    assert (lesions.area.num, breast.area.num, exams.area.num) == (0, 2, 1)
    assert exams.area.num_positive == 1


def test_an_overlap_can_be_asked_of_a_hit(desk):
    desk.exam("A").true("A L CC", "1", LESION).found("A L CC", "L1", (18, 18, 22, 22), 0.9)

    centre, overlap = run(desk), run(desk, Settings(iou=0.5, num_bootstraps=50))

    assert (centre.counts.lesions_found, overlap.counts.lesions_found) == (1, 0)


def test_the_clinics_figures_are_those_of_its_making(clinic):
    found = evaluate(clinic.tables, clinic.truth(unlisted_clean=True), Settings(num_bootstraps=100))

    assert (found.counts.exams, found.counts.lesions, found.counts.lesions_found) == (48, 48, 42)
    assert found.curve("per breast").points[-1].sensitivity == pytest.approx(42 / 48)
    assert found.pairing.precision.value == 1.0
    assert found.pairing.recall_of_annotated.num_positive == 42
    assert found.place.quadrant_accuracy.value == 1.0
    assert 0.7 < found.roc[0].area.value < 1.0
    assert found.categories.kappa_quadratic.num == 42


def test_a_subgroup_with_too_few_cases_has_numbers_and_a_reason_but_no_figure(clinic):
    found = evaluate(clinic.tables, clinic.truth(unlisted_clean=True), Settings(num_bootstraps=100))

    sets = {one.by: {group.name: group for group in one.groups} for one in found.subgroups}
    small = sets["vendor"]["v2"]
    assert (small.num_exams, small.num_malignant, small.lesion_area.value) == (8, 4, None)
    assert small.lesion_area.why == "fewer than 10 malignant lesions"
    assert sets["vendor"]["v1"].lesion_area.value is not None
    assert sets["vendor"]["v1"].lesion_area.num_positive >= 10
    assert set(sets["breast density"]) == {"a", "b"}
    assert set(sets["lesion type"]) == {"mass"}
    assert set(sets["lesion size"]) == {"20 mm and more"}
    assert [one.why for one in found.subgroups if one.by == "age"] == [
        "neither the sweep nor the truth says it of any exam"
    ]


def test_sensitivities_of_subgroups_at_one_score_average_to_that_of_all(clinic):
    clinic.marks["E0 L CC"][0] = type(clinic.marks["E0 L CC"][0])(
        lesion_id="1", linked=True, box_px=(10, 10, 40, 50), type=LesionType.ASYMMETRY, malignant=True
    )
    found = evaluate(clinic.tables, clinic.truth(unlisted_clean=True), Settings(num_bootstraps=100))

    (density,) = [one for one in found.subgroups if one.by == "breast density"]
    hits = sum(group.sensitivity.value * group.sensitivity.num for group in density.groups)
    assert hits / 96 == pytest.approx(at(found, "all views", 1.0))


def test_what_a_table_says_of_exams_overrides_the_truth(clinic, tmp_path):
    rows = "".join(f"E{i},{'041Y' if i % 2 else '63'},x\n" for i in range(48))
    (tmp_path / "about.csv").write_text(f"exam_id,age,manufacturer\n{rows}")

    about = read_about(tmp_path / "about.csv")
    found = evaluate(
        clinic.tables, clinic.truth(unlisted_clean=True), Settings(num_bootstraps=50), about=about
    )

    sets = {one.by: [(group.name, group.num_exams) for group in one.groups] for one in found.subgroups}
    assert sets["age"] == [("40 to 49", 24), ("60 to 69", 24)]
    assert sets["vendor"] == [("x", 48)]


def test_a_subgroup_table_without_its_columns_is_refused(tmp_path):
    (tmp_path / "about.csv").write_text("exam,ages\nE1,50\n")

    with pytest.raises(ConfigError, match="expected exam_id and any of density, vendor, age"):
        read_about(tmp_path / "about.csv")


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"iou": 1.5}, "the overlap of a hit is 1.5"), ({"num_bootstraps": 0}, "bootstrap samples is 0")],
    ids=["overlap", "bootstraps"],
)
def test_settings_out_of_range_are_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        Settings(**settings)
