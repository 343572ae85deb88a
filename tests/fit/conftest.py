"""A small annotated archive, coarse enough to fit on in seconds, and settings for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammosweep.fit.samples import read_samples
from mammosweep.fit.settings import read_settings
from mammosweep.phantom import PhantomConfig, Syntax, write_phantoms

GRID_MM = 1.6

PHANTOM_BUNDLE = Path(__file__).parents[1] / "bundles" / "phantom-regnetx-002"

SMALL = """
seed = 3
start = "{detector}"
[bundle]
name = "small"
version = "1"
note = "Fitted in a few steps."
fitted_on = "a dozen phantoms"
grid_mm = 0.4
[network]
trunk = "regnetx_002"
channels = 64
representation = 192
anchor_sizes = [16.0, 32.0, 56.0, 88.0, 128.0]
aspect_ratios = [0.5, 1.0, 2.0]
buckets = [[448, 256], [512, 320], [640, 384]]
score_floor = 0.05
merge_iou = 0.3
candidates_per_view = 12
proposals = 30
[detector]
steps = 4
exams_per_step = 1
learning_rate = 1e-6
warmup_steps = 2
checkpoint_every = 1
average_decay = 0.9
frozen_norms = true
[place]
steps = 8
batch = 4
checkpoint_every = 2
[character]
crop_mm = 24.0
crop_px = 32
[character_fit]
steps = 6
batch = 8
warmup_steps = 2
checkpoint_every = 2
[split]
validation = 0.25
judge = 0.6
folds = 2
"""
"""The phantom bundle's detector, a little further; the rest from nothing."""


@pytest.fixture(scope="session")
def annotated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("annotated")
    config = PhantomConfig(spacing_mm=0.4, lesion_rate=1.0)
    write_phantoms(folder, exams=12, seed=11, syntaxes=[Syntax.EXPLICIT], config=config)
    return folder


@pytest.fixture(scope="session")
def samples(annotated):
    return read_samples(annotated, GRID_MM)[:3]


@pytest.fixture(scope="session")
def small_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("settings") / "small.toml"
    path.write_text(SMALL.format(detector=PHANTOM_BUNDLE / "detector.safetensors"))
    return path


@pytest.fixture(scope="session")
def small(small_file):
    return read_settings(small_file)
