"""Several records at a time. Numbers are those of the catalogue of bad and awkward input."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammosweep.archive.exams import assemble
from mammosweep.errors import Flag, Reason
from mammosweep.records import SLOTS, ImageRecord, ImageStatus, Laterality, Position

LCC, RCC, LMLO, RMLO = SLOTS
STUDY = "1.2.3"


def image(slot=LCC, path=None, **values):
    name = "".join(slot)
    defaults = {
        "path": path or f"{name}.dcm",
        "status": ImageStatus.USED,
        "sop_instance_uid": f"{STUDY}.{path or name}",
        "study_instance_uid": STUDY,
        "exam_id": STUDY,
        "patient_key": "0123456789abcdef",
        "study_date": date(2024, 1, 31),
        "laterality": slot[0],
        "view_position": slot[1],
        "transfer_syntax": "1.2.840.10008.1.2.1",
        "rows": 64,
        "columns": 48,
        "spacing_mm": (0.05, 0.05),
    }
    return ImageRecord(**(defaults | values))


def set_aside(reason, **values):
    return image(status=ImageStatus.SET_ASIDE, reason=reason, message="so it is", **values)


def four(**values):
    return [image(slot, **values) for slot in SLOTS]


def never_asked(record):
    raise AssertionError(f"{record.path} was read, though no other file has its UID")


def assembled(*records, **how):
    exams, others = assemble(records, **({"content_digest": never_asked} | how))
    return exams, others


def outcome(exam):
    """Path to reason, None where used."""
    return {found.path: found.reason for found in exam.images}


def test_four_views_make_an_exam_without_flags():
    ((exam,), others) = assembled(*reversed(four()))

    assert [(view.laterality, view.position) for view in exam.views] == list(SLOTS)
    assert (exam.flags, exam.reason, others) == ((), None, [])
    assert (exam.patient_key, exam.study_date) == ("0123456789abcdef", date(2024, 1, 31))


def test_exams_and_their_images_are_ordered_whatever_the_order_of_records():
    records = [*four(), image(path="b", exam_id="9", study_instance_uid="9"), image(path="a", exam_id=None)]

    results = [assembled(*order) for order in itertools.islice(itertools.permutations(records), 0, None, 97)]

    assert all(result == results[0] for result in results)
    assert [exam.exam_id for exam in results[0][0]] == [STUDY, "9"]


def test_records_without_an_exam_are_given_apart():
    stray = image(path="junk", status=ImageStatus.REJECTED, reason=Reason.NOT_DICOM, exam_id=None)

    assert assembled(stray) == ([], [stray])


def test_25_the_same_bytes_twice_are_used_once():
    twin = image(path="copy.dcm", sop_instance_uid=image().sop_instance_uid)

    ((exam,), _) = assembled(*four(), twin, content_digest=lambda record: "same")

    assert outcome(exam)["copy.dcm"] is Reason.DUPLICATE_FILE
    assert exam.flags == (Flag.IMAGES_NOT_USED,)
    assert exam.views[0].path == "LCC.dcm"


def test_26_different_images_under_one_uid_are_both_set_aside():
    twin = image(path="other.dcm", sop_instance_uid=image().sop_instance_uid)

    ((exam,), _) = assembled(*four(), twin, content_digest=lambda record: record.path)

    not_used = {path for path, reason in outcome(exam).items() if reason is Reason.UID_CONFLICT}
    assert not_used == {"LCC.dcm", "other.dcm"}
    assert exam.flags == (Flag.MISSING_VIEWS, Flag.IMAGES_NOT_USED)


def test_26_a_conflict_reaches_across_exams():
    twin = image(path="z.dcm", sop_instance_uid=image().sop_instance_uid, exam_id="other")

    exams, _ = assembled(*four(), twin, content_digest=lambda record: record.path)

    assert [exam.reason for exam in exams] == [None, Reason.UID_CONFLICT]


def test_30_a_study_of_several_patients_is_not_scored():
    stranger = image(RCC, patient_key="fedcba9876543210")

    ((exam,), _) = assembled(image(LCC), stranger, image(LMLO))

    assert exam.reason is Reason.SEVERAL_PATIENTS
    assert "2 patients" in exam.message
    assert set(outcome(exam).values()) == {Reason.SEVERAL_PATIENTS}
    assert (exam.views, exam.patient_key) == ((), None)


def test_30_an_exam_that_a_manifest_put_together_may_have_several_patient_ids():
    films = [image(slot, exam_id="film 7", patient_key=f"{number:016x}") for number, slot in enumerate(SLOTS)]

    ((exam,), _) = assembled(*films)

    assert (len(exam.views), exam.reason, exam.patient_key) == (4, None, None)


def test_31_one_patient_may_have_several_exams():
    later = four(exam_id="1.2.4", study_instance_uid="1.2.4", study_date=date(2026, 1, 31))
    later = [replace(i, path=f"later/{i.path}", sop_instance_uid=f"9.{i.path}") for i in later]

    exams, _ = assembled(*four(), *later)

    assert [exam.study_date for exam in exams] == [date(2024, 1, 31), date(2026, 1, 31)]
    assert {exam.patient_key for exam in exams} == {"0123456789abcdef"}


def test_63_three_views_are_used_and_flagged():
    ((exam,), _) = assembled(*four()[:3])

    assert (len(exam.views), exam.flags, exam.reason) == (3, (Flag.MISSING_VIEWS,), None)


def test_64_extra_views_are_set_aside_and_flagged():
    ((exam,), _) = assembled(*four(), set_aside(Reason.EXTRA_VIEW, path="spot.dcm"))

    assert exam.flags == (Flag.EXTRA_VIEWS, Flag.IMAGES_NOT_USED)


def test_65_of_a_view_taken_twice_the_largest_is_used():
    small = image(path="a.dcm")
    large = image(path="b.dcm", rows=65)

    ((exam,), _) = assembled(small, large, *four()[1:])

    assert outcome(exam)["a.dcm"] is Reason.DUPLICATE_VIEW
    assert exam.views[0].path == "b.dcm"
    assert exam.flags == (Flag.DUPLICATE_VIEWS, Flag.IMAGES_NOT_USED)


def test_65_of_equals_the_last_uid_is_used():
    ((exam,), _) = assembled(
        image(path="a.dcm", sop_instance_uid="1.9"), image(path="b.dcm", sop_instance_uid="1.8"), *four()[1:]
    )

    assert exam.views[0].path == "a.dcm"


def test_67_one_breast_is_flagged():
    ((exam,), _) = assembled(image(LCC), image(LMLO))

    assert exam.flags == (Flag.MISSING_VIEWS, Flag.ONE_BREAST)


def test_68_spacings_that_differ_within_a_breast_are_flagged():
    ((exam,), _) = assembled(image(LCC, spacing_mm=(0.05, 0.1)), *four()[1:])

    assert exam.flags == (Flag.SPACING_DIFFERS,)


def test_68_spacings_may_differ_between_breasts():
    left = [image(slot, spacing_mm=(0.1, 0.1)) for slot in (LCC, LMLO)]

    ((exam,), _) = assembled(*left, image(RCC), image(RMLO))

    assert exam.flags == ()


@pytest.mark.parametrize("allowed", [False, True])
def test_71_for_presentation_is_preferred(allowed):
    raw = image(path="raw.dcm", for_processing=True, rows=9999)

    ((exam,), _) = assembled(*four(), raw, allow_for_processing=allowed)

    assert outcome(exam)["raw.dcm"] is Reason.FOR_PROCESSING
    assert exam.views[0].path == "LCC.dcm"


def test_71_for_processing_alone_is_not_scored():
    ((exam,), _) = assembled(*four(for_processing=True))

    assert (exam.reason, exam.views) == (Reason.FOR_PROCESSING, ())
    assert "expected For Presentation" in exam.message


def test_71_for_processing_alone_is_used_where_the_bundle_allows_it():
    ((exam,), _) = assembled(*four(for_processing=True), allow_for_processing=True)

    assert (len(exam.views), exam.flags) == (4, ())


LOSSY_JPEG, EXTENDED_JPEG = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"


def test_40_8_bit_lossy_jpeg_is_set_aside_unless_the_bundle_allows_it():
    lossy = image(LCC, transfer_syntax=LOSSY_JPEG, flags=(Flag.LOSSY,))

    ((refused,), _) = assembled(lossy, *four()[1:])
    ((allowed,), _) = assembled(lossy, *four()[1:], allow_lossy_jpeg=True)

    assert outcome(refused)["LCC.dcm"] is Reason.LOSSY_NOT_ALLOWED
    assert "expected a lossless copy" in refused.images[0].message
    assert refused.images[0].status is ImageStatus.SET_ASIDE
    assert len(refused.views) == 3
    assert (len(allowed.views), allowed.images[0].flags) == (4, (Flag.LOSSY,))


@pytest.mark.parametrize("syntax", [EXTENDED_JPEG, "image/jpeg"], ids=["12 bit", "raster of a manifest"])
def test_40_other_lossy_images_need_no_leave(syntax):
    ((exam,), _) = assembled(image(LCC, transfer_syntax=syntax), *four()[1:])

    assert len(exam.views) == 4


def test_40_a_lossless_image_of_the_view_is_used_where_the_lossy_one_may_not_be():
    larger = image(LCC, path="lossy.dcm", transfer_syntax=LOSSY_JPEG, rows=9999)

    ((exam,), _) = assembled(*four(), larger)

    assert exam.views[0].path == "LCC.dcm"
    assert outcome(exam)["lossy.dcm"] is Reason.LOSSY_NOT_ALLOWED


def test_an_exam_without_a_usable_view_has_its_images_common_reason():
    ((exam,), _) = assembled(set_aside(Reason.SOP_CLASS, path="a"), set_aside(Reason.SOP_CLASS, path="b"))

    assert (exam.reason, exam.message, exam.flags) == (Reason.SOP_CLASS, "so it is", (Flag.IMAGES_NOT_USED,))


def test_an_exam_whose_images_fail_for_several_reasons_lists_them():
    ((exam,), _) = assembled(set_aside(Reason.SOP_CLASS, path="a"), set_aside(Reason.VIEW_MISSING, path="b"))

    assert exam.reason is Reason.NO_USABLE_VIEW
    assert "2 images can be used (sop_class, view_missing)" in exam.message


RECORDS = st.lists(
    st.builds(
        lambda number, slot, study, own, patient, raw, refused, uid: image(
            slot,
            path=f"{number:02}",
            study_instance_uid=study,
            exam_id=own or study,
            patient_key=patient,
            for_processing=raw,
            sop_instance_uid=uid,
            status=ImageStatus.REJECTED if refused else ImageStatus.USED,
            reason=Reason.TRUNCATED if refused else None,
        ),
        st.integers(0, 99),
        st.tuples(st.sampled_from(Laterality), st.sampled_from(Position)),
        st.sampled_from(["1.1", "1.2"]),
        st.sampled_from([None, "film"]),
        st.sampled_from([None, "aa", "bb"]),
        st.booleans(),
        st.booleans(),
        st.sampled_from([f"7.{n}" for n in range(12)]),
    ),
    max_size=12,
    unique_by=lambda record: record.path,
)


@settings(max_examples=150, deadline=None)
@given(records=RECORDS, allowed=st.booleans())
def test_every_record_ends_in_one_place_with_one_status(records, allowed):
    exams, others = assemble(
        records, content_digest=lambda record: record.path[0], allow_for_processing=allowed
    )

    images = [found for exam in exams for found in exam.images] + others
    assert sorted(found.path for found in images) == sorted(record.path for record in records)
    assert all((found.status is ImageStatus.USED) == (found.reason is None) for found in images)
    for exam in exams:
        used = {found.path for found in exam.images if found.status is ImageStatus.USED}
        assert {view.path for view in exam.views} == used
        assert (exam.reason is None) == bool(used)
