"""Fitting: what is read, what is learned, and that a kill costs nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from mammosweep.bundle.manifest import CharacterSpec
from mammosweep.detect.network import FourViewDetector
from mammosweep.errors import ConfigError
from mammosweep.fit.augment import Augmentation
from mammosweep.fit.checkpoint import Checkpoint
from mammosweep.fit.depthwise import quicken_depthwise
from mammosweep.fit.detector import DetectorFit, OptimiserChoice, fit_detector
from mammosweep.fit.lesion import (
    CharacterFit,
    CharacterSample,
    PlaceFit,
    fit_character,
    fit_place,
    packed,
    unpacked,
)
from mammosweep.fit.outcome import lesion_at
from mammosweep.fit.samples import TrueLesion
from mammosweep.lesion.view_and_mask import view_and_mask
from mammosweep.pixels.normalise import GRAY_RANGE
from mammosweep.records import LesionType

GRID_MM = 1.6
BENT = Augmentation(scale=(0.9, 1.1), rotation_degrees=10, bend_mm=2.0, gain=(0.8, 1.25), shift=0.1)
FIT = DetectorFit(
    steps=4, exams_per_step=1, warmup_steps=2, checkpoint_every=1, augmentation=BENT, average_decay=0.9
)


def fitted(samples, spec, path, fit=FIT, stop_at=None):
    """The network and each step's loss; ``stop_at`` kills the fit in the middle of that step."""
    torch.manual_seed(0)
    losses = {}
    network = FourViewDetector(spec)

    def log(step, values):
        losses[step] = sum(values.values())
        if step == stop_at:
            raise KeyboardInterrupt

    try:
        fit_detector(network, spec, samples, fit, GRID_MM, Checkpoint(path), log)
    except KeyboardInterrupt:
        return None, losses
    return network, losses


@pytest.fixture(scope="session")
def tiny_spec(small):
    return replace(small.network, channels=16, representation=16)


def test_every_annotated_lesion_is_read_with_its_place_and_words(annotated, samples):
    rows = pq.read_table(annotated / "truth.parquet").to_pylist()
    known = {(r["path"], r["x1"], r["y1"], r["x2"], r["y2"]) for r in rows}
    read = [(view.view.path, les) for exam in samples for view in exam.views for les in view.lesions]

    assert [len(exam.views) for exam in samples] == [4, 4, 4]
    assert {(path, *les.box_px) for path, les in read} <= known
    assert all(set(les.words) == {"shape", "margin"} for _, les in read if les.type is LesionType.MASS)
    assert all(les.quadrant and les.depth is not None and les.malignant is not None for _, les in read)


def test_boxes_lie_where_the_lesion_is_on_the_networks_grid(samples):
    for exam in samples:
        for view in exam.views:
            rows, columns = view.gray.shape
            assert (view.boxes_net[:, :2] > -1).all()
            assert (view.boxes_net[:, 2] < columns + 1).all()
            assert (view.boxes_net[:, 3] < rows + 1).all()


@pytest.mark.parametrize("optimiser", list(OptimiserChoice))
@pytest.mark.parametrize("fusion", [True, False], ids=["four views", "views alone"])
def test_a_fit_that_was_killed_goes_on_to_the_same_weights(samples, tiny_spec, tmp_path, optimiser, fusion):
    spec, fit = replace(tiny_spec, fusion=fusion), replace(FIT, optimiser=optimiser)
    whole, losses = fitted(samples, spec, tmp_path / "whole.safetensors", fit)
    _, first = fitted(samples, spec, tmp_path / "killed.safetensors", fit, stop_at=2)
    rest, second = fitted(samples, spec, tmp_path / "killed.safetensors", fit)

    assert sorted(first) == [0, 1, 2]
    assert sorted(second) == [2, 3]  # the step that was cut off is done again
    assert second[3] == pytest.approx(losses[3], rel=1e-6)
    for name, weights in whole.state_dict().items():
        torch.testing.assert_close(rest.state_dict()[name], weights, rtol=0, atol=1e-6, msg=name)


def test_a_checkpoint_of_another_fit_is_refused(samples, tiny_spec, tmp_path):
    path = tmp_path / "one.safetensors"
    fitted(samples, tiny_spec, path)

    torch.manual_seed(0)
    with pytest.raises(ConfigError, match="belongs to a fit with another recipe or other data"):
        fit_detector(
            FourViewDetector(tiny_spec), tiny_spec, samples, FIT, GRID_MM, Checkpoint(path, "other"), print
        )


def test_a_damaged_checkpoint_is_named(tmp_path, samples, tiny_spec):
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(b"not a checkpoint")

    with pytest.raises(ConfigError, match=r"damaged.safetensors cannot be read"):
        fitted(samples, tiny_spec, path)


def test_frozen_layers_and_norms_stay_as_they_are(samples, tiny_spec, tmp_path):
    torch.manual_seed(0)
    before = {k: v.clone() for k, v in FourViewDetector(tiny_spec).state_dict().items()}

    network, _ = fitted(
        samples, tiny_spec, tmp_path / "f.safetensors", replace(FIT, frozen=("stem",), frozen_norms=True)
    )

    after = network.state_dict()
    stays = [k for k in after if k.startswith("backbone.body.stem") or k.endswith("running_mean")]
    assert len(stays) > 5
    for name in stays:
        torch.testing.assert_close(after[name], before[name], rtol=0, atol=0, msg=name)
    assert not torch.equal(after["rpn.head.conv.0.0.weight"], before["rpn.head.conv.0.0.weight"])


