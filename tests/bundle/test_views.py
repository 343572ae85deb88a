"""Validation views come back as they were kept, to the step of 8 bits."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from mammosweep.bundle import open_bundle, reference_bundle_path
from mammosweep.bundle.load import VIEWS, Bundle
from mammosweep.bundle.manifest import read_manifest
from mammosweep.bundle.views import validation_views, write_views
from mammosweep.errors import BundleError
from mammosweep.pixels.normalise import GRAY_RANGE

STEP = (GRAY_RANGE[1] - GRAY_RANGE[0]) / 255


@pytest.fixture
def bundle(tmp_path):
    """The shipped manifest, with the files that the test writes."""
    return Bundle(tmp_path, read_manifest(reference_bundle_path()), digest="")


def exam(rows, columns, present):
    gray = torch.rand(4, 1, rows, columns) * 2.5 - 0.5
    gray[0, 0, 0, :2] = torch.tensor(GRAY_RANGE)
    return gray, torch.tensor(present)


def test_views_come_back_as_they_were_kept(bundle):
    exams = [exam(64, 128, [True] * 4), exam(128, 64, [True, False, True, False])]
    write_views(bundle.file(VIEWS), exams, GRAY_RANGE)

    found = validation_views(bundle)

    assert len(found) == 2
    for (gray, present), (kept, there) in zip(found, exams, strict=True):
        torch.testing.assert_close(gray, kept, rtol=0, atol=STEP / 2 + 1e-6)
        assert torch.equal(present, there)
        assert gray[0, 0, 0, :2].tolist() == list(GRAY_RANGE)


def test_a_bundle_without_views_has_none(bundle):
    files = {name: digest for name, digest in bundle.manifest.files.items() if name != VIEWS}

    assert validation_views(replace(bundle, manifest=replace(bundle.manifest, files=files))) == []


@pytest.mark.parametrize(
    ("tensors", "metadata", "said"),
    [
        ({"exam0/pixels": torch.zeros(4, 1, 8, 8)}, {}, "gray_low"),
        ({"exam0/pixels": torch.zeros(2), "b": torch.zeros(2)}, None, "exam0/present"),
        (
            {"exam0/pixels": torch.zeros(4, 1, 8, 8), "exam0/present": torch.ones(4, dtype=torch.bool)},
            None,
            r"an exam of views.safetensors is torch.float32 \(4, 1, 8, 8\)",
        ),
    ],
    ids=["metadata", "names", "type"],
)
def test_what_holds_no_views_is_refused(tensors, metadata, said, bundle):
    metadata = {"gray_low": "-0.5", "gray_high": "2"} if metadata is None else metadata
    save_file(tensors, bundle.file(VIEWS), metadata=metadata)

    with pytest.raises(BundleError, match=said):
        validation_views(bundle)


def test_the_shipped_bundle_brings_two_phantom_exams_on_its_own_canvases():
    bundle = open_bundle()
    sizes = [(size.rows, size.columns) for size in bundle.manifest.detector.buckets]

    exams = validation_views(bundle)

    assert len(exams) == 2
    assert bundle.file(VIEWS).stat().st_size < 1.5e6
    for gray, present in exams:
        assert tuple(gray.shape[2:]) in sizes
        assert present.all()
        shares = [((view > 0) & (view < 1)).sum() / (view > -0.4).sum() for view in gray]
        assert all(0.6 < share < 0.95 for share in shares)  # 90 % of the breast, without its rim's dark ramp
