"""Candidates in network pixels become findings in stored pixels, described as far as there are networks."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from mammosweep.bundle import open_bundle, reference_bundle_path
from mammosweep.bundle.load import AFTER_DETECTION
from mammosweep.bundle.manifest import CharacterSpec, read_manifest, write_manifest
from mammosweep.detect.buckets import ExamBatch
from mammosweep.detect.detector import Candidates
from mammosweep.geometry import PixelGrid, Size
from mammosweep.lesion.describe import LesionNetworks, LesionStage, load_lesion_networks
from mammosweep.pixels.detail import Detail
from mammosweep.pixels.normalise import GRAY_RANGE, Landmarks, NormalisedView
from mammosweep.records import SLOTS, Laterality, View
from mammosweep.vocabulary import QUADRANTS

NET = Size(100, 50)
CROP_PX = (20.0, 40.0, 120.0, 240.0)  # 200 x 100 stored pixels: a network pixel is two of them


def view(slot):
    laterality, position = SLOTS[slot]
    return View(
        path=f"{slot}.dcm",
        sop_instance_uid=f"1.2.{slot}",
        laterality=laterality,
        position=position,
        size_px=Size(300, 200),
        spacing_mm=(0.1, 0.2),
        transfer_syntax="1.2.840.10008.1.2.1",
    )


def batch_of(slots, num_slots):
    """Views in four slots of one exam, or each in a slot of its own."""
    present = torch.tensor(
        [[slot in slots for slot in range(4)]] if num_slots == 4 else [[True]] * len(slots)
    )
    grids = tuple(
        PixelGrid(crop_px=CROP_PX, net_size=NET, mirrored=SLOTS[s][0] is Laterality.RIGHT) for s in slots
    )
    pixels = torch.rand(*present.shape, 1, 128, 64, generator=torch.Generator().manual_seed(0))
    return ExamBatch(pixels, present, tuple(view(slot) for slot in slots), grids)


def candidates(num, depth):
    boxes = torch.tensor([[5.0, 10.0, 15.0, 30.0]]).repeat(num, 1)
    labels = torch.arange(num) % 4 + 1
    scores = torch.linspace(0.9, 0.5, num)
    return Candidates(boxes, labels, scores, torch.full((num,), 4), torch.ones(num, depth))


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A bundle of the shipped detector only."""
    folder = shutil.copytree(reference_bundle_path(), tmp_path_factory.mktemp("alone") / "bundle")
    manifest = read_manifest(folder)
    files = {name: digest for name, digest in manifest.files.items() if name not in AFTER_DETECTION}
    write_manifest(folder, replace(manifest, files=files))
    return open_bundle(folder)


@pytest.mark.parametrize("num_slots", [4, 1], ids=["four slots", "one slot"])
def test_boxes_come_back_to_stored_pixels_and_millimetres(num_slots, alone):
    stage = load_lesion_networks(alone)

    left, right = stage(batch_of([0, 3], num_slots), [candidates(1, 8), candidates(1, 8)])

    assert left.box_px == (30.0, 60.0, 50.0, 100.0)
    assert right.box_px == (90.0, 60.0, 110.0, 100.0)  # mirrored within the crop
    assert left.size_mm == pytest.approx((4.0, 4.0))
    assert (left.laterality, left.position, right.laterality, right.position) == ("L", "CC", "R", "MLO")


def test_without_networks_nothing_is_said_of_a_finding(alone):
    findings = load_lesion_networks(alone)(batch_of([0], 1), [candidates(4, 8)])

    assert [str(f.type) for f in findings] == ["mass", "calcification", "asymmetry", "distortion"]
    assert [f.score for f in findings] == pytest.approx([0.9, 0.7667, 0.6333, 0.5], abs=1e-4)
    assert {(f.malignancy, str(f.character), str(f.character_scores)) for f in findings} == {
        (None, "{}", "{}")
    }
    assert {(f.quadrant, f.depth, f.place) for f in findings} == {(None, None, None)}  # no nipple is known


@pytest.mark.parametrize("num_slots", [4, 1], ids=["four slots", "one slot"])
def test_with_networks_each_finding_has_its_place_and_character(num_slots):
    bundle = open_bundle()
    depth = bundle.manifest.detector.representation

    findings = load_lesion_networks(bundle)(
        batch_of([1, 2], num_slots), [candidates(2, depth), candidates(3, depth)]
    )

    assert [f.sop_instance_uid for f in findings] == ["1.2.1"] * 2 + ["1.2.2"] * 3
    for finding in findings:
        assert finding.quadrant in QUADRANTS[finding.position]
        assert 0 <= finding.depth <= 1
        assert 0 <= finding.malignancy <= 1
    assert [len(f.character) for f in findings] == [2, 2, 2, 2, 0]


def test_a_view_without_candidates_has_no_findings(alone):
    assert load_lesion_networks(alone)(batch_of([0], 4), [candidates(0, 8)]) == ()


def read(slot, *, detail):
    """A view as the reader gives it, its nipple at the right of the middle."""
    stored = np.random.default_rng(0).integers(0, 4000, size=(240, 120)).astype(np.uint16)
    grid = PixelGrid(crop_px=CROP_PX, net_size=NET, mirrored=SLOTS[slot][0] is Laterality.RIGHT)
    kept = Detail(
        stored=stored, table=np.linspace(0, 1, 65536, dtype=np.float32), gray_low=0.0, gray_high=0.05,
        rectangle_px=CROP_PX, pixel_mm=(0.1, 0.1), mirrored=grid.mirrored, gray_range=GRAY_RANGE,
    )  # fmt: skip
    gray = np.full((NET.rows, NET.columns), 0.5, np.float32)
    return NormalisedView(gray, grid, Landmarks((120.0, 120.0), 0.9, 0.9), kept if detail else None)


@pytest.fixture(scope="module")
def sees_crops():
    """A stage whose character network sees crops, with random weights and no networks for place."""
    torch.manual_seed(0)
    spec = CharacterSpec(crop_mm=8.0, crop_px=32)
    return LesionStage(LesionNetworks(8, spec, with_place=False).eval(), 0.2, spec)


def test_crops_are_cut_from_the_breasts_own_pixels(sees_crops):
    batch, found = batch_of([0], 1), [candidates(2, 8)]
    (asked,) = batch.views

    with_detail = sees_crops(batch, found, {asked: read(0, detail=True)})

    assert len(with_detail) == 2
    assert all(0 < f.malignancy < 1 for f in with_detail)
    with pytest.raises(ValueError, match="the views were read without detail"):
        sees_crops(batch, found, {asked: read(0, detail=False)})


def test_without_networks_for_place_geometry_tells_it(sees_crops):
    batch = batch_of([0], 1)

    (finding,) = sees_crops(batch, [candidates(1, 8)], {batch.views[0]: read(0, detail=True)})

    assert finding.place == "geometry"
    assert finding.quadrant in QUADRANTS[finding.position]
    assert 0 <= finding.depth <= 1
    assert finding.nipple_mm > 0
