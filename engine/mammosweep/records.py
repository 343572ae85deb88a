"""What flows between the stages, with shapes and units.

Boxes are xyxy in an image's own stored pixels, counted from the outer edge of the top-left pixel, unless
a name ends in ``_net``. Spacings are (row, column) millimetres in the object plane: row spacing is the
distance between rows, as in Pixel Spacing (0028,0030).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from mammosweep.errors import Flag, Reason
from mammosweep.geometry import PixelGrid, Size

__all__ = [
    "LESION_TYPES",
    "SLOTS",
    "ExamOutcome",
    "ExamRef",
    "ExamStatus",
    "Finding",
    "ImageRecord",
    "ImageStatus",
    "Laterality",
    "Lesion",
    "LesionType",
    "Position",
    "Provenance",
    "ScreenedExam",
    "View",
    "ViewPicture",
]

FloatArray = NDArray[np.float32]


class Laterality(StrEnum):
    """Image Laterality (0020,0062)."""

    LEFT = "L"
    RIGHT = "R"


class Position(StrEnum):
    """The two views of screening; View Position (0018,5101)."""

    CC = "CC"
    MLO = "MLO"


class LesionType(StrEnum):
    """What the detector tells apart, in the order of its class scores (0 is background)."""

    MASS = "mass"
    CALCIFICATION = "calcification"
    ASYMMETRY = "asymmetry"
    DISTORTION = "distortion"


LESION_TYPES: tuple[LesionType, ...] = tuple(LesionType)

SLOTS: tuple[tuple[Laterality, Position], ...] = (
    (Laterality.LEFT, Position.CC),
    (Laterality.RIGHT, Position.CC),
    (Laterality.LEFT, Position.MLO),
    (Laterality.RIGHT, Position.MLO),
)
"""The four views in the order in which every batch holds them."""


class ImageStatus(StrEnum):
    """What became of a file. Every file seen has exactly one."""

    USED = "used"
    SET_ASIDE = "set_aside"  # a sound image that this exam does not need, or that policy excludes
    REJECTED = "rejected"  # cannot be read, or not be trusted


class ExamStatus(StrEnum):
    """What became of an exam. Every exam seen has exactly one."""

    SCORED = "scored"
    FLAGGED = "flagged"
    NOT_SCORED = "not_scored"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecord:
    """One file of the archive: what its header says and what became of it. A row of images.parquet."""

    path: str  # relative to the source's root, POSIX separators, undecodable bytes escaped
    status: ImageStatus
    reason: Reason | None = None
    message: str = ""  # one sentence: what, found, expected, what to do; empty when used
    flags: tuple[Flag, ...] = ()
    size_bytes: int = 0
    mtime_ns: int = 0
    sop_instance_uid: str | None = None
    study_instance_uid: str | None = None
    exam_id: str | None = None  # the manifest's, else the Study Instance UID
    patient_key: str | None = None  # keyed pseudonym; the identifier itself is never kept
    study_date: date | None = None
    laterality: Laterality | None = None
    view_position: Position | None = None
    transfer_syntax: str | None = None  # a DICOM UID, or "image/png", "image/jpeg", "image/tiff"
    rows: int | None = None
    columns: int | None = None
    spacing_mm: tuple[float, float] | None = None
    for_processing: bool = False
    manufacturer: str | None = None
    model: str | None = None
    voi: str | None = None  # which of the header's presentations was applied; None until pixels are read
    levels_left_out: int | None = None  # of the wavelet transform, where decoding needed no finer one


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One mammogram that will be read: what is known of it before any pixel is."""

    path: str  # relative, as in its ImageRecord
    sop_instance_uid: str
    laterality: Laterality
    position: Position
    size_px: Size
    spacing_mm: tuple[float, float]  # (row, column), object plane
    transfer_syntax: str
    size_bytes: int = 0  # of the file when it was indexed; 0 where that is not known
    mtime_ns: int = 0  # likewise: its last change


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamRef:
    """One screening study of one patient, as the catalog knows it."""

    exam_id: str
    patient_key: str | None
    study_date: date | None
    views: tuple[View, ...]  # at most one per slot, in SLOTS order
    images: tuple[ImageRecord, ...]  # every file of the exam, used or not, ordered by path
    flags: tuple[Flag, ...] = ()
    reason: Reason | None = None  # set when no pixel need be read to know it cannot be scored
    message: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 over what the exam consists of: a late or changed image gives another digest."""
        files = sorted((i.path, i.size_bytes, i.mtime_ns, str(i.status), str(i.reason)) for i in self.images)
        views = [(v.path, v.laterality, v.position, v.spacing_mm) for v in self.views]
        text = json.dumps([self.exam_id, self.patient_key, str(self.study_date), files, views])
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A candidate in one view: a row of findings.parquet."""

    sop_instance_uid: str
    laterality: Laterality
    position: Position
    box_px: tuple[float, float, float, float]  # xyxy, stored pixels
    size_mm: tuple[float, float]  # height, width of the box in the object plane
    type: LesionType
    score: float  # detector's probability of that type, moved by what is known of the whole exam
    flip_votes: int  # how many of the flipped looks agreed
    embedding: FloatArray = field(repr=False)  # (D,) box-head representation
    quadrant: str | None = None  # see vocabulary.py
    depth: float | None = None  # 0 nipple, 1 pectoralis major
    nipple_mm: float | None = None  # the box's centre from the nipple
    place: str | None = None  # what gave quadrant and depth: "network" or "geometry"
    malignancy: float | None = None
    character: dict[str, str] = field(default_factory=dict)  # e.g. {"shape": "irregular"}
    character_scores: dict[str, float] = field(default_factory=dict)  # e.g. {"shape.irregular": 0.83}
    calcification: dict[str, float] = field(default_factory=dict)  # measured, see lesion/calcification
    second_look: float | None = None  # the character network's probability that there is a lesion at all
    detector_score: float | None = None  # before it was moved, see exam/rescore.py; None: it was not
    lesion_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesion:
    """A matched CC/MLO pair of findings, or a single one: a row of lesions.parquet."""

    lesion_id: str  # unique within the exam: "L1", "R2"
    laterality: Laterality
    type: LesionType
    cc: Finding | None
    mlo: Finding | None
    match_probability: float | None  # None for a single finding
    malignancy: float
    category: str  # "2", "3", "4A", "4B", "4C", "5" as the bundle's thresholds say
    # Log-odds by feature of the decision model, and "bias"; their sum is the logit of the probability that it
    # gives before calibration. Empty where the bundle has no decision model.
    contributions: dict[str, float] = field(default_factory=dict)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings it consists of, CC first."""
        return tuple(f for f in (self.cc, self.mlo) if f is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What an outcome was computed with."""

    engine_version: str
    bundle: str  # "name version"
    bundle_digest: str
    settings_digest: str
    device: str
    precision: str
    plan: str = ""  # what computed the detector's networks: "torch", "openvino", "tensorrt"


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewPicture:
    """A normalised view for the exam's page: ``gray`` is the breast's crop as the network saw it, chest
    wall at the left, (rows, columns) of ``grid.net_size``, uint8; ``grid.to_network`` places findings on it.
    """

    sop_instance_uid: str
    laterality: Laterality
    position: Position
    gray: NDArray[np.uint8] = field(repr=False)
    grid: PixelGrid


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenedExam:
    """An exam whose pixels have been seen: what is decided about it needs no more of them."""

    exam: ExamRef
    imaged: tuple[View, ...]  # the views that could be used, in SLOTS order
    images: tuple[ImageRecord, ...]  # every file of the exam with its final status
    findings: tuple[Finding, ...]
    provenance: Provenance
    pictures: tuple[ViewPicture, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamOutcome:
    """What an exam leaves with."""

    exam_id: str
    exam_digest: str
    patient_key: str | None
    study_date: date | None
    status: ExamStatus
    reason: Reason | None = None
    message: str = ""
    flags: tuple[Flag, ...] = ()
    score: float | None = None  # 0..1, all None unless scored
    score_left: float | None = None
    score_right: float | None = None
    benign_left: float | None = None  # 0..1, that the breast holds a benign lesion: see exam/score.py
    benign_right: float | None = None
    category: str | None = None  # BI-RADS-like, "1".."5"
    lesions: tuple[Lesion, ...] = ()
    images: tuple[ImageRecord, ...] = ()  # every file of the exam with its final status
    provenance: Provenance
    pictures: tuple[ViewPicture, ...] = field(default=(), repr=False)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Every finding of every lesion."""
        return tuple(finding for lesion in self.lesions for finding in lesion.findings)
