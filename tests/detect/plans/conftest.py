"""A bundle so small that its plans are built in seconds; of random weights: what it finds means nothing."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from mammosweep.bundle import Bundle, open_bundle
from mammosweep.bundle.load import CARD, DETECTOR, VIEWS, file_digest
from mammosweep.bundle.manifest import BundleManifest, DetectorSpec, write_manifest
from mammosweep.bundle.views import write_views
from mammosweep.detect.network import FourViewDetector
from mammosweep.detect.plans.fixed_batch import drawn_exams
from mammosweep.geometry import Size
from mammosweep.pixels.normalise import GRAY_RANGE
from mammosweep.records import LESION_TYPES

SPEC = DetectorSpec(
    trunk="resnet18",
    channels=16,
    representation=32,
    anchor_sizes=(16.0, 32.0, 64.0, 96.0, 128.0),
    aspect_ratios=(0.5, 1.0, 2.0),
    buckets=(Size(192, 128), Size(256, 128)),
    score_floor=0.05,
    merge_iou=0.3,
    candidates_per_view=10,
    proposals_per_level=50,
    proposals=20,
)


def write_bundle(folder, spec: DetectorSpec = SPEC, *, views: int = 0) -> Bundle:
    """A bundle of a spec with random weights, and with so many validation exams."""
    folder.mkdir()
    torch.manual_seed(0)
    network = FourViewDetector(spec)
    torch.nn.init.normal_(network.roi_heads.box_predictor.cls_score.weight, std=0.2)
    save_file({name: t.contiguous() for name, t in network.state_dict().items()}, folder / DETECTOR)
    (folder / CARD).write_text("Random weights.")
    if views:
        write_views(folder / VIEWS, drawn_exams(spec.buckets[0], views), GRAY_RANGE)
    manifest = BundleManifest(
        name="tiny",
        version="1",
        fitted_on="nothing",
        note="It means nothing.",
        lesion_types=LESION_TYPES,
        grid_mm=0.8,
        allow_for_processing=False,
        detector=spec,
        match_threshold=0.5,
        aggregation="max",
        category_thresholds=(0.1, 0.2, 0.4, 0.6, 0.8),
        files={name.name: file_digest(name) for name in sorted(folder.iterdir())},
    )
    write_manifest(folder, manifest)
    return open_bundle(folder)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory) -> Bundle:
    """Without validation views."""
    return write_bundle(tmp_path_factory.mktemp("tiny") / "bundle")


@pytest.fixture(scope="session")
def bundle_with_views(tmp_path_factory) -> Bundle:
    """With four validation exams."""
    return write_bundle(tmp_path_factory.mktemp("seen") / "bundle", views=4)
