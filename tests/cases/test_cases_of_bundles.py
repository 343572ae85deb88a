"""Cases that a bundle decides: 40 and 71."""

from __future__ import annotations

import shutil

import pytest
from tests.cases.all_cases import case
from tests.cases.check import check, swept_of
from tests.cases.exam_cases import FOR_PROCESSING
from tests.cases.making import Desk, changed
from tests.cases.pixel_cases import baseline

import mammosweep
from mammosweep.bundle.load import reference_bundle_path

LOSSY = "40 8 bit lossy JPEG that the bundle allows"
RAW = "71 For Processing that the bundle was fitted on"
BUILDS = {LOSSY: baseline(), RAW: changed(**FOR_PROCESSING)}


@pytest.fixture(scope="module")
def allowed(tmp_path_factory, spoilt, quick):
    """A sweep with a bundle that says it was fitted on such images too."""
    place = tmp_path_factory.mktemp("bundles")
    bundle = shutil.copytree(reference_bundle_path(), place / "bundle")
    text = (bundle / "bundle.toml").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("allow_")]
    at = next(i for i, line in enumerate(lines) if line.startswith("grid_mm"))
    lines[at:at] = ["allow_for_processing = true", "allow_lossy_jpeg = true"]
    (bundle / "bundle.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name, build in BUILDS.items():
        build(Desk(place / "archive" / case(name).folder, spoilt))
    mammosweep.sweep_to(place / "out", place / "archive", bundle=bundle, config=quick)
    return swept_of(place / "out")


@pytest.mark.parametrize("name", BUILDS)
def test_what_a_bundle_was_fitted_on_is_scored_and_flagged(name, allowed):
    check(case(name), allowed)
