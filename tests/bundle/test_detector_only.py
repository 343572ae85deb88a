"""A detector-only bundle sweeps: findings without place and character, each a lesion of its own."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

import mammosweep
from mammosweep.bundle import open_bundle, reference_bundle_path
from mammosweep.bundle.importing.card import DETECTOR_ONLY
from mammosweep.bundle.load import AFTER_DETECTION
from mammosweep.bundle.manifest import read_manifest, write_manifest
from mammosweep.config import DetectConfig, FlipMode, SweepConfig
from mammosweep.phantom import PhantomConfig, Syntax, write_phantoms


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """The shipped bundle's detector."""
    folder = shutil.copytree(reference_bundle_path(), tmp_path_factory.mktemp("alone") / "bundle")
    manifest = read_manifest(folder)
    files = {name: digest for name, digest in manifest.files.items() if name not in AFTER_DETECTION}
    for name in AFTER_DETECTION:
        (folder / name).unlink()
    write_manifest(folder, replace(manifest, files=files, note=DETECTOR_ONLY))
    return folder


@pytest.fixture(scope="module")
def swept(bundle, tmp_path_factory):
    place = tmp_path_factory.mktemp("swept")
    config = PhantomConfig(spacing_mm=0.4, lesion_rate=1.0)
    write_phantoms(place / "archive", exams=2, seed=5, syntaxes=[Syntax.EXPLICIT], config=config)
    settings = SweepConfig(detect=DetectConfig(flips=FlipMode.NONE))
    mammosweep.sweep_to(place / "out", place / "archive", bundle=bundle, config=settings)
    return place / "out"


def rows(out, name):
    return mammosweep.read_table(out, name).to_pylist()


def test_nothing_is_known_of_a_finding_but_what_the_detector_says(swept):
    findings = rows(swept, "findings")

    assert len(findings) >= 4
    for finding in findings:
        unknown = ("malignancy", "shape", "margin", "morphology", "distribution")
        assert {finding[name] for name in unknown} == {None}
        assert finding["place"] == "geometry"  # which needs no bundle
        assert finding["lesion_id"] is not None


def test_each_finding_is_a_lesion_whose_malignancy_is_its_score(swept):
    lesions, findings = rows(swept, "lesions"), rows(swept, "findings")

    key = {(f["exam_id"], f["lesion_id"]): f["score"] for f in findings}
    assert len(key) == len(findings) == len(lesions)
    assert {(les["exam_id"], les["lesion_id"]): les["malignancy"] for les in lesions} == key
    assert {les["match_probability"] for les in lesions} == {None}


def test_scores_are_the_best_findings(swept):
    for exam in rows(swept, "exams"):
        scores = [f["score"] for f in rows(swept, "findings") if f["exam_id"] == exam["exam_id"]]
        assert exam["score"] == pytest.approx(max(scores, default=0.0))


def test_every_page_says_that_it_was_a_detector_only(bundle, swept):
    assert open_bundle(bundle).manifest.note.startswith("detector only:")
    pages = [swept / "index.html", *(swept / "pages").glob("*.html")]

    assert len(pages) == 3
    assert all("detector only: no character" in page.read_text(encoding="utf-8") for page in pages)
