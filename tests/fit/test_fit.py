"""Fitting: what is read, and that a kill costs nothing."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from mammosweep.detect.network import FourViewDetector
from mammosweep.fit.detector import DetectorFit, fit_detector
from mammosweep.fit.lesion import LabelledEmbedding, fit_character, fit_place
from mammosweep.fit.outcome import lesion_at
from mammosweep.fit.samples import TrueLesion
from mammosweep.records import LesionType

GRID_MM = 1.6
FIT = DetectorFit(steps=4, exams_per_step=1, warmup_steps=2, checkpoint_every=1)


def fitted(samples, spec, checkpoint, steps=FIT.steps):
    torch.manual_seed(0)
    losses = {}
    network = FourViewDetector(spec)

    def log(step, values):
        losses[step] = sum(values.values())
        if step + 1 == steps and steps < FIT.steps:
            raise KeyboardInterrupt  # as a kill would: in the middle of a step

    try:
        fit_detector(network, samples, FIT, checkpoint, log)
    except KeyboardInterrupt:
        return None, losses
    return network, losses


def test_every_annotated_lesion_is_read_with_its_place_and_words(annotated, samples):
    rows = pq.read_table(annotated / "truth.parquet").to_pylist()
    lesions = [lesion for exam in samples for view in exam.views for lesion in view.lesions]

    assert [len(exam.views) for exam in samples] == [4, 4, 4]
    assert sorted(les.box_px for les in lesions) == sorted((r["x1"], r["y1"], r["x2"], r["y2"]) for r in rows)
    assert all(set(les.words) == {"shape", "margin"} for les in lesions if les.type is LesionType.MASS)


def test_boxes_lie_where_the_lesion_is_on_the_networks_grid(samples):
    for exam in samples:
        for view in exam.views:
            rows, columns = view.gray.shape
            assert (view.boxes_net[:, :2] > -1).all()
            assert (view.boxes_net[:, 2] < columns + 1).all()
            assert (view.boxes_net[:, 3] < rows + 1).all()


def test_a_fit_that_was_killed_goes_on_to_the_same_weights(samples, small_spec, tmp_path):
    whole, losses = fitted(samples, small_spec, tmp_path / "whole.safetensors")
    _, first = fitted(samples, small_spec, tmp_path / "killed.safetensors", steps=3)
    rest, second = fitted(samples, small_spec, tmp_path / "killed.safetensors")

    assert sorted(first) == [0, 1, 2]
    assert sorted(second) == [2, 3]  # the step that was cut off is done again
    assert second[3] == pytest.approx(losses[3], rel=1e-6)
    for name, weights in whole.state_dict().items():
        torch.testing.assert_close(rest.state_dict()[name], weights, rtol=0, atol=1e-6, msg=name)


def test_quadrant_and_depth_learn_what_they_are_shown(samples):
    quadrant, depth = fit_place(samples, GRID_MM, steps=60, seed=0)
    quadrant_again, _ = fit_place(samples, GRID_MM, steps=60, seed=0)

    from mammosweep.lesion.view_and_mask import view_and_mask

    errors = []
    for exam in samples:
        for view in (v for v in exam.views if v.lesions):
            seen = view_and_mask(
                torch.from_numpy(view.gray.astype(np.float32)), torch.from_numpy(view.boxes_net), GRID_MM
            )
            with torch.inference_mode():
                errors += (depth(seen) - torch.tensor([les.depth for les in view.lesions])).abs().tolist()
                torch.testing.assert_close(quadrant(seen), quadrant_again(seen))
    assert np.mean(errors) < 0.15


def lesion(box, *, malignant=True):
    return TrueLesion(
        lesion_id="1", box_px=box, type=LesionType.MASS, quadrant="outer", depth=0.5, malignant=malignant,
        words={"shape": "irregular" if malignant else "round"},
    )  # fmt: skip


def test_character_tells_apart_what_can_be_told_apart():
    generator = torch.Generator().manual_seed(0)
    findings = []
    for k in range(120):
        malignant = bool(k % 2)
        embedding = torch.randn(8, generator=generator) + (2.0 if malignant else -2.0)
        findings.append(LabelledEmbedding(embedding, lesion((0, 0, 1, 1), malignant=malignant)))

    network = fit_character(findings, epochs=20, seed=0)

    with torch.inference_mode():
        logits = network(torch.stack([f.embedding for f in findings]))
    truth = torch.tensor([f.lesion.malignant for f in findings])
    assert ((logits["malignancy"] > 0) == truth).float().mean() > 0.95
    assert ((logits["shape"].argmax(dim=1) == 2) == truth).float().mean() > 0.95


def test_a_finding_belongs_to_the_smallest_lesion_that_its_centre_lies_in(samples):
    from dataclasses import replace

    large, small = lesion((0, 0, 100, 100)), lesion((40, 40, 60, 60))
    view = replace(samples[0].views[0], lesions=(large, small))

    assert lesion_at(view, (45, 45, 55, 55)) is small
    assert lesion_at(view, (0, 0, 30, 30)) is large
    assert lesion_at(view, (200, 200, 210, 210)) is None
