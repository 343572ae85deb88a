"""A torchvision checkpoint gives the detections that torchvision gives."""

from __future__ import annotations

import re
import shutil
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor

from mammosweep.adopt import adopt
from mammosweep.bundle import open_bundle
from mammosweep.bundle.importing import ImportSettings, Layout, detector_spec
from mammosweep.bundle.importing.torchvision import STEM, from_torchvision
from mammosweep.config import DetectConfig, Device, FlipMode, PlanChoice, Precision
from mammosweep.detect.buckets import ExamBatch
from mammosweep.detect.detector import PlannedDetector
from mammosweep.detect.load import load_detector
from mammosweep.detect.network import FourViewDetector, load_detector_weights
from mammosweep.detect.plans.eager import EagerPlan
from mammosweep.errors import BundleError
from mammosweep.records import LESION_TYPES, LesionType

SIZES = [(192, 128), (256, 320), (224, 160), (448, 256)]
"""Rows by columns: multiples of 32, as buckets are."""

SETTINGS = ImportSettings(grid_mm=0.15)
REFERENCE = DetectConfig(
    device=Device.CPU, precision=Precision.FP32, plan=PlanChoice.TORCH, flips=FlipMode.NONE
)


def batch_of(gray_N1HW, slots=1, present=None):
    pixels = gray_N1HW.unflatten(0, (-1, slots))
    present = torch.ones(pixels.shape[:2], dtype=torch.bool) if present is None else present
    return ExamBatch(pixels, present, (), ())


def converted_detector(published, settings):
    """The detector in memory: what `adopt` would write and `load_detector` read."""
    converted = from_torchvision(published, settings)
    spec = detector_spec(converted, settings)
    network = FourViewDetector(spec)
    load_detector_weights(network, converted.weights)
    plan = EagerPlan(network.eval(), spec.proposals_per_level, torch.device("cpu"), Precision.FP32)
    return PlannedDetector(plan, spec, settings.types, FlipMode.NONE)


def assert_same(found, torchvisions, least=10):
    """Each of torchvision's detections is there once: box within 0.01 px, score within 1e-4, same label."""
    for view, theirs in zip(found, torchvisions, strict=True):
        assert least <= len(theirs["scores"]) < SETTINGS.candidates  # so that no tie decides what is kept
        assert len(view.scores) == len(theirs["scores"])
        # Equal to the last bits only: detections that score alike may stand in another order.
        apart = (view.boxes[:, None] - theirs["boxes"][None]).abs().amax(dim=2)
        apart += (view.scores[:, None] - theirs["scores"][None]).abs() * 100
        apart[view.labels[:, None] != theirs["labels"][None]] = torch.inf
        nearest = apart.argmin(dim=0)
        assert sorted(nearest.tolist()) == list(range(len(nearest)))
        torch.testing.assert_close(view.boxes[nearest], theirs["boxes"], rtol=0, atol=0.01)
        torch.testing.assert_close(view.scores[nearest], theirs["scores"], rtol=0, atol=1e-4)


@pytest.fixture(scope="module")
def state(published):
    return published.state_dict()


