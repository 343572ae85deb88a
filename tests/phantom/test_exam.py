from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from mammosweep.errors import ConfigError
from mammosweep.phantom import PhantomConfig, PhantomExam, make_exam
from mammosweep.phantom.draw import Particle, _calcification, _Stage
from mammosweep.phantom.exam import plan_exam
from mammosweep.phantom.generate import truth_rows
from mammosweep.phantom.lesions import MIN_SKIN_MM, quadrant_of
from mammosweep.records import SLOTS, Laterality, LesionType, Position

COARSE = PhantomConfig(spacing_mm=0.4, border_rate=0.0)


@pytest.fixture(scope="module")
def exams() -> list[PhantomExam]:
    config = replace(COARSE, lesion_rate=1.0)
    return [make_exam(5, index, config) for index in range(8)]


def test_the_same_seed_and_index_give_the_same_exam():
    once, again = make_exam(3, 1, COARSE), make_exam(3, 1, COARSE)

    assert once.lesions == again.lesions
    assert once.exam_id == again.exam_id
    for view, twin in zip(once.views, again.views, strict=True):
        np.testing.assert_array_equal(view.pixels, twin.pixels)


def test_another_index_gives_another_patient():
    one, other = make_exam(3, 1, COARSE), make_exam(3, 2, COARSE)

    assert one.exam_id != other.exam_id
    assert one.patient_id == "PHANTOM-3-1"
    assert not np.array_equal(one.views[0].pixels, other.views[0].pixels)


def test_an_exam_has_its_four_views_in_the_order_of_the_slots():
    exam = make_exam(3, 1, COARSE)

    assert tuple((view.laterality, view.position) for view in exam.views) == SLOTS
    assert {view.pixels.shape for view in exam.views} == {(600, 450)}
    assert {view.pixels.dtype for view in exam.views} == {np.dtype(np.uint16)}


def test_the_chest_wall_lies_at_the_declared_edge_and_the_nipple_on_the_outline(exams):
    for view in (view for exam in exams[:4] for view in exam.views):
        breast = view.pixels > 400
        left, right = breast[:, :10].sum(), breast[:, -10:].sum()
        assert (left > 100 * max(right, 1)) == (view.chest_wall == "left")
        x, y = (int(value) for value in view.nipple_px)
        inwards = -1 if view.laterality is Laterality.LEFT else 1
        assert breast[y, x + 8 * inwards]
        assert not breast[y, x - 25 * inwards]


def test_the_muscle_is_the_bright_upper_corner_at_the_chest_wall_of_mlo_only(exams):
    for view in (view for exam in exams[:4] for view in exam.views):
        chest_left = view.pixels if view.laterality is Laterality.LEFT else view.pixels[:, ::-1]
        bright = float(chest_left[20:80, 5:30].mean())
        assert (bright > 1200) == (view.position is Position.MLO)


def test_a_box_holds_what_its_lesion_changed_and_touches_it_on_every_side():
    single = {}
    for index in range(40):
        lesions = plan_exam(5, index, replace(COARSE, lesion_rate=1.0)).lesions
        if len(lesions) == 1:
            single.setdefault(lesions[0].type, index)
    for index in single.values():
        with_lesions = make_exam(5, index, replace(COARSE, lesion_rate=1.0))
        without = make_exam(5, index, replace(COARSE, lesion_rate=0.0))
        side = with_lesions.lesions[0].laterality
        for view, plain in zip(with_lesions.views, without.views, strict=True):
            change = np.abs(view.pixels.astype(np.float32) - plain.pixels)
            if view.laterality is not side:
                assert change.max() == 0
                continue
            x1, y1, x2, y2 = (int(value) for value in view.truths[0].box_px)
            seen = cv2.GaussianBlur(change, (0, 0), 0.5)
            rows, columns = np.nonzero(seen > 0.3 * seen.max())
            found = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert found == pytest.approx((x1, y1, x2, y2), abs=2)
            assert change[y1:y2, x1:x2].sum() > 0.8 * change.sum()
    assert len(single) == len(LesionType)


def test_both_views_of_a_breast_show_each_lesion_at_the_same_depth(exams):
    for exam in exams:
        for lesion in exam.lesions:
            truths = [t for view in exam.views for t in view.truths if t.lesion == lesion]
            assert len(truths) == 2
            assert truths[0].depth == pytest.approx(truths[1].depth)
            assert 0.0 < truths[0].depth < 1.0


def test_depth_agrees_with_the_distance_from_the_nipple_in_the_image(exams):
    for view in (view for exam in exams for view in exam.views):
        for truth in view.truths:
            centre = (truth.box_px[0] + truth.box_px[2]) / 2
            distance_mm = abs(centre - view.nipple_px[0]) * 0.4
            # The breast is 60 to 110 mm deep; a drawn outline's centre may lie off the lesion's by a few mm.
            assert truth.depth * 60 - 4 < distance_mm < truth.depth * 110 + 4


