"""From a bundle to plans in the store and back: the fixed batch, keys, building, listing, verifying."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import pytest
import torch
from tests.detect.plans.conftest import SPEC, write_bundle
from typer.testing import CliRunner

from mammosweep.cli import app
from mammosweep.config import DetectConfig, Device, FlipMode, PlanChoice, Precision
from mammosweep.detect.flips import LOOKS
from mammosweep.detect.load import load_network
from mammosweep.detect.plans.agreement import TOLERANCES, Agreement, Figures
from mammosweep.detect.plans.fixed_batch import drawn_exams, fixed_batches
from mammosweep.detect.plans.key import plan_key
from mammosweep.detect.plans.manage import build_plans, listed_plans, verify_plans
from mammosweep.detect.plans.programs import batch_of
from mammosweep.detect.plans.store import open_store
from mammosweep.detect.plans.stored import is_built, keys_of, open_openvino, open_tensorrt, opened, reports
from mammosweep.detect.plans.tensorrt import build, require_options
from mammosweep.errors import ConfigError, DeviceError, PlanRefused
from mammosweep.geometry import Size
from mammosweep.pixels.normalise import GRAY_RANGE

ON_CPU = DetectConfig(device=Device.CPU, precision=Precision.FP32)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def agrees(plan):
    figures = Figures(10, 10, 10, 10, largest=0.001)
    return Agreement(Precision.FP16, TOLERANCES[Precision.FP16], 4, figures, {})


def write(folder):
    (folder / "dense.engine").write_bytes(b"an engine")


@pytest.fixture
def config(tmp_path):
    return replace(ON_CPU, plan_store=str(tmp_path / "plans"))


@pytest.fixture
def settings(config, tmp_path):
    """The same as a file."""
    path = tmp_path / "settings.toml"
    path.write_text(f'[detect]\ndevice = "cpu"\nprecision = "fp32"\nplan_store = "{config.plan_store}"\n')
    return path


def test_drawn_exams_are_the_same_every_time_and_lie_in_the_range_of_gray():
    first, second = drawn_exams(Size(192, 128)), drawn_exams(Size(192, 128))

    for (gray, present), (again, _) in zip(first, second, strict=True):
        assert torch.equal(gray, again)
        assert tuple(gray.shape) == (4, 1, 192, 128)
        assert GRAY_RANGE[0] <= gray.min() < gray.max() <= GRAY_RANGE[1]
        assert torch.equal(present, (gray > GRAY_RANGE[0]).flatten(1).any(dim=1))
    assert not first[-1][1].all()


def test_the_fixed_batch_is_the_bundles_validation_views(bundle_with_views):
    batches, what = fixed_batches(bundle_with_views)

    assert [tuple(batch.pixels.shape) for batch in batches] == [(1, 4, 1, 192, 128)] * 4
    assert what == "4 exams of the bundle's validation views"


def test_validation_views_are_put_on_the_canvas_of_the_plan(bundle_with_views):
    small, large = (fixed_batches(bundle_with_views, size)[0][0] for size in SPEC.buckets)

    assert tuple(large.pixels.shape) == (1, 4, 1, 256, 128)
    assert torch.equal(large.pixels[..., :192, :], small.pixels)
    assert (large.pixels[..., 192:, :] == GRAY_RANGE[0]).all()


def test_views_that_no_plan_can_hold_are_drawn_anew(bundle_with_views):
    batches, what = fixed_batches(bundle_with_views, Size(128, 128))

    assert batches[0].size == (128, 128)
    assert "drawn" in what


def test_without_fusion_every_view_is_an_exam_of_its_own(tmp_path):
    alone = write_bundle(tmp_path / "alone", replace(SPEC, fusion=False))

    batches, _ = fixed_batches(alone)

    assert [tuple(batch.pixels.shape) for batch in batches] == [(4, 1, 1, 192, 128)] * 2 + [
        (3, 1, 1, 192, 128)
    ]
    assert all(batch.present.all() for batch in batches)


def test_tensorrt_has_a_plan_for_each_canvas_and_openvino_one_for_all(bundle):
    tensorrt = keys_of(bundle, ON_CPU, PlanChoice.TENSORRT, Precision.FP16)
    openvino = keys_of(bundle, ON_CPU, PlanChoice.OPENVINO, Precision.BF16)

    assert list(tensorrt) == list(SPEC.buckets)
    assert list(openvino) == [None]
    names = {key.name for key in (*tensorrt.values(), *openvino.values())}
    assert len(names) == 3
    assert all("resnet18" in name for name in names)


def test_a_key_changes_with_weights_spec_views_and_flips(bundle, bundle_with_views, tmp_path):
    other_spec = write_bundle(tmp_path / "other", replace(SPEC, proposals=21))
    manifest = replace(bundle.manifest, files=bundle.manifest.files | {"detector.safetensors": "0" * 64})
    keys = [
        plan_key(one, PlanChoice.TENSORRT, Precision.FP16, flips=flips)
        for one in (bundle, bundle_with_views, other_spec, replace(bundle, manifest=manifest))
        for flips in (FlipMode.NONE, FlipMode.ALL)
    ]

    assert len({key.digest for key in keys}) == len(keys)
    assert keys[0] == plan_key(bundle, PlanChoice.TENSORRT, Precision.FP16, flips=FlipMode.NONE)


def test_pytorchs_own_plan_has_no_key(bundle):
    with pytest.raises(ConfigError, match="'torch' is not compiled"):
        plan_key(bundle, PlanChoice.TORCH, Precision.FP32)


@pytest.mark.parametrize(
    ("fusion", "bucket", "flips", "asked", "batch"),
    [
        (True, Size(2048, 1600), FlipMode.ALL, 0, 1),
        (True, Size(640, 384), FlipMode.ALL, 0, 8),
        (True, Size(192, 128), FlipMode.NONE, 0, 16),
        (False, Size(2048, 1600), FlipMode.ALL, 0, 2),
        (True, Size(640, 384), FlipMode.ALL, 3, 3),
        (False, Size(640, 384), FlipMode.ALL, 3, 12),
    ],
)
def test_a_call_takes_what_was_set_or_what_fills_a_gpu(fusion, bucket, flips, asked, batch):
    assert batch_of(replace(SPEC, fusion=fusion), bucket, flips, asked) == batch


def test_a_missing_plan_says_how_to_build_it(bundle, config):
    store = open_store(config.plan_store)
    key = keys_of(bundle, config, PlanChoice.TENSORRT, Precision.FP16)[SPEC.buckets[1]]

    with pytest.raises(
        ConfigError,
        match=r"mammosweep plan build --bundle .* --device cuda --precision fp16 --buckets 256x128",
    ):
        opened(store, bundle, key)


def test_plans_are_built_when_every_canvas_has_one(bundle, config):
    store, kind = open_store(config.plan_store), PlanChoice.TENSORRT
    for key in keys_of(bundle, config, kind, Precision.FP16).values():
        assert not is_built(bundle, config, kind, Precision.FP16)
        store.save(key, write, agrees)

    assert is_built(bundle, config, kind, Precision.FP16)
    assert not is_built(bundle, config, kind, Precision.BF16)
    assert not is_built(bundle, replace(config, flips=FlipMode.NONE), kind, Precision.FP16)


def test_a_canvas_is_looked_up_in_the_store_when_it_first_comes(bundle, config, monkeypatch):
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    plan = open_tensorrt(bundle, config, Precision.FP16)
    present, looks = torch.ones(1, 4, dtype=torch.bool), LOOKS[config.flips]

    with pytest.raises(ConfigError, match=r"mammosweep plan build .* --buckets 192x128"):
        plan.dense(torch.zeros(1, 4, 1, 192, 128), present, looks)
    with pytest.raises(ConfigError, match="the bundle has no canvas of 512 x 512"):
        plan.dense(torch.zeros(1, 4, 1, 512, 512), present, looks)


@pytest.mark.skipif(importlib.util.find_spec("tensorrt") is not None, reason="TensorRT is installed")
def test_without_tensorrt_its_plan_says_what_to_install(bundle, config, monkeypatch):
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    (key, *_) = keys_of(bundle, config, PlanChoice.TENSORRT, Precision.FP16).values()

    def bind(folder):
        write(folder)
        (folder / "bindings.json").write_text('{"batch": 1, "slots": 4}')

    open_store(config.plan_store).save(key, bind, agrees)
    plan = open_tensorrt(bundle, config, Precision.FP16)

    with pytest.raises(DeviceError, match=r"pip install 'mammosweep\[tensorrt\]'"):
        plan.dense(torch.zeros(1, 4, 1, 192, 128), torch.ones(1, 4, dtype=torch.bool), LOOKS[config.flips])


def test_tensorrt_does_not_compute_in_eight_bits(bundle, tmp_path):
    with pytest.raises(ConfigError, match="'int8'"):
        build(
            load_network(bundle),
            SPEC,
            tmp_path,
            bucket=SPEC.buckets[0],
            batch=1,
            flips=FlipMode.NONE,
            precision=Precision.INT8,
            timing_cache=tmp_path / "timing",
        )


def test_an_option_that_torch_tensorrt_would_swallow_stops_the_build():
    def convert(program, *, device=None, **kwargs):
        return program

    require_options(convert, {"device": "cuda"})
    with pytest.raises(DeviceError, match="knows no option enabled_precisions"):
        require_options(convert, {"device": "cuda", "enabled_precisions": {"fp16"}})


def test_plans_are_listed_and_verified_on_the_command_line(bundle, config, settings):
    key = plan_key(
        bundle, PlanChoice.TENSORRT, Precision.FP16, bucket=Size(192, 128), batch=1, flips=FlipMode.ALL
    )
    plan = open_store(config.plan_store).save(key, write, agrees)

    listed = run("plan", "list", "--config", settings)
    verified = run("plan", "verify", "--config", settings, "--bundle", bundle.folder)

    assert (listed.exit_code, verified.exit_code) == (0, 0)
    assert f"1 plans in {config.plan_store}" in listed.stdout
    assert f"{key.name}: built " in listed.stdout
    assert "accepted: 10 of fp32 PyTorch's 10 boxes" in listed.stdout
    assert f"{key.name}: its files are as built; 10 of" in verified.stdout

    (plan.folder / "dense.engine").write_bytes(b"another")
    spoilt = run("plan", "verify", "--config", settings, "--bundle", bundle.folder)
    assert spoilt.exit_code == 2
    assert "was changed after it was built" in spoilt.stdout
    assert "not every plan is sound" in spoilt.stderr


UNUSABLE = {
    "cuda without a GPU": (["--device", "cuda"], "detect.device is 'cuda'"),
    "canvases of OpenVINO": (["--buckets", "192x128"], "fits every canvas"),
    "canvases in other words": (["--buckets", "large"], "--buckets is 'large'"),
    "fp16 of OpenVINO": (["--precision", "fp16"], "OpenVINO"),
    "int8 without views": (["--precision", "int8"], "no validation views|cannot be imported"),
}


@pytest.mark.parametrize(("arguments", "said"), UNUSABLE.values(), ids=UNUSABLE)
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_what_cannot_be_built_exits_2_with_one_sentence(bundle, settings, arguments, said):
    found = run("plan", "build", "--config", settings, "--bundle", bundle.folder, *arguments)

    assert found.exit_code == 2
    assert any(words in found.stderr for words in said.split("|"))
    assert "Traceback" not in found.stderr


def test_canvases_must_be_the_bundles_own(bundle, config, monkeypatch):
    monkeypatch.setattr("mammosweep.detect.plans.manage.choose_device", lambda device: torch.device("cuda"))

    with pytest.raises(
        ConfigError, match="names 512x320, which is no canvas of the bundle; expected some of 192x128"
    ):
        build_plans(bundle, config, [Size(512, 320)], print)


@pytest.fixture
def _openvino():
    pytest.importorskip("openvino", reason="OpenVINO is not installed")


@pytest.mark.usefixtures("_openvino")
def test_a_plan_is_built_kept_and_run_again_when_it_is_verified(bundle_with_views, config):
    said = []

    build_plans(bundle_with_views, config, (), said.append)

    (plan,) = listed_plans(config)
    assert plan.agreement["batch"] == "4 exams of the bundle's validation views"
    assert plan.agreement["accepted"]
    assert plan.name in said[0]
    how = (bundle_with_views, config, PlanChoice.OPENVINO, Precision.FP32)
    assert is_built(*how)
    assert reports(*how) == {plan.name: plan.agreement}
    assert open_openvino(bundle_with_views, config, Precision.FP32).about.precision is Precision.FP32
    (verdict,) = verify_plans(config, bundle_with_views)
    assert verdict.is_sound
    assert "it was run again" in verdict.sentence


@pytest.mark.usefixtures("_openvino")
def test_a_plan_of_other_weights_is_refused(bundle_with_views, config, monkeypatch):
    from mammosweep.detect.plans import openvino

    right = openvino.save_models

    def wrong(network, *arguments):
        with torch.no_grad():
            network.backbone.body.conv1.weight.mul_(1.5)
            right(network, *arguments)
            network.backbone.body.conv1.weight.div_(1.5)

    monkeypatch.setattr(openvino, "save_models", wrong)
    said = []

    with pytest.raises(PlanRefused, match="1 of 1 plans do not agree"):
        build_plans(bundle_with_views, config, (), said.append)
    with pytest.raises(PlanRefused, match="is refused: "):
        open_openvino(bundle_with_views, config, Precision.FP32)

    (plan,) = listed_plans(config)
    assert plan.files == {}
    assert not plan.agreement["accepted"]
    assert "is refused: " in said[0]
    assert not is_built(bundle_with_views, config, PlanChoice.OPENVINO, Precision.FP32)
    (verdict,) = verify_plans(config, bundle_with_views)
    assert verdict.is_sound  # the record of a refusal is as it was written
