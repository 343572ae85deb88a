"""An exam's way: what each view's pixels reveal costs that view, never the exam, never another."""

from __future__ import annotations

import pydicom
import pytest

import mammosweep
from mammosweep.archive import index
from mammosweep.archive.source import open_source
from mammosweep.config import ArchiveConfig, DetectConfig, FlipMode, SweepConfig
from mammosweep.phantom import PhantomConfig, Syntax, write_phantoms
from mammosweep.pipeline import load_stages, screen_all

QUICK = SweepConfig(detect=DetectConfig(flips=FlipMode.NONE))


@pytest.fixture(scope="module")
def stages():
    loaded = load_stages(QUICK)
    yield loaded
    loaded.close()


@pytest.fixture
def archive(tmp_path):
    config = PhantomConfig(spacing_mm=0.4)
    write_phantoms(tmp_path / "archive", exams=1, seed=3, syntaxes=[Syntax.EXPLICIT], config=config)
    return tmp_path / "archive"


def screened(archive, stages):
    catalog = index(archive, config=ArchiveConfig(workers=1))
    (outcome,) = screen_all(catalog.exams(), open_source(archive), stages)
    return outcome


def spoil(path, **attributes):
    dataset = pydicom.dcmread(path)
    for name, value in attributes.items():
        setattr(dataset, name, value)
    dataset.save_as(path)


def blank(path):
    dataset = pydicom.dcmread(path)
    spoil(path, PixelData=b"\x64\x00" * (dataset.Rows * dataset.Columns))


def test_a_whole_exam_is_scored_with_both_breasts_and_four_pictures(archive, stages):
    outcome = screened(archive, stages)

    assert str(outcome.status) == "scored"
    assert outcome.score == max(outcome.score_left, outcome.score_right)
    assert [(p.laterality, p.position) for p in outcome.pictures] == [
        ("L", "CC"), ("R", "CC"), ("L", "MLO"), ("R", "MLO"),
    ]  # fmt: skip
    assert [p.grid.mirrored for p in outcome.pictures] == [False, True, False, True]


def test_53_a_blank_view_is_set_aside_and_the_exam_flagged(archive, stages):
    blank(next(archive.rglob("LCC.dcm")))

    outcome = screened(archive, stages)

    (image,) = [image for image in outcome.images if image.reason is not None]
    assert (image.path[-7:], str(image.status), str(image.reason)) == ("LCC.dcm", "set_aside", "blank_image")
    assert {"missing_views", "images_not_used"} <= {str(flag) for flag in outcome.flags}
    assert outcome.score is not None


def test_53_an_exam_of_blank_views_is_not_scored(archive, stages):
    for path in archive.rglob("*.dcm"):
        blank(path)

    outcome = screened(archive, stages)

    assert (str(outcome.status), str(outcome.reason), outcome.score) == ("not_scored", "blank_image", None)
    assert "every pixel has the stored value 100" in outcome.message
    assert "images_not_used" in {str(flag) for flag in outcome.flags}


def test_views_that_fail_for_different_reasons_leave_no_usable_view(archive, stages):
    paths = sorted(archive.rglob("*.dcm"))
    for path in paths[:2]:
        blank(path)
    catalog = index(archive, config=ArchiveConfig(workers=1))
    for path in paths[2:]:
        path.unlink()

    (outcome,) = screen_all(catalog.exams(), open_source(archive), stages)

    assert str(outcome.reason) == "no_usable_view"
    assert "(blank_image, file_missing)" in outcome.message
    assert [str(image.reason) for image in outcome.images] == ["blank_image"] * 2 + ["file_missing"] * 2


@pytest.mark.parametrize(
    ("spacing_mm", "reason"),
    [(0.19, "crop_too_large"), (0.5, "breast_implausible")],
    ids=["canvas", "detector"],
)
def test_a_breast_larger_than_any_canvas_or_detector_is_set_aside(spacing_mm, reason, archive, stages):
    for path in archive.rglob("?CC.dcm"):
        path.unlink()
    for path in archive.rglob("*.dcm"):
        spoil(path, ImagerPixelSpacing=[spacing_mm] * 2)
        dataset = pydicom.dcmread(path)
        pixels = dataset.pixel_array.repeat(3, axis=0).repeat(3, axis=1)
        spoil(path, Rows=pixels.shape[0], Columns=pixels.shape[1], PixelData=pixels.tobytes())

    outcome = screened(archive, stages)

    assert (str(outcome.status), str(outcome.reason)) == ("not_scored", reason)


def test_an_error_that_nobody_foresaw_costs_one_view(archive, stages, monkeypatch):
    from mammosweep.pixels import views

    real = views.normalise

    def failing(frame, spacing_mm, grid_mm, **options):
        if frame.stored[:, 0].sum() > frame.stored[:, -1].sum():  # a left breast
            raise ZeroDivisionError("Surname^Given")
        return real(frame, spacing_mm, grid_mm, **options)

    monkeypatch.setattr(views, "normalise", failing)

    outcome = screened(archive, stages)

    failed = [image for image in outcome.images if image.reason is not None]
    assert {str(image.reason) for image in failed} == {"unexpected_error"}
    assert all("ZeroDivisionError" in image.message and "Surname" not in image.message for image in failed)
    assert len(outcome.pictures) == 2
    assert str(outcome.status) == "flagged"


def test_exams_come_in_their_order_however_many_are_read_ahead(tmp_path, stages):
    config = PhantomConfig(spacing_mm=0.4)
    write_phantoms(tmp_path, exams=5, seed=8, syntaxes=[Syntax.JPEG2000, Syntax.RLE], config=config)
    exams = index(tmp_path, config=ArchiveConfig(workers=1)).exams()

    together = list(screen_all(exams, open_source(tmp_path), stages))
    alone = [next(screen_all([exam], open_source(tmp_path), stages)) for exam in exams]

    assert [outcome.exam_id for outcome in together] == [exam.exam_id for exam in exams]
    assert [outcome.score for outcome in together] == [outcome.score for outcome in alone]


def test_a_consumer_that_stops_early_leaves_the_reader_usable(tmp_path, stages):
    config = PhantomConfig(spacing_mm=0.4)
    write_phantoms(tmp_path, exams=5, seed=8, syntaxes=[Syntax.EXPLICIT], config=config)
    exams = index(tmp_path, config=ArchiveConfig(workers=1)).exams()

    for _ in range(4):
        outcomes = screen_all(exams, open_source(tmp_path), stages)
        assert next(outcomes).score is not None
        outcomes.close()


def test_polarity_makes_no_difference_to_a_score(tmp_path, stages):
    scores = []
    for inverted in (False, True):
        config = PhantomConfig(spacing_mm=0.4, lesion_rate=1.0, monochrome1=inverted)
        folder = tmp_path / str(inverted)
        write_phantoms(folder, exams=1, seed=3, syntaxes=[Syntax.EXPLICIT], config=config)
        (outcome,) = mammosweep.sweep(folder, config=QUICK)
        scores.append(outcome.score)

    assert scores[0] == pytest.approx(scores[1], abs=0.02)
