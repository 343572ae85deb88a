"""A finished sweep beside its truth: every evaluated image with what was found in it and what is in it.

START of the evaluation; `lesions.py` then follows each true lesion through both views.
"""

# Shapes:  K findings of an image   T truths of an image
from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mammosweep.errors import ConfigError
from mammosweep.evaluate.boxes import hits
from mammosweep.evaluate.truth import Row, TrueImage, TrueMark, Truth
from mammosweep.records import ImageStatus, LesionType

__all__ = ["EngineLesion", "Found", "ReadImage", "Study", "Tables", "join"]

Tables = Mapping[str, Sequence[Row]]
Key = tuple[str, str]  # exam id and lesion id

NOT_IN_SWEEP = "not in the sweep"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLesion:
    """A row of the sweep's lesions."""

    key: Key
    laterality: str
    malignancy: float
    category: str
    score: float  # the best detector score of its findings
    is_pair: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A row of the sweep's findings, in an image that is evaluated."""

    box_px: tuple[float, float, float, float]
    type: LesionType
    score: float
    quadrant: str | None
    depth: float | None
    lesion: EngineLesion


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadImage:
    """An image that the sweep used and that the truth knows."""

    path: str
    exam_id: str
    group: str  # the patient's pseudonym, else the exam: what a bootstrap draws together
    laterality: str
    position: str
    spacing_mm: tuple[float, float] | None
    found: tuple[Found, ...]
    truths: tuple[TrueMark, ...]
    hits: NDArray[np.bool_] = field(repr=False)  # (K, T)

    @property
    def breast(self) -> tuple[str, str]:
        """Exam and side."""
        return self.exam_id, self.laterality


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What is evaluated, and what is not, by reason."""

    images: tuple[ReadImage, ...]
    exams: Mapping[str, Row]  # rows of the sweep's exams, those with an evaluated image
    groups: Mapping[str, str]  # exam id -> group
    about: Mapping[str, Mapping[str, str]]  # exam id -> density, vendor, age
    exam_of_patient: Mapping[str, str]  # as the truth names patients; only those with one exam
    not_read: Mapping[str, int]  # images of the truth that the sweep did not use, by reason
    not_read_paths: tuple[tuple[str, str], ...]  # path and reason
    num_unlisted: int  # images that were used and of which the truth says nothing


def join(
    tables: Tables,
    truth: Truth,
    iou: float | None = None,
    about: Mapping[str, Mapping[str, str]] | None = None,
) -> Study:
    """Match the truth's images to the sweep's, by path, else by SOP Instance UID.

    Args:
        tables: rows of the sweep's ``images``, ``findings``, ``lesions`` and ``exams``.
        truth: see `read_truth`.
        iou: None: a finding hits where its centre lies in the lesion's box; else the least overlap of a hit.
        about: what else is known of exams, by exam id; it overrides the truth's words.

    Raises:
        ConfigError: no image of the sweep is known to the truth.
    """
    used = [row for row in tables["images"] if row["status"] == ImageStatus.USED and row["exam_id"]]
    exams = {row["exam_id"]: row for row in tables["exams"]}
    listed, missing = _listed(tables["images"], truth)
    lesions = _lesions(tables)
    findings = defaultdict(list)
    for row in tables["findings"]:
        findings[row["exam_id"], row["sop_instance_uid"]].append(row)
    images, num_unlisted = [], 0
    for row in used:
        known = listed.get(row["path"]) or _clean(row, truth)
        if known is None:
            num_unlisted += 1
            continue
        rows = findings[row["exam_id"], row["sop_instance_uid"]]
        exam = exams[row["exam_id"]]
        images.append(_read_image(row, exam, rows, lesions, known, iou))
    if not images:
        raise ConfigError(
            f"none of the sweep's {len(used)} used images is named by the truth's {len(truth.images)}; "
            "expected paths relative to the folder that was swept, or SOP Instance UIDs; give the truth "
            "of this sweep"
        )
    ids = {image.exam_id for image in images}
    return Study(
        images=tuple(images),
        exams={exam_id: exams[exam_id] for exam_id in sorted(ids)},
        groups={image.exam_id: image.group for image in images},
        about=_about(used, listed, truth, about or {}, ids),
        exam_of_patient=_exam_of_patient(used, listed),
        not_read=Counter(reason for _, reason in missing),
        not_read_paths=tuple(missing),
        num_unlisted=num_unlisted,
    )


def _listed(rows: Sequence[Row], truth: Truth) -> tuple[dict[str, TrueImage], list[tuple[str, str]]]:
    """The truth's images by the sweep's path; and those that were not used, each with the reason."""
    by_path = {row["path"]: row for row in rows}
    by_uid = {row["sop_instance_uid"]: row for row in rows if row["status"] == ImageStatus.USED}
    listed: dict[str, TrueImage] = {}
    missing = []
    for image in truth.images:
        row = by_path.get(image.path) or by_uid.get(image.sop_instance_uid or "")
        if row is None:
            missing.append((image.path, NOT_IN_SWEEP))
        elif row["status"] != ImageStatus.USED:
            missing.append((image.path, str(row["reason"] or row["status"])))
        else:
            listed[row["path"]] = image
    return listed, missing


def _clean(row: Row, truth: Truth) -> TrueImage | None:
    """An image that the table does not name, where the truth means it to be without a lesion."""
    whole = not truth.exams or row["exam_id"] in truth.exams
    return TrueImage(path=row["path"]) if truth.unlisted_clean and whole else None


def _lesions(tables: Tables) -> dict[Key, EngineLesion]:
    scores: dict[Key, float] = defaultdict(float)
    for row in tables["findings"]:
        key = row["exam_id"], row["lesion_id"]
        scores[key] = max(scores[key], row["score"])
    return {
        (key := (row["exam_id"], row["lesion_id"])): EngineLesion(
            key=key,
            laterality=row["laterality"],
            malignancy=row["malignancy"],
            category=row["category"],
            score=scores[key],
            is_pair=bool(row["cc_sop_instance_uid"] and row["mlo_sop_instance_uid"]),
        )
        for row in tables["lesions"]
    }


def _read_image(
    row: Row,
    exam: Row,
    rows: Sequence[Row],
    lesions: Mapping[Key, EngineLesion],
    known: TrueImage,
    iou: float | None,
) -> ReadImage:
    found = tuple(
        Found(
            box_px=(one["x1"], one["y1"], one["x2"], one["y2"]),
            type=LesionType(one["type"]),
            score=one["score"],
            quadrant=one["quadrant"],
            depth=one["depth"],
            lesion=lesions[one["exam_id"], one["lesion_id"]],
        )
        for one in rows
    )
    spacing = row["spacing_mm"]
    return ReadImage(
        path=row["path"],
        exam_id=row["exam_id"],
        group=exam["patient_key"] or row["exam_id"],
        laterality=row["laterality"],
        position=row["view_position"],
        spacing_mm=(spacing[0], spacing[1]) if spacing else None,
        found=found,
        truths=known.marks,
        hits=hits([one.box_px for one in found], [mark.box_px for mark in known.marks], iou),
    )


def _about(
    used: Sequence[Row],
    listed: Mapping[str, TrueImage],
    truth: Truth,
    about: Mapping[str, Mapping[str, str]],
    ids: set[str],
) -> dict[str, dict[str, str]]:
    """What is known of each exam: the headers' words, overridden by the truth's, overridden by `about`."""
    words: dict[str, dict[str, str]] = {exam_id: {} for exam_id in ids}
    for row in used:
        if row["exam_id"] in ids and row.get("manufacturer"):
            words[row["exam_id"]].setdefault("vendor", str(row["manufacturer"]))
    for row in used:
        if row["path"] in listed and row["exam_id"] in ids:
            words[row["exam_id"]] |= listed[row["path"]].words
    for known in (truth.exams, about):
        for exam_id in ids & set(known):
            words[exam_id] |= known[exam_id]
    return words


def _exam_of_patient(used: Sequence[Row], listed: Mapping[str, TrueImage]) -> dict[str, str]:
    exams = defaultdict(set)
    for row in used:
        image = listed.get(row["path"])
        if image is not None and image.patient:
            exams[image.patient].add(row["exam_id"])
    return {patient: next(iter(found)) for patient, found in exams.items() if len(found) == 1}
