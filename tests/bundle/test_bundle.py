"""A bundle is what its manifest says, or it is refused."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from mammosweep.bundle import open_bundle, reference_bundle_path
from mammosweep.bundle.load import AFTER_DETECTION, DETECTOR, LESION, MATCHER, VIEWS
from mammosweep.bundle.manifest import MANIFEST_NAME, read_manifest, write_manifest
from mammosweep.config import SweepConfig
from mammosweep.errors import BundleError
from mammosweep.lesion.describe import load_lesion_networks
from mammosweep.pipeline import load_stages


@pytest.fixture
def folder(tmp_path):
    """A copy of the shipped bundle."""
    return shutil.copytree(reference_bundle_path(), tmp_path / "bundle")


def edit(folder, old, new):
    path = folder / MANIFEST_NAME
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_the_shipped_bundle_is_whole_and_says_what_it_was_fitted_on():
    bundle = open_bundle()

    assert "phantom" in bundle.manifest.fitted_on
    assert "phantoms only" in bundle.manifest.note
    assert len(bundle.digest) == 64
    assert "Fitted on synthetic phantoms only" in (bundle.folder / "MODEL_CARD.md").read_text(
        encoding="utf-8"
    )


def test_a_manifest_comes_back_as_it_was_written(folder):
    manifest = read_manifest(folder)

    write_manifest(folder, manifest)

    assert read_manifest(folder) == manifest


@pytest.mark.parametrize("name", [DETECTOR, MATCHER, VIEWS])
def test_a_changed_file_is_refused_by_name(folder, name):
    data = bytearray((folder / name).read_bytes())
    data[-1] ^= 1
    (folder / name).write_bytes(data)

    with pytest.raises(BundleError, match=f"{name} has SHA-256"):
        open_bundle(folder)


def test_a_missing_file_is_refused_by_name(folder):
    (folder / DETECTOR).unlink()

    with pytest.raises(BundleError, match=f"{DETECTOR} cannot be read"):
        open_bundle(folder)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("schema_version = 1", "schema_version = 2", "not of schema version 1"),
        ("grid_mm = 0.4", "grid_mm = 40", "grid_mm must lie in"),
        ('"mass"', '"lump"', "missing or wrong value: 'lump'"),
        ("grid_mm", "grid", "missing or wrong value"),
        ("name = ", "name == ", "cannot be read"),
    ],
    ids=["schema", "grid", "type", "key", "toml"],
)
def test_a_wrong_manifest_is_refused_in_one_sentence(folder, old, new, said):
    edit(folder, old, new)

    with pytest.raises(BundleError, match=said) as caught:
        open_bundle(folder)

    assert str(folder) in str(caught.value)


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path):
    with pytest.raises(BundleError, match=MANIFEST_NAME):
        open_bundle(tmp_path)


def without(folder, names):
    """The bundle lists these files no more."""
    manifest = read_manifest(folder)
    files = {name: digest for name, digest in manifest.files.items() if name not in names}
    write_manifest(folder, replace(manifest, files=files))


def test_a_bundle_may_be_a_detector_only(folder):
    assert not open_bundle(folder).is_detector_only

    without(folder, AFTER_DETECTION)

    assert open_bundle(folder).is_detector_only


@pytest.mark.parametrize("missing", [(LESION,), (LESION, MATCHER)], ids=str)
def test_a_part_of_what_comes_after_detection_is_refused_in_one_sentence(missing, folder):
    without(folder, missing)

    with pytest.raises(BundleError, match=f"lists no {' and no '.join(missing)}; a bundle has all of"):
        open_bundle(folder)


def test_a_bundle_without_a_detector_is_refused(folder):
    without(folder, (DETECTOR,))

    with pytest.raises(BundleError, match=f"lists no {DETECTOR}"):
        open_bundle(folder)


def test_an_aggregation_that_nobody_knows_is_named(folder):
    edit(folder, 'aggregation = "max"', 'aggregation = "sum"')

    with pytest.raises(BundleError, match=r"aggregation is 'sum'; expected one of max, view_max"):
        load_stages(SweepConfig(), folder)


def test_a_trunk_that_nobody_knows_is_a_wrong_bundle(folder):
    text = (folder / MANIFEST_NAME).read_text(encoding="utf-8")
    (folder / MANIFEST_NAME).write_text(
        text + '\n[character]\ncrop_mm = 32.0\ncrop_px = 96\ntrunk = "no_such_trunk"\n', encoding="utf-8"
    )

    with pytest.raises(BundleError, match=r"lesion.safetensors does not fit its networks: .*no_such_trunk"):
        load_lesion_networks(open_bundle(folder))


def test_a_bundle_that_changes_while_it_is_loaded_is_refused(folder, monkeypatch):
    from mammosweep import pipeline

    load = pipeline.load_lesion_networks

    def meanwhile(bundle, device):
        loaded = load(bundle, device)
        manifest = bundle.file(MANIFEST_NAME)
        manifest.write_text(manifest.read_text().replace("match_threshold = 0.", "match_threshold = 0.0"))
        return loaded

    monkeypatch.setattr(pipeline, "load_lesion_networks", meanwhile)

    with pytest.raises(BundleError, match="was changed while it was loaded"):
        load_stages(SweepConfig(), folder)
