"""Cases 33 to 58."""

from __future__ import annotations

import pytest
from tests.cases.all_cases import shared
from tests.cases.check import check


@pytest.mark.parametrize("case", shared("Pixels"), ids=lambda case: case.id)
def test_a_case_of_pixels_has_its_outcome(case, swept):
    check(case, swept)


def test_stray_bits_change_no_result(swept):
    sound = swept.result_of("27-formula-in-the-header")["exams"][0]["score"]

    for name in ("native-pixels", "RLE", "JPEG-LS"):
        (exam,) = swept.result_of(f"58-stray-bits-in-{name}")["exams"]
        assert exam["score"] == pytest.approx(sound, abs=1e-6)
