"""The detector between its plans: torchvision's own numbers, whoever is missing and whoever is beside."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torchvision.models.detection.image_list import ImageList

from mammosweep.config import FlipMode, Precision
from mammosweep.detect.buckets import ExamBatch, joined
from mammosweep.detect.detector import PlannedDetector
from mammosweep.detect.network import Dense, FourViewDetector
from mammosweep.detect.plans.eager import EagerPlan
from mammosweep.detect.plans.seam import DenseOutput
from mammosweep.detect.proposals import anchor_boxes, level_counts, propose
from mammosweep.fit.settings import read_settings, recipe_path
from mammosweep.records import LESION_TYPES

SIZE = (192, 128)
SPEC = replace(
    read_settings(recipe_path("phantom-regnetx-002")).network, candidates_per_view=30, proposals=40
)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network():
    """Random weights that find plenty: statistics as after a fit, and class scores that spread."""
    torch.manual_seed(3)
    made = FourViewDetector(SPEC)
    for layer in (made.fusion.sides[2], made.fusion.profile[2]):
        torch.nn.init.normal_(layer.weight, std=0.02)
    made.train()
    with torch.no_grad():
        for seed in range(8):
            made.pyramid(pixels(2, seed), torch.ones(2, 4, dtype=torch.bool))
    torch.nn.init.normal_(made.roi_heads.box_predictor.cls_score.weight, std=0.6)
    torch.nn.init.normal_(made.rpn.head.cls_logits.weight, std=0.1)
    return made.eval()


def pixels(exams, seed=0):
    return torch.rand(exams, 4, 1, *SIZE, generator=torch.Generator().manual_seed(seed))


def batch(seed=0, missing=()):
    present = torch.ones(1, 4, dtype=torch.bool)
    present[0, list(missing)] = False
    views = tuple(range(4 - len(missing)))
    return ExamBatch(pixels(1, seed) * present[..., None, None, None], present, views, views)


def detector(network, flips=FlipMode.NONE, plan=None, spec=SPEC):
    plan = plan or EagerPlan(network, spec.proposals_per_level, CPU, Precision.FP32)
    return PlannedDetector(plan, spec, LESION_TYPES, flips)


class StaticPlan(EagerPlan):
    """Eager, but of fixed shapes and all looks at once, as compiled plans are."""

    looks_at_once = True
    skips_missing = False

    def __init__(self, network):
        super().__init__(network, SPEC.proposals_per_level, CPU, Precision.FP32)
        self.looks_at_once, self.skips_missing = True, False

    def dense(self, pixels_BS1HW, present_BS, looks):
        *levels, logits, deltas, anchors = Dense(self._network, looks, SPEC.proposals_per_level)(
            pixels_BS1HW, present_BS
        )
        return DenseOutput(tuple(levels), logits, deltas, anchors)


def assert_same(found, expected, atol=1e-4):
    assert [len(f.scores) for f in found] == [len(e.scores) for e in expected]
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours.boxes, theirs.boxes, rtol=0, atol=atol * 100)
        torch.testing.assert_close(ours.scores, theirs.scores, rtol=0, atol=atol)
        torch.testing.assert_close(ours.embeddings, theirs.embeddings, rtol=1e-3, atol=atol * 10)
        assert ours.labels.tolist() == theirs.labels.tolist()
        assert ours.votes.tolist() == theirs.votes.tolist()


def test_between_the_plans_nothing_differs_from_torchvision(network):
    given = batch()
    with torch.inference_mode():
        expected, _, _ = network(given.pixels, given.present)

    found = detector(network)(given)

    assert sum(len(f.scores) for f in found) > 20
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours.boxes, theirs["boxes"], rtol=0, atol=0.01)
        torch.testing.assert_close(ours.scores, theirs["scores"], rtol=0, atol=1e-4)
        assert ours.labels.tolist() == theirs["labels"].tolist()


@pytest.mark.parametrize("size", [SIZE, (1376, 608), (96, 32)], ids=["of 64", "of 32", "small"])
def test_anchors_are_torchvisions(network, size):
    levels = [torch.zeros(1, 1, math.ceil(size[0] / s), math.ceil(size[1] / s)) for s in (4, 8, 16, 32, 64)]
    (expected,) = network.rpn.anchor_generator(ImageList(torch.zeros(1, 1, *size), [size]), levels)

    found = anchor_boxes(size, SPEC.anchor_sizes, SPEC.aspect_ratios, CPU)

    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    most = sum(min(SPEC.proposals_per_level, level[0].numel() * 3) for level in levels)
    assert sum(level_counts(size, SPEC)) == most


def test_regions_that_are_none_say_so():
    spec = replace(SPEC, proposals=50)
    counts = level_counts((64, 64), spec)
    zeros = torch.zeros(1, sum(counts))

    regions, valid = propose(zeros, torch.zeros(1, sum(counts), 4), zeros.long(), (64, 64), spec)

    assert regions.shape == (1, 50, 4)
    assert valid.sum() == len(counts)  # one box a level: all of a level's are the same anchor


@pytest.mark.parametrize("flips", FlipMode)
@pytest.mark.parametrize("missing", [(), (1,), (0, 3)], ids=["whole", "one missing", "two missing"])
def test_fixed_shapes_change_nothing(network, flips, missing):
    given = batch(missing=missing)

    found = detector(network, flips, StaticPlan(network))(given)

    assert len(found) == 4 - len(missing)
    assert_same(found, detector(network, flips)(given))


@pytest.mark.parametrize("flips", [FlipMode.NONE, FlipMode.ALL])
def test_company_does_not_change_a_candidate(network, flips):
    exams = [batch(0), batch(1, missing=(2,)), batch(2)]
    alone = detector(network, flips)

    together = detector(network, flips)(joined(exams))

    assert_same(together, [found for exam in exams for found in alone(exam)], atol=1e-6)


def test_a_type_that_the_bundle_does_not_know_is_never_reported(network):
    plan = EagerPlan(network, SPEC.proposals_per_level, CPU, Precision.FP32)

    found = PlannedDetector(plan, SPEC, LESION_TYPES[:1], FlipMode.H)(batch())

    assert {label for f in found for label in f.labels.tolist()} == {1}


def test_a_network_without_fusion_takes_views_one_by_one():
    torch.manual_seed(0)
    spec = replace(SPEC, fusion=False)
    alone = FourViewDetector(spec).eval()
    views = pixels(1).transpose(0, 1)
    given = ExamBatch(views, torch.ones(4, 1, dtype=torch.bool), tuple(range(4)), tuple(range(4)))

    assert not [name for name in alone.state_dict() if name.startswith("fusion")]
    assert len(detector(alone, spec=spec)(given)) == 4
