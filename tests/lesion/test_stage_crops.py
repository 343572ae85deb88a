"""The stage cuts a finding's crop out of its view's detail, and measures calcifications on its own pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mammosweep.bundle.manifest import CharacterSpec
from mammosweep.detect.buckets import ExamBatch
from mammosweep.detect.detector import Candidates
from mammosweep.geometry import Size
from mammosweep.lesion.calcification import FEATURE_NAMES
from mammosweep.lesion.describe import LesionNetworks, LesionStage
from mammosweep.phantom import PhantomConfig
from mammosweep.phantom.exam import make_exam
from mammosweep.pixels.frame import Frame
from mammosweep.pixels.normalise import normalise
from mammosweep.records import LESION_TYPES, LesionType, View

GRID_MM = 0.8
CONFIG = PhantomConfig(spacing_mm=0.2, lesion_rate=1.0)
SPEC = CharacterSpec(crop_mm=24.0, crop_px=48)
D = 8


def exam_with(kind):
    """A phantom exam that holds a lesion of this type, and the view that shows it."""
    for index in range(40):
        exam = make_exam(5, index, CONFIG)
        for view in exam.views:
            for truth in view.truths:
                if truth.lesion.type is kind:
                    return view, truth
    raise AssertionError(f"no {kind} in 40 phantoms")


@pytest.fixture(scope="module")
def shown():
    """A view of calcifications, read with its detail, as the stage gets it."""
    phantom, truth = exam_with(LesionType.CALCIFICATION)
    table = np.clip(np.arange(65536, dtype=np.float32) / CONFIG.max_value, 0, 1)
    stored = np.ascontiguousarray(phantom.pixels)
    view = View(
        path="a.dcm", sop_instance_uid="1.2.3", laterality=phantom.laterality, position=phantom.position,
        size_px=Size(*stored.shape), spacing_mm=(CONFIG.spacing_mm,) * 2,
        transfer_syntax="1.2.840.10008.1.2.1",
    )  # fmt: skip
    frame = Frame(stored=stored, table=table, size_px=view.size_px)
    read = normalise(frame, view.spacing_mm, GRID_MM, keep_detail=True)
    pixels = torch.full((1, 1, 1, 352, 256), -0.5)
    rows, columns = read.grid.net_size.rows, read.grid.net_size.columns
    pixels[0, 0, 0, :rows, :columns] = torch.from_numpy(read.gray)
    return ExamBatch(pixels, torch.tensor([[True]]), (view,), (read.grid,)), view, read, truth


def candidates(grid, box_px, kinds):
    boxes = torch.from_numpy(grid.to_network(np.array([box_px])).astype(np.float32)).repeat(len(kinds), 1)
    labels = torch.tensor([1 + LESION_TYPES.index(kind) for kind in kinds])
    return Candidates(
        boxes, labels, torch.ones(len(kinds)), torch.full((len(kinds),), 4), torch.zeros(len(kinds), D)
    )


def stage(*, measure=False, spec=SPEC):
    torch.manual_seed(1)
    return LesionStage(LesionNetworks(D, spec, with_place=False).eval(), GRID_MM, spec, measure)


def test_without_place_networks_geometry_gives_the_place(shown):
    batch, view, read, truth = shown

    (finding,) = stage()(batch, [candidates(read.grid, truth.box_px, [LesionType.MASS])], {view: read})

    assert finding.place == "geometry"
    assert finding.depth == pytest.approx(truth.depth, abs=0.15)
    assert finding.nipple_mm > 0
    assert 0 <= finding.malignancy <= 1
    assert set(finding.character) == {"shape", "margin"}


def test_crops_need_detail(shown):
    batch, _, read, truth = shown

    with pytest.raises(ValueError, match="read without detail"):
        stage()(batch, [candidates(read.grid, truth.box_px, [LesionType.MASS])], {})


def test_only_calcifications_are_measured_and_only_where_the_bundle_says_so(shown):
    batch, view, read, truth = shown
    found = [candidates(read.grid, truth.box_px, [LesionType.CALCIFICATION, LesionType.MASS])]

    calcification, mass = stage(measure=True)(batch, found, {view: read})
    unmeasured, _ = stage()(batch, found, {view: read})

    assert calcification.calcification
    assert set(calcification.calcification) <= set(FEATURE_NAMES)
    assert mass.calcification == {}
    assert unmeasured.calcification == {}


def test_company_does_not_change_a_finding(shown):
    batch, view, read, truth = shown
    alone, crowded = (
        stage()(batch, [candidates(read.grid, truth.box_px, kinds)], {view: read})[0]
        for kinds in ([LesionType.MASS], [LesionType.MASS] * 7)
    )

    assert alone.malignancy == pytest.approx(crowded.malignancy, abs=1e-6)
    assert alone.character_scores == pytest.approx(crowded.character_scores, abs=1e-6)


def test_a_second_look_is_taken_where_the_bundle_says_so(shown):
    batch, view, read, truth = shown
    found = [candidates(read.grid, truth.box_px, [LesionType.MASS])]

    (looked,) = stage(spec=replace(SPEC, second_look=True))(batch, found, {view: read})
    (unlooked,) = stage()(batch, found, {view: read})

    assert 0 < looked.second_look < 1
    assert unlooked.second_look is None
