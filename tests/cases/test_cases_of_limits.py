"""Cases that only a worker which may be killed can stand: 18, 36."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydicom import uid
from tests.cases.all_cases import case
from tests.cases.check import check, check_unchanged, swept_of
from tests.cases.making import Desk, encapsulated
from tests.cases.streams import j2k_bomb

import mammosweep
from mammosweep.config import PixelsConfig

TIGHT = PixelsConfig(memory_mib=48)

DEFLATED = "18 deflated frame over the limit"
SPACIOUS = "36 JPEG 2000 bomb below the cap"


def deflated_frame(desk):
    """7,000 x 7,143 stored values that are all alike but for one."""
    pixels = np.zeros((7000, 7143), "<u2")
    pixels[0, 0] = 1
    dataset = desk.image(Rows=7000, Columns=7143, PixelData=pixels.tobytes())
    dataset.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    assert desk.save(dataset).stat().st_size < 200_000


def spacious(desk):
    dataset = desk.image(Rows=7900, Columns=7900)
    desk.save(encapsulated(dataset, uid.JPEG2000Lossless, j2k_bomb(7900, 7900)))


BUILDS = {DEFLATED: deflated_frame, SPACIOUS: spacious}


@pytest.fixture(scope="module")
def limited(tmp_path_factory, write_neighbour, spoilt, quick):
    """A sweep whose workers may take 48 MiB."""
    place = tmp_path_factory.mktemp("limits")
    archive = place / "archive"
    write_neighbour(archive)
    for name, build in BUILDS.items():
        build(Desk(archive / case(name).folder, spoilt))
    mammosweep.sweep_to(place / "out", archive, config=replace(quick, pixels=TIGHT))
    return swept_of(place / "out")


@pytest.mark.parametrize("name", BUILDS)
def test_what_a_worker_is_killed_over_costs_one_image(name, limited):
    check(case(name), limited)


def test_the_neighbour_has_the_results_that_it_has_alone(limited, alone):
    check_unchanged(alone, limited.result_of("neighbour"))
