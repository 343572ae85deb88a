"""The shipped bundle: whole, small, honest about itself, and of use on two real exams."""

from __future__ import annotations

import pytest

import mammosweep
from mammosweep.bundle import open_bundle, reference_bundle_path
from mammosweep.bundle.load import BUNDLE_VARIABLE, CARD, VIEWS
from mammosweep.demo import demo_source, write_demo_manifest
from mammosweep.fit.settings import read_settings, recipe_path
from mammosweep.records import LesionType


@pytest.fixture(scope="module")
def shipped():
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(BUNDLE_VARIABLE)
        return open_bundle(reference_bundle_path())


def test_it_takes_no_more_than_30_mb(shipped):
    assert sum(shipped.file(name).stat().st_size for name in shipped.manifest.files) < 30e6


def test_it_does_not_know_calcifications_and_says_whence_it_comes(shipped):
    card = shipped.file(CARD).read_text(encoding="utf-8")

    assert shipped.manifest.lesion_types == (
        LesionType.MASS, LesionType.ASYMMETRY, LesionType.DISTORTION,
    )  # fmt: skip
    assert "no calcifications" in shipped.manifest.note
    assert "10.7937/K9/TCIA.2016.7O02S9CY" in card
    assert "CC BY 3.0" in card
    assert "research" in card


def test_no_patients_pixels_travel_with_it(shipped):
    assert VIEWS not in shipped.manifest.files


def test_it_is_what_its_recipe_makes(shipped):
    settings = read_settings(recipe_path(shipped.manifest.name))

    assert shipped.manifest.detector == settings.network
    assert shipped.manifest.character == settings.character
    assert shipped.manifest.grid_mm == settings.bundle.grid_mm
    assert shipped.manifest.note == settings.bundle.note


def test_of_two_real_exams_it_puts_the_malignant_one_first(shipped, tmp_path):
    manifest = tmp_path / "manifest.csv"
    write_demo_manifest(manifest)

    mammosweep.sweep_to(tmp_path / "out", demo_source(), manifest=manifest, bundle=shipped.folder)

    exams = {row["exam_id"]: row for row in mammosweep.read_table(tmp_path / "out", "exams").to_pylist()}
    findings = mammosweep.read_table(tmp_path / "out", "findings").to_pylist()
    assert exams["demo-malignant"]["score"] > exams["demo-benign"]["score"]
    assert {row["type"] for row in findings} <= set(shipped.manifest.lesion_types)
