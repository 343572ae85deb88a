from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from mammosweep.errors import Flag, Reason
from mammosweep.geometry import PixelGrid, Size
from mammosweep.records import (
    SLOTS,
    ExamOutcome,
    ExamStatus,
    Finding,
    ImageRecord,
    ImageStatus,
    Laterality,
    Lesion,
    LesionType,
    Position,
    Provenance,
    ViewPicture,
)

PROVENANCE = Provenance(
    engine_version="0.1.0",
    bundle="reference 1",
    bundle_digest="ab" * 32,
    settings_digest="cd" * 32,
    device="cpu",
    precision="bf16",
)

# A film of 400 x 300 stored pixels, cropped to 300 x 200 and halved: 150 x 100 network pixels.
CROP_PX = (0, 50, 200, 350)
NET = Size(150, 100)


def uid(laterality: Laterality, position: Position) -> str:
    return f"1.2.3.{list(Laterality).index(laterality)}.{list(Position).index(position)}"


def image(laterality: Laterality, position: Position, exam_id: str) -> ImageRecord:
    return ImageRecord(
        path=f"{exam_id}/{laterality}{position}.dcm",
        status=ImageStatus.USED,
        flags=(Flag.FROM_MANIFEST,),
        sop_instance_uid=uid(laterality, position),
        study_instance_uid="1.2.3",
        exam_id=exam_id,
        laterality=laterality,
        view_position=position,
        transfer_syntax="1.2.840.10008.1.2.1",
        rows=400,
        columns=300,
        spacing_mm=(0.075, 0.07),
    )


def picture(laterality: Laterality, position: Position) -> ViewPicture:
    gray = np.tile(np.linspace(250, 5, NET.columns).astype(np.uint8), (NET.rows, 1))
    grid = PixelGrid(crop_px=CROP_PX, net_size=NET, mirrored=laterality is Laterality.RIGHT)
    return ViewPicture(
        sop_instance_uid=uid(laterality, position),
        laterality=laterality,
        position=position,
        gray=gray,
        grid=grid,
    )


def finding(laterality: Laterality, position: Position, box_px: tuple[float, ...], **more: Any) -> Finding:
    return Finding(
        **{
            "sop_instance_uid": uid(laterality, position),
            "laterality": laterality,
            "position": position,
            "box_px": box_px,
            "size_mm": (3.0, 3.0),
            "type": LesionType.MASS,
            "score": 0.75,
            "flip_votes": 4,
            "embedding": np.zeros(4, np.float32),
            "quadrant": "upper",
            "depth": 0.5,
            "malignancy": 0.8,
            "character": {"shape": "irregular", "margin": "spiculated"},
            **more,
        }
    )


def pair(laterality: Laterality, lesion_id: str) -> Lesion:
    views = {
        view: finding(laterality, view, (40.0, 90.0, 80.0, 130.0), lesion_id=lesion_id) for view in Position
    }
    return Lesion(
        lesion_id=lesion_id,
        laterality=laterality,
        type=LesionType.MASS,
        cc=views[Position.CC],
        mlo=views[Position.MLO],
        match_probability=0.9,
        malignancy=0.8,
        category="4C",
    )


@pytest.fixture
def scored() -> Callable[..., ExamOutcome]:
    """A scored exam of four views with a pair in the left breast and a single finding in the right."""

    def make(exam_id: str = "exam-1", **more: Any) -> ExamOutcome:
        right = replace(pair(Laterality.RIGHT, "R1"), mlo=None, match_probability=None, malignancy=0.2)
        outcome = ExamOutcome(
            exam_id=exam_id,
            exam_digest=f"digest of {exam_id}",
            patient_key="9f2c41d07ab3",
            study_date=date(2016, 5, 4),
            status=ExamStatus.SCORED,
            score=0.8,
            score_left=0.8,
            score_right=0.2,
            category="4C",
            lesions=(pair(Laterality.LEFT, "L1"), right),
            images=tuple(image(*slot, exam_id) for slot in SLOTS),
            provenance=PROVENANCE,
            pictures=tuple(picture(*slot) for slot in SLOTS),
        )
        return replace(outcome, **more)

    return make


@pytest.fixture
def unscored() -> Callable[..., ExamOutcome]:
    """An exam whose one image was rejected."""

    def make(exam_id: str = "exam-0", **more: Any) -> ExamOutcome:
        rejected = replace(
            image(Laterality.LEFT, Position.CC, exam_id),
            status=ImageStatus.REJECTED,
            reason=Reason.TRUNCATED,
            message="Pixel Data holds 10 bytes; expected 20; copy the file again.",
        )
        outcome = ExamOutcome(
            exam_id=exam_id,
            exam_digest=f"digest of {exam_id}",
            patient_key=None,
            study_date=None,
            status=ExamStatus.NOT_SCORED,
            reason=Reason.NO_USABLE_VIEW,
            message="None of the exam's 1 image can be used.",
            images=(rejected,),
            provenance=PROVENANCE,
        )
        return replace(outcome, **more)

    return make