@pytest.fixture(scope="module")
def checkpoint(state, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    save_file({name: t.contiguous() for name, t in state.items()}, folder / "published.safetensors")
    yield folder / "published.safetensors"
    shutil.rmtree(folder)  # 160 MB, which pytest would keep


def imported(checkpoint, settings):
    """The detector of a bundle that was written and opened again."""
    out = checkpoint.parent / "bundle"
    adopt(checkpoint, Layout.TORCHVISION, settings, out)
    detector = load_detector(open_bundle(out), REFERENCE)
    shutil.rmtree(out)
    return detector


@pytest.fixture(scope="module")
def plain(checkpoint):
    return imported(checkpoint, SETTINGS)


@pytest.fixture(scope="module")
def fused(checkpoint):
    return imported(checkpoint, replace(SETTINGS, fusion=True))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_an_imported_bundle_detects_what_torchvision_detects(size, plain, published, grays, detections):
    gray = grays(1, *size, seed=sum(size))

    assert_same(plain(batch_of(gray)), detections(published, gray))


def test_the_fusion_network_at_its_start_changes_nothing(fused, published, grays, detections):
    gray = grays(4, 192, 128)
    present = torch.tensor([[True, True, False, True]])

    assert_same(fused(batch_of(gray, 4, present)), detections(published, gray[present[0]]))


def variant(state, **changed):
    return {name: t.clone() for name, t in state.items()} | changed


def old_spelling(state):
    """As torchvision named its layers before 0.13."""
    renamed = {}
    for name, tensor in state.items():
        old = name.replace("rpn.head.conv.0.0.", "rpn.head.conv.")
        renamed[re.sub(r"(fpn\.\w+_blocks\.\d)\.0\.", r"\1.", old)] = tensor
    return renamed


def frozen(state):
    return {name: t for name, t in state.items() if not name.endswith("num_batches_tracked")}


@pytest.mark.parametrize("spelt", [old_spelling, frozen], ids=["before 0.13", "frozen statistics"])
def test_other_spellings_of_the_same_checkpoint_give_the_same_weights(spelt, state):
    assert set(spelt(state)) != set(state)

    found, whole = (from_torchvision(s, SETTINGS).weights for s in (spelt(state), state))

    assert set(found) == set(whole)
    assert all(torch.equal(found[name], tensor) for name, tensor in whole.items())


def test_classes_come_in_the_engines_order_and_an_unknown_type_is_never_found(
    published, state, grays, detections
):
    """The checkpoint's first two foreground classes are taken for a calcification and a mass."""
    few = {
        name: t[: 12 if "bbox_pred" in name else 3] if "box_predictor" in name else t
        for name, t in state.items()
    }
    types = (LesionType.CALCIFICATION, LesionType.MASS)
    detector = converted_detector(few, replace(SETTINGS, types=types))
    gray = grays(1, 192, 128)
    with fewer_classes(published, few):
        (theirs,) = detections(published, gray)

    (found,) = detector(batch_of(gray))

    ours = [1 + LESION_TYPES.index(types[label - 1]) for label in theirs["labels"].tolist()]
    assert_same([found], [theirs | {"labels": torch.tensor(ours)}], least=5)
    assert set(found.labels.tolist()) == {1, 2}


@contextmanager
def fewer_classes(model, state):
    """torchvision's model with another box predictor."""
    whole, model.roi_heads.box_predictor = model.roi_heads.box_predictor, FastRCNNPredictor(1024, 3)
    model.load_state_dict(state)
    try:
        yield
    finally:
        model.roi_heads.box_predictor = whole


def test_equal_channels_become_one(state, published, grays, detections):
    """conv1 is summed: the trunk takes one channel, and sees the same."""
    mean, std = published.transform.image_mean, published.transform.image_std
    published.transform.image_mean, published.transform.image_std = [0.45] * 3, [0.225] * 3
    detector = converted_detector(state, replace(SETTINGS, image_mean=(0.45,), image_std=(0.225,)))
    gray = grays(1, 192, 128)

    theirs = detections(published, gray)
    published.transform.image_mean, published.transform.image_std = mean, std

    assert_same(detector(batch_of(gray)), theirs)
    converted = from_torchvision(state, replace(SETTINGS, image_mean=(0.45,), image_std=(0.225,)))
    assert converted.weights["backbone.body.conv1.weight"].shape == (64, 1, 7, 7)
    assert (converted.input_mean, converted.input_std) == ((0.45,), (0.225,))


def test_a_checkpoint_whose_trunk_takes_one_channel_is_taken(state):
    gray = variant(state, **{STEM: state[STEM].sum(dim=1, keepdim=True)})

    converted = from_torchvision(gray, replace(SETTINGS, image_mean=(0.2,), image_std=(0.3,)))

    assert torch.equal(converted.weights[STEM], gray[STEM])
    with pytest.raises(BundleError, match="takes 1 channels; --image-mean has 3"):
        from_torchvision(gray, SETTINGS)


def test_another_epsilon_of_batch_normalisation_moves_into_the_variance(state):
    """A model made with torchvision's weights COCO_V1 has 0 in place of 1e-5."""
    name = "backbone.body.layer3.2.bn2"
    small = variant(state, **{f"{name}.running_var": torch.full((256,), 2e-5)})

    weights = from_torchvision(small, replace(SETTINGS, batch_norm_eps=0.0)).weights

    torch.testing.assert_close(weights[f"{name}.running_var"] + 1e-5, torch.full((256,), 2e-5))


REFUSED = {
    "other architecture": (
        lambda state: {n.replace("layer3", "stage3"): t for n, t in state.items()},
        "no Faster R-CNN R50-FPN .* it lacks backbone.body.layer3.0.conv1.weight, .* and [0-9]+ more; "
        "it has, and should not, backbone.body.stage3.0.conv1.weight",
    ),
    "missing": (
        lambda state: {n: t for n, t in state.items() if n != "rpn.head.bbox_pred.bias"},
        "it lacks rpn.head.bbox_pred.bias$",
    ),
    "shape": (
        lambda state: variant(state, **{"roi_heads.box_head.fc7.bias": torch.zeros(512)}),
        r"it has roi_heads.box_head.fc7.bias \(512,\) instead of \(1024,\)$",
    ),
    "classes": (
        lambda state: variant(state, **{"roi_heads.box_predictor.cls_score.bias": torch.zeros(91)}),
        "tells apart 90 classes and background; --types names 4",
    ),
    "no detector": (lambda state: {"weight": torch.zeros(2)}, "it lacks backbone.body.conv1.weight"),
}


@pytest.mark.parametrize(("make", "said"), REFUSED.values(), ids=REFUSED)
def test_another_network_is_refused_by_the_first_few_names(make, said, state):
    with pytest.raises(BundleError, match=said) as caught:
        from_torchvision(make(state), SETTINGS)

    assert len(str(caught.value)) < 600


def test_other_anchors_than_the_checkpoints_are_refused(state):
    with pytest.raises(BundleError, match=r"rpn.head.cls_logits.weight \(3, 256, 1, 1\) instead of \(1, 256"):
        from_torchvision(state, replace(SETTINGS, aspect_ratios=(1.0,)))