def test_no_lesion_lies_in_the_outermost_millimetres(exams):
    for view in (view for exam in exams for view in exam.views):
        chest_left = view.pixels if view.laterality is Laterality.LEFT else view.pixels[:, ::-1]
        # Below the label; the breast goes on beyond the chest-wall edge and the top.
        tissue = cv2.copyMakeBorder((chest_left > 300).astype(np.uint8), 60, 0, 60, 0, cv2.BORDER_REPLICATE)
        skin_mm = cv2.distanceTransform(tissue, cv2.DIST_L2, 5)[60:, 60:] * 0.4
        for truth in view.truths:
            x, y = ((truth.box_px[i] + truth.box_px[i + 2]) / 2 for i in (0, 1))
            x = x if view.laterality is Laterality.LEFT else 450 - x
            assert skin_mm[int(y), int(x)] >= MIN_SKIN_MM - 3.0


def test_lesions_of_every_type_fate_and_region_occur():
    config = replace(COARSE, lesion_rate=1.0)
    plans = [plan_exam(9, index, config) for index in range(40)]
    lesions = [(plan, lesion) for plan in plans for lesion in plan.lesions]

    assert {(lesion.type, lesion.malignant) for _, lesion in lesions} == {
        (kind, malignant) for kind in LesionType for malignant in (False, True)
    }
    regions = {
        position: {quadrant_of(plan.planes[lesion.laterality][position], lesion) for plan, lesion in lesions}
        for position in Position
    }
    assert regions[Position.CC] == {"outer", "middle", "inner", "areola"}
    assert regions[Position.MLO] == {"upper", "middle", "lower", "axillary_tail", "areola"}


def test_attributes_are_given_where_they_apply_and_nowhere_else(exams):
    rows = [row for exam in exams for row in truth_rows(exam, ["a", "b", "c", "d"])]

    for row in rows:
        assert (row["shape"] is not None) == (row["margin"] is not None) == (row["type"] == "mass")
        assert (row["morphology"] is not None) == (row["type"] == "calcification")
        assert (row["distribution"] is not None) == (row["type"] == "calcification")


def test_a_particle_is_as_large_as_the_pixels_that_it_brightens():
    particle = Particle(length_mm=0.9, width_mm=0.4, gray=1500.0, x_mm=0.03, y_mm=-0.01, tilt=0.7)
    steps = (np.arange(200, dtype=np.float32) - 99.5) * np.float32(0.01)
    stage = _Stage(steps[None, :], steps[:, None], Position.CC)

    brightened = float(_calcification([particle], stage).sum() / 1500 * 0.01**2)

    assert particle.diameter_mm == pytest.approx(np.sqrt(4 / np.pi * brightened), rel=0.01)


def test_a_lesion_free_share_is_kept():
    plans = [plan_exam(2, index, COARSE) for index in range(40)]

    assert 7 <= sum(not plan.lesions for plan in plans) <= 21  # 35 % of 40, give or take 2.3 deviations


@pytest.mark.parametrize("spacing_mm", [0.1, 0.2])
def test_an_exam_looks_the_same_at_any_spacing(spacing_mm):
    coarse = make_exam(4, 2, replace(COARSE, lesion_rate=1.0))
    fine = make_exam(4, 2, replace(COARSE, lesion_rate=1.0, spacing_mm=spacing_mm))

    factor = 0.4 / spacing_mm
    for view, twin in zip(coarse.views, fine.views, strict=True):
        small = cv2.resize(twin.pixels, (450, 600), interpolation=cv2.INTER_AREA).astype(np.float32)
        smooth = [cv2.blur(image, (5, 5)) for image in (small, view.pixels.astype(np.float32))]
        below_label = np.abs(smooth[0] - smooth[1])[60:]
        assert below_label.mean() < 4
        for truth, fine_truth in zip(view.truths, twin.truths, strict=True):
            assert fine_truth.box_px == pytest.approx([v * factor for v in truth.box_px], abs=3 * factor)


def test_monochrome1_is_the_exact_inverse():
    plain, inverse = make_exam(4, 2, COARSE), make_exam(4, 2, replace(COARSE, monochrome1=True))

    for view, twin in zip(plain.views, inverse.views, strict=True):
        np.testing.assert_array_equal(view.pixels, 4095 - twin.pixels)


def test_borders_are_bright_strips_away_from_the_chest_wall():
    config = replace(COARSE, border_rate=1.0)

    for view in make_exam(4, 2, config).views:
        far = -1 if view.chest_wall == "left" else 0
        assert view.pixels[:, far].min() > 3400


@pytest.mark.parametrize(
    ("setting", "value"),
    [("spacing_mm", 0.5), ("bits_stored", 16), ("detector_mm", (100.0, 80.0)), ("lesion_rate", 1.5)],
)
def test_a_setting_out_of_range_is_refused_by_name(setting, value):
    with pytest.raises(ConfigError, match=setting):
        PhantomConfig(**{setting: value})


def test_calcifications_are_counted_and_sized_in_the_truth_and_alike_in_both_views(exams):
    rows = [row for exam in exams for row in truth_rows(exam, ["a", "b", "c", "d"])]
    of_lesion = {}
    for row in rows:
        planted = (row["num_calcifications"], row["calcification_mm"])
        if row["type"] != "calcification":
            assert planted == (None, None)
            continue
        assert 9 <= planted[0] <= 25
        assert 0.3 < planted[1] < 0.8
        of_lesion.setdefault((row["exam_id"], row["lesion_id"]), []).append(planted)
    assert of_lesion
    assert all(len(views) == 2 and len(set(views)) == 1 for views in of_lesion.values())