def test_the_quick_way_back_through_depthwise_convolutions_gives_the_same_gradients():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(8, 8, 5, stride=2, padding=2, groups=8, bias=False))
    pixels = torch.randn(2, 8, 20, 14).to(memory_format=torch.channels_last)

    def gradients():
        network.zero_grad()
        entered = pixels.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            network(entered).float().square().mean().backward()
        return entered.grad, network[0].weight.grad.clone()

    plain = gradients()
    quicken_depthwise(network)
    quick = gradients()

    for one, other in zip(plain, quick, strict=True):
        torch.testing.assert_close(one, other, rtol=0.02, atol=0.02 * float(one.abs().max()))


PLACE = PlaceFit(steps=60, batch=16, checkpoint_every=20)


def test_quadrant_and_depth_learn_what_they_are_shown(samples, tmp_path):
    quadrant, depth = fit_place(samples, GRID_MM, PLACE, Checkpoint(tmp_path / "a.safetensors"), seed=0)
    again, _ = fit_place(samples, GRID_MM, PLACE, Checkpoint(tmp_path / "b.safetensors"), seed=0)

    errors = []
    for exam in samples:
        for view in (v for v in exam.views if v.lesions):
            seen = view_and_mask(
                torch.from_numpy(view.gray.astype(np.float32)), torch.from_numpy(view.boxes_net), GRID_MM
            )
            with torch.inference_mode():
                errors += (depth(seen) - torch.tensor([les.depth for les in view.lesions])).abs().tolist()
                torch.testing.assert_close(quadrant(seen), again(seen))
    assert np.mean(errors) < 0.15


def test_where_no_place_is_known_none_is_learned(samples, tmp_path):
    def without(view):
        return replace(view, lesions=tuple(replace(les, quadrant=None) for les in view.lesions))

    nowhere = [replace(exam, views=tuple(without(view) for view in exam.views)) for exam in samples]

    assert fit_place(nowhere, GRID_MM, PLACE, Checkpoint(tmp_path / "c.safetensors"), seed=0) is None


def lesion(box=(0, 0, 1, 1), *, malignant=True):
    return TrueLesion(
        lesion_id="1", box_px=box, type=LesionType.MASS, quadrant="outer", depth=0.5, malignant=malignant,
        words={"shape": "irregular" if malignant else "round"},
    )  # fmt: skip


CHARACTER = CharacterFit(steps=60, warmup_steps=5, checkpoint_every=20, batch=32)


def character_samples(*, in_crop):
    """Findings whose nature shows in the embedding, or in the crop alone."""
    rng = np.random.default_rng(0)
    found = []
    for k in range(90):
        kind = (lesion(malignant=True), lesion(malignant=False), None)[k % 3]
        shift = 2.0 if k % 3 == 0 and not in_crop else -2.0 if not in_crop else 0.0
        crop = rng.normal(0.5, 0.1, size=(45, 45))
        if in_crop and k % 3 == 0:
            crop[18:27, 18:27] += 1.0
        embedding = torch.from_numpy(rng.normal(shift, 1.0, size=8).astype(np.float32))
        found.append(CharacterSample(embedding, packed(crop.astype(np.float32)), kind))
    return found


@pytest.mark.parametrize("in_crop", [False, True], ids=["embedding", "crop"])
def test_character_tells_apart_what_can_be_told_apart(tmp_path, in_crop):
    findings = character_samples(in_crop=in_crop)
    spec = CharacterSpec(crop_mm=16.0, crop_px=32) if in_crop else CharacterSpec()

    network = fit_character(findings, spec, CHARACTER, Checkpoint(tmp_path / "c.safetensors"), seed=0)

    crops = torch.from_numpy(np.stack([unpacked(f.crop)[6:38, 6:38] for f in findings]))[:, None]
    with torch.inference_mode():
        logits = network(torch.stack([f.embedding for f in findings]), crops if in_crop else None)
    truth = torch.tensor([f.lesion is not None and f.lesion.malignant for f in findings])
    assert ((logits["malignancy"] > 0) == truth).float().mean() > 0.95
    known = torch.tensor([f.lesion is not None for f in findings])
    assert ((logits["shape"].argmax(dim=1) == 2) == truth)[known].float().mean() > 0.95


def test_packed_gray_is_gray_within_a_step():
    gray = np.linspace(*GRAY_RANGE, 1000).astype(np.float32)[None]

    step = (GRAY_RANGE[1] - GRAY_RANGE[0]) / 255
    np.testing.assert_allclose(unpacked(packed(gray)), gray, atol=step / 2 + 1e-6)


def test_a_finding_belongs_to_the_smallest_lesion_that_its_centre_lies_in(samples):
    large, small = lesion((0, 0, 100, 100)), lesion((40, 40, 60, 60))
    view = replace(samples[0].views[0], lesions=(large, small))

    assert lesion_at(view, (45, 45, 55, 55)) is small
    assert lesion_at(view, (0, 0, 30, 30)) is large
    assert lesion_at(view, (200, 200, 210, 210)) is None
