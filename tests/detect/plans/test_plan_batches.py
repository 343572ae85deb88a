"""What surrounds TensorRT's engines: tails, several calls, looks and views in their order.

Engines need a GPU. Here the exported programs that they are compiled from take their place, run by PyTorch on
the CPU, so that all but the engines' own buffers and graphs is what a GPU will see.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from tests.detect.plans.conftest import SPEC, write_bundle

from mammosweep.config import FlipMode, PlanChoice, Precision
from mammosweep.detect.buckets import joined
from mammosweep.detect.detector import PlannedDetector
from mammosweep.detect.flips import LOOKS
from mammosweep.detect.load import load_network
from mammosweep.detect.plans import tensorrt
from mammosweep.detect.plans.agreement import TOLERANCES, Agreement, Figures, check, loosened
from mammosweep.detect.plans.eager import EagerPlan
from mammosweep.detect.plans.fixed_batch import fixed_batches
from mammosweep.detect.plans.key import plan_key
from mammosweep.detect.plans.programs import DENSE, HEAD, dense_program, head_program, slots_of
from mammosweep.detect.plans.seam import PlanAbout
from mammosweep.detect.plans.store import open_store
from mammosweep.detect.plans.tensorrt import TensorRTPlan
from mammosweep.errors import ConfigError
from mammosweep.geometry import Size

CPU = torch.device("cpu")
CANVAS = SPEC.buckets[0]
BATCH = 2
REGIONS = 32  # in a call of the head
FLIPS = FlipMode.HV


def agrees(plan):
    figures = Figures(10, 10, 10, 10)
    return Agreement(Precision.FP32, TOLERANCES[Precision.FP32], 4, figures, {})


@pytest.fixture(scope="module", params=[True, False], ids=["fusion", "alone"])
def spec(request):
    return replace(SPEC, fusion=request.param)


@pytest.fixture(scope="module")
def bundle(spec, tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("batches") / "bundle", spec)


@pytest.fixture(scope="module")
def network(bundle):
    return load_network(bundle)


@pytest.fixture(scope="module")
def programs(network, spec):
    """By the name of the plan."""
    return {
        DENSE: dense_program(network, spec, CANVAS, BATCH, FLIPS),
        HEAD: head_program(network, spec, REGIONS),
    }


@pytest.fixture
def plan(bundle, programs, spec, tmp_path, monkeypatch):
    """TensorRT's plan of the bundle, its engines replaced by what they are compiled from."""

    class ProgramOnCpu:
        def __init__(self, stored, name, names, device):
            self._run = programs[name].module()
            examples = programs[name].example_inputs[0]
            # What an earlier call left behind must be of no consequence.
            self.inputs = {
                binding: torch.full_like(t, 3.0 if t.is_floating_point() else True)
                for binding, t in zip(names.inputs, examples, strict=True)
            }

        def __call__(self, *inputs):
            for buffer, rows in zip(self.inputs.values(), inputs, strict=True):
                buffer[: len(rows)] = rows
            return self._run(*self.inputs.values())

    monkeypatch.setattr(tensorrt, "_Engine", ProgramOnCpu)
    monkeypatch.setattr(tensorrt, "HEAD_REGIONS", REGIONS)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    bindings = json.dumps({"batch": BATCH, "slots": slots_of(spec)})
    key = plan_key(bundle, PlanChoice.TENSORRT, Precision.FP32, bucket=CANVAS, batch=BATCH, flips=FLIPS)
    stored = open_store(str(tmp_path / "plans")).save(
        key, lambda folder: (folder / "bindings.json").write_text(bindings), agrees
    )
    made = TensorRTPlan(lambda _: stored, FLIPS, Precision.FP32)
    made.about = PlanAbout(PlanChoice.TENSORRT, CPU, Precision.FP32)
    return made


@pytest.fixture(scope="module")
def exams(bundle):
    """Three exams, the last without one of its views; without fusion eleven views."""
    return fixed_batches(bundle, CANVAS)[0]


@pytest.mark.parametrize("together", [False, True], ids=["a tail", "several calls"])
def test_a_detector_finds_on_it_what_it_finds_on_pytorch(plan, network, spec, bundle, exams, together):
    reference = EagerPlan(network, spec.proposals_per_level, CPU, Precision.FP32)
    ours, theirs = (
        PlannedDetector(one, loosened(spec), bundle.manifest.lesion_types, FLIPS) for one in (plan, reference)
    )

    agreement = check(ours, theirs, [joined(exams)] if together else exams, Precision.FP32)

    assert agreement.accepted, agreement.sentence
    assert agreement.views == 11


def test_canvases_come_look_by_look_exam_by_exam_slot_by_slot(plan, network, spec, exams):
    batch = joined(exams)

    found = plan.dense(batch.pixels, batch.present, LOOKS[FLIPS])

    whole = EagerPlan(network, spec.proposals_per_level, CPU, Precision.FP32)
    there = batch.present.flatten().repeat(len(LOOKS[FLIPS]))
    expected = whole.dense(batch.pixels, batch.present, LOOKS[FLIPS])
    assert len(found.logits) == there.numel()
    torch.testing.assert_close(found.logits[there], expected.logits, rtol=1e-4, atol=1e-4)
    for ours, theirs in zip(found.levels, expected.levels, strict=True):
        torch.testing.assert_close(ours[there], theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("regions", [1, REGIONS, REGIONS + 1])
def test_the_head_takes_any_number_of_regions(plan, network, spec, exams, regions):
    plan.dense(exams[0].pixels, exams[0].present, LOOKS[FLIPS])
    features = torch.randn(regions, spec.channels, 7, 7, generator=torch.Generator().manual_seed(0))

    found = plan.head(features)

    expected = EagerPlan(network, spec.proposals_per_level, CPU, Precision.FP32).head(features)
    torch.testing.assert_close(found.logits, expected.logits)
    torch.testing.assert_close(found.deltas, expected.deltas)
    torch.testing.assert_close(found.representation, expected.representation)


def test_other_looks_than_it_was_built_for_are_refused(plan, exams):
    with pytest.raises(ConfigError, match="was built for 3 looks and is asked for 1"):
        plan.dense(exams[0].pixels, exams[0].present, LOOKS[FlipMode.NONE])


def test_a_head_without_a_canvas_is_refused(plan):
    with pytest.raises(ConfigError, match="call dense first"):
        plan.head(torch.zeros(1, SPEC.channels, 7, 7))


def test_a_canvas_is_opened_when_it_first_comes(plan, exams):
    asked = []
    opened = plan._open
    plan._open = lambda size: (asked.append(size), opened(size))[1]

    for batch in exams[:2]:
        plan.dense(batch.pixels, batch.present, LOOKS[FLIPS])

    assert asked == [Size(192, 128)]
