"""Calcification findings of phantoms, as native crops with their truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from mammosweep.phantom import LesionTruth, PhantomConfig, PhantomView, make_exam
from mammosweep.phantom.exam import plan_exam
from mammosweep.pixels.detail import NativeCrop
from mammosweep.records import LesionType

SEED = 404
CONFIG = PhantomConfig(lesion_rate=1.0, border_rate=0.0)


@dataclass(frozen=True)
class Planted:
    """One lesion in one view."""

    crop: NativeCrop
    truth: LesionTruth
    exam_id: str


def _crop(view: PhantomView, truth: LesionTruth) -> NativeCrop:
    x1, y1, x2, y2 = (int(edge) for edge in truth.box_px)
    left, top = max(x1 - 20, 0), max(y1 - 20, 0)
    gray = view.pixels[top : y2 + 20, left : x2 + 20].astype(np.float32) / CONFIG.max_value
    return NativeCrop(gray, (0.1, 0.1), (x1 - left, y1 - top, x2 - left, y2 - top))


@pytest.fixture(scope="session")
def planted():
    """Both views of the first nine clusters of a series of phantoms, of both fates, at 0.1 mm."""
    found = []
    for index in range(100):
        kinds = [lesion.type for lesion in plan_exam(SEED, index, CONFIG).lesions]
        if kinds != [LesionType.CALCIFICATION]:
            continue
        exam = make_exam(SEED, index, CONFIG)
        found += [
            Planted(_crop(view, truth), truth, exam.exam_id) for view in exam.views for truth in view.truths
        ]
        if len(found) == 18:
            return found
    raise AssertionError("the series has fewer than nine single clusters")
