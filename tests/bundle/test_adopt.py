"""`mammosweep bundle import`: from a file to a bundle that opens, with its card and its validation views."""

from __future__ import annotations

import shutil

import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

import mammosweep
from mammosweep.bundle import open_bundle
from mammosweep.bundle.importing.settings import MAX_BUCKETS, ImportSettings, default_buckets
from mammosweep.bundle.load import CARD, DETECTOR, VIEWS
from mammosweep.bundle.views import validation_views
from mammosweep.cli import app
from mammosweep.config import DetectConfig, Device, FlipMode, PlanChoice, SweepConfig
from mammosweep.errors import ConfigError
from mammosweep.phantom import PhantomConfig, Syntax, write_phantoms
from mammosweep.records import LesionType


@pytest.fixture(scope="module")
def checkpoint(published, tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    save_file({n: t.contiguous() for n, t in published.state_dict().items()}, folder / "frcnn.safetensors")
    yield folder / "frcnn.safetensors"
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    config = PhantomConfig(spacing_mm=0.4)
    write_phantoms(folder, exams=2, seed=8, syntaxes=[Syntax.EXPLICIT], config=config)
    next(folder.rglob("RCC.dcm")).unlink()
    return folder


def run(*arguments):
    return CliRunner().invoke(app, ["bundle", "import", *map(str, arguments)])


@pytest.fixture(scope="module")
def imported(checkpoint, archive):
    """What the command said, and the bundle that it made."""
    out = checkpoint.parent / "bundle"
    found = run(
        "torchvision", checkpoint, "--out", out, "--grid-mm", 0.4, "--image-mean", 0.4, "--image-std", 0.2,
        "--buckets", "512x320,768x640", "--views", archive, "--note", "Of site A.", "--fusion",
        "--types", "asymmetry,mass,distortion,calcification",
    )  # fmt: skip
    return found, open_bundle(out)


def test_the_command_makes_a_bundle_that_opens(imported, checkpoint):
    found, bundle = imported

    assert found.exit_code == 0, found.stderr
    assert "frcnn 1 in " in found.stdout
    assert bundle.is_detector_only
    assert set(bundle.manifest.files) == {DETECTOR, CARD, VIEWS}
    assert [path.name for path in checkpoint.parent.iterdir() if "bundle." in path.name] == []


def test_the_manifest_holds_what_was_said_and_what_the_weights_imply(imported):
    manifest = imported[1].manifest
    spec = manifest.detector

    assert manifest.lesion_types == (
        LesionType.ASYMMETRY, LesionType.MASS, LesionType.DISTORTION, LesionType.CALCIFICATION,
    )  # fmt: skip
    assert manifest.note.startswith("detector only: ")
    assert manifest.note.endswith(" Of site A.")
    assert "from frcnn.safetensors, SHA-256 " in manifest.fitted_on
    assert (spec.trunk, spec.channels, spec.representation, spec.fusion) == ("resnet50", 256, 1024, True)
    assert (spec.input_mean, spec.input_std) == ((0.4,), (0.2,))
    assert [(b.rows, b.columns) for b in spec.buckets] == [(512, 320), (768, 640)]
    assert (spec.proposals_per_level, spec.proposals, spec.candidates_per_view) == (1000, 1000, 100)


def test_the_card_says_what_is_not_known(imported):
    card = (imported[1].folder / CARD).read_text(encoding="utf-8")

    assert "knows neither what it was fitted on nor" in card
    assert "the pixels of 2 exams" in card
    assert "mean 0.4, std\n0.2" in card


def test_validation_views_are_the_sources_exams_on_their_canvases(imported):
    exams = validation_views(imported[1])

    assert [int(present.sum()) for _, present in exams] == [3, 4]
    for gray, present in exams:
        assert tuple(gray.shape[2:]) in [(512, 320), (768, 640)]
        assert (gray[~present] == -0.5).all()
        assert all((view > 0).any() for view in gray[present])


def test_an_imported_bundle_sweeps(checkpoint, archive, tmp_path):
    out = checkpoint.parent / "plain"
    found = run(
        "torchvision", checkpoint, "--out", out, "--grid-mm", 0.8, "--proposals", 50, "--name", "plain"
    )
    settings = SweepConfig(detect=DetectConfig(flips=FlipMode.NONE, device=Device.CPU, plan=PlanChoice.TORCH))

    mammosweep.sweep_to(tmp_path / "out", archive, bundle=out, config=settings)

    assert found.exit_code == 0, found.stderr
    exams = mammosweep.read_table(tmp_path / "out", "exams").to_pylist()
    assert [(exam["status"], exam["bundle"]) for exam in exams] == [
        ("flagged", "plain 1"),
        ("scored", "plain 1"),
    ]
    findings = mammosweep.read_table(tmp_path / "out", "findings").to_pylist()
    assert len({finding["sop_instance_uid"] for finding in findings}) >= 2
    assert all(exam["score"] == max(_scores(findings, exam["exam_id"])) for exam in exams)


def _scores(findings, exam_id):
    return [0.0, *(finding["score"] for finding in findings if finding["exam_id"] == exam_id)]


def test_files_are_as_readable_as_their_folder(imported):
    folder = imported[1].folder
    mode = folder.stat().st_mode

    assert {path.stat().st_mode & 0o044 for path in folder.iterdir()} == {mode & 0o044}


def test_nothing_is_left_of_an_import_that_fails(checkpoint, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()

    found = run(
        "torchvision", checkpoint, "--out", tmp_path / "new" / "b", "--grid-mm", 0.4, "--views", empty
    )

    assert found.exit_code == 2
    assert "holds no exam whose views can be read" in found.stderr
    assert not (tmp_path / "new").exists()


def test_a_damaged_file_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "torn.safetensors").write_bytes(b"PK\x03\x04 a zipped pickle under another name")

    found = run("torchvision", tmp_path / "torn.safetensors", "--out", tmp_path / "b", "--grid-mm", 0.4)

    assert found.exit_code == 2
    assert "torn.safetensors cannot be read as safetensors" in found.stderr


def test_detectron2s_names_need_a_word_on_strides(tmp_path):
    save_file({"backbone.bottom_up.stem.conv1.weight": torch.zeros(2)}, tmp_path / "d2.safetensors")

    found = run("detectron2", tmp_path / "d2.safetensors", "--out", tmp_path / "b", "--grid-mm", 0.15)

    assert found.exit_code == 2
    assert "--stride-in-3x3" in found.stderr


@pytest.mark.parametrize("grid_mm", [0.05, 0.15, 0.4, 1.0])
def test_default_buckets_hold_the_largest_breast_and_are_few(grid_mm):
    buckets = default_buckets(grid_mm)

    assert len(buckets) <= MAX_BUCKETS
    assert list(buckets) == sorted(buckets, key=lambda b: (b.area, b.rows))
    assert all(side % 32 == 0 for b in buckets for side in (b.rows, b.columns))
    assert buckets[-1].rows * grid_mm >= 300
    assert buckets[-1].columns * grid_mm >= 240


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"types": (LesionType.MASS, LesionType.MASS)}, "--types is 'mass,mass'"),
        ({"image_mean": (0.5,)}, "need as many numbers"),
        ({"image_mean": (0.5,), "image_std": (0.0,)}, "std above 0"),
        ({"anchor_sizes": (32.0, 64.0)}, "--anchor-sizes has 2 numbers; it needs 5"),
        ({"aspect_ratios": ()}, "--aspect-ratios needs numbers above 0"),
        ({"score_floor": 1.0}, "--score-floor is 1.0"),
        ({"merge_iou": 0.0}, "--merge-iou is 0.0"),
        ({"proposals": 0}, "--proposals and --proposals-per-level must be 1 or more"),
        ({"buckets": default_buckets(0.15)[:1] * 13}, "--buckets names 13; 12 are the most"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_settings_that_make_no_detector_are_refused(changed, said):
    with pytest.raises(ConfigError, match=said):
        ImportSettings(**{"grid_mm": 0.15} | changed)
