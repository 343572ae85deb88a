"""TensorRT's plans where there is a GPU and TensorRT. Not yet run on one."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from functools import partial

import pytest
import torch

from mammosweep.bundle import open_bundle
from mammosweep.config import DetectConfig, Device, FlipMode, PlanChoice, Precision
from mammosweep.detect.buckets import ExamBatch, joined
from mammosweep.detect.detector import PlannedDetector
from mammosweep.detect.flips import LOOKS
from mammosweep.detect.load import load_network
from mammosweep.detect.plans.build import build_plan
from mammosweep.detect.plans.fixed_batch import fixed_batches
from mammosweep.detect.plans.store import open_store
from mammosweep.detect.plans.stored import keys_of, open_tensorrt
from mammosweep.errors import ConfigError

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.timeout(1800),  # TensorRT takes minutes to choose its kernels
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
    pytest.mark.skipif(importlib.util.find_spec("tensorrt") is None, reason="TensorRT is not installed"),
]

PRECISION = Precision.FP16
FP16_STEP = 2**-10  # of a score near 1


@pytest.fixture(scope="module")
def shipped():
    return open_bundle()


@pytest.fixture(scope="module")
def canvas(shipped):
    return shipped.manifest.detector.buckets[0]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """Two exams a call, so that one has a tail and three take two calls."""
    store = str(tmp_path_factory.mktemp("site") / "plans")
    return DetectConfig(device=Device.CUDA, precision=PRECISION, batch_exams=2, plan_store=store)


@pytest.fixture(scope="module")
def stored(shipped, canvas, config):
    key = keys_of(shipped, config, PlanChoice.TENSORRT, PRECISION)[canvas]
    return build_plan(open_store(config.plan_store), shipped, load_network(shipped), config, key)


@pytest.fixture(scope="module")
def plan(stored, shipped, config):
    return open_tensorrt(shipped, config, PRECISION)


@pytest.fixture(scope="module")
def exams(shipped, canvas):
    return fixed_batches(shipped, canvas)[0]


@pytest.fixture(scope="module")
def detect(plan, shipped, config):
    spec, types = shipped.manifest.detector, shipped.manifest.lesion_types
    return PlannedDetector(plan, spec, types, config.flips)


def dense(plan, batch: ExamBatch, looks=LOOKS[FlipMode.ALL]):
    """Copies of what the plan gives, for the next call overwrites it."""
    found = plan.dense(batch.pixels.cuda(), batch.present.cuda(), looks)
    return [t.clone() for t in (*found.levels, found.logits, found.deltas, found.anchors)]


def test_a_plan_is_built_and_agrees_with_fp32_pytorch(stored):
    assert stored.agreement["accepted"], stored.agreement["sentence"]
    assert set(stored.files) == {"dense.engine", "head.engine", "bindings.json"}


def test_a_graph_replays_what_the_engine_computes(plan, exams):
    dense(plan, exams[0])
    engine = plan._seen_last._dense
    replayed = {name: t.clone() for name, t in engine._outputs.items()}
    for output in engine._outputs.values():
        output.fill_(-1)

    engine._enqueue(torch.cuda.current_stream())
    torch.cuda.synchronize()

    for name, expected in replayed.items():
        assert torch.equal(engine._outputs[name], expected), name


def test_the_same_batch_gives_the_same_every_time(plan, exams):
    first = dense(plan, exams[0])
    dense(plan, exams[1])

    for one, other in zip(first, dense(plan, exams[0]), strict=True):
        assert torch.equal(one, other)


def test_pixels_come_from_the_host_or_from_the_gpu(plan, exams):
    batch, looks = exams[0], LOOKS[FlipMode.ALL]

    on_gpu = dense(plan, batch)
    from_host = plan.dense(batch.pixels, batch.present, looks)

    assert torch.equal(on_gpu[-1], from_host.anchors)


def test_more_exams_than_a_call_takes_go_in_several(plan, exams):
    alone = [dense(plan, one) for one in exams]

    together = dense(plan, joined(exams))

    for parts, whole in zip(zip(*alone, strict=True), together, strict=True):
        by_look = torch.cat([part.unflatten(0, (4, 1, 4)) for part in parts], dim=1)
        torch.testing.assert_close(whole, by_look.flatten(0, 2), rtol=2**-8, atol=2**-8)


def test_company_does_not_change_a_score(detect, exams):
    alone = [candidates for one in exams for candidates in detect(one)]

    together = detect(joined(exams))

    for one, other in zip(alone, together, strict=True):
        torch.testing.assert_close(one.scores, other.scores, rtol=0, atol=FP16_STEP)
        torch.testing.assert_close(one.boxes, other.boxes, rtol=0, atol=0.5)


def test_other_looks_than_the_plan_has_are_refused(plan, exams):
    with pytest.raises(ConfigError, match="was built for 4 looks and is asked for 1"):
        dense(plan, exams[0], LOOKS[FlipMode.NONE])


def test_a_canvas_that_was_not_built_says_how(plan, shipped):
    size = shipped.manifest.detector.buckets[1]
    pixels = torch.zeros(1, 4, 1, size.rows, size.columns)

    with pytest.raises(ConfigError, match=f"mammosweep plan build .* --buckets {size.rows}x{size.columns}"):
        plan.dense(pixels, torch.ones(1, 4, dtype=torch.bool), LOOKS[FlipMode.ALL])


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.BF16])
def test_the_other_number_formats_are_built_by_casting_too(shipped, canvas, config, precision):
    settings = replace(config, precision=precision)
    key = keys_of(shipped, settings, PlanChoice.TENSORRT, precision)[canvas]
    build = partial(build_plan, open_store(config.plan_store), shipped, load_network(shipped), settings)

    assert build(key).agreement["accepted"]
