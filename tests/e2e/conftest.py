"""One mixed archive, swept once for all tests that only look."""

from __future__ import annotations

import pytest
from benchmarks.mixed_archive import make_mixed_archive

import mammosweep
from mammosweep.config import DetectConfig, FlipMode, SweepConfig


@pytest.fixture(scope="session")
def quick():
    return SweepConfig(detect=DetectConfig(flips=FlipMode.NONE))


@pytest.fixture(scope="session")
def mixed(tmp_path_factory):
    return make_mixed_archive(tmp_path_factory.mktemp("mixed"))


@pytest.fixture(scope="session")
def swept(mixed, quick, tmp_path_factory):
    """The results' folder of an uninterrupted sweep."""
    out = tmp_path_factory.mktemp("swept") / "out"
    mammosweep.sweep_to(out, mixed.source, manifest=mixed.manifest, config=quick)
    return out
