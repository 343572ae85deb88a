"""Records become exams: what can only be said of several images together.

Every record leaves in exactly one place with its final status: in the exam of its exam id, or among those
that belong to none.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from types import MappingProxyType

from mammosweep.archive.identity import LOSSY_JPEG_8_BIT
from mammosweep.archive.verdict import refused
from mammosweep.errors import Flag, Reason
from mammosweep.geometry import Size
from mammosweep.records import SLOTS, ExamRef, ImageRecord, ImageStatus, Laterality, Position, View

__all__ = ["ContentDigest", "Settled", "assemble", "settle_shared", "view_flags"]

ContentDigest = Callable[[ImageRecord], str]
"""Gives a digest of a file's bytes; asked only where two files have the same SOP Instance UID."""

Settled = Mapping[str, ImageRecord]
"""Files that were refused for the sake of others with their UID, by path."""

Slot = tuple[Laterality, Position]

Images = dict[str, ImageRecord]  # by path, in the order of paths

# Detectors of one breast's two views differ by nothing; 0.5 % is rounding in the header.
SPACING_TOLERANCE = 0.005


def assemble(
    records: Iterable[ImageRecord],
    *,
    content_digest: ContentDigest,
    settled: Settled = MappingProxyType({}),
    allow_for_processing: bool = False,
    allow_lossy_jpeg: bool = False,
) -> tuple[list[ExamRef], list[ImageRecord]]:
    """Put records together to exams.

    Args:
        records: one for each file, with its status as its own header gives it.
        content_digest: tells files of one UID apart.
        settled: what `settle_shared` said of files whose UID others have that are not among the records.
        allow_for_processing: use For Processing images where no For Presentation image shows the view.
        allow_lossy_jpeg: use images whose pixels are 8 bit lossy JPEG.

    Returns:
        The exams, ordered by exam id; and the records without an exam id, ordered by path.
    """
    images = {record.path: record for record in sorted(records, key=lambda record: record.path)}
    if not allow_lossy_jpeg:
        _set_lossy_aside(images)
    images.update((path, settled[path]) for path in images.keys() & settled.keys())
    _settle_shared_uids(images, content_digest)
    exams: dict[str, Images] = defaultdict(dict)
    for image in images.values():
        if image.exam_id is not None:
            exams[image.exam_id][image.path] = image
    assembled = [_exam(exam_id, exams[exam_id], allow_for_processing) for exam_id in sorted(exams)]
    return assembled, [image for image in images.values() if image.exam_id is None]


def settle_shared(
    records: Iterable[ImageRecord], *, content_digest: ContentDigest, allow_lossy_jpeg: bool = False
) -> Settled:
    """What becomes of files that share their UID with files of other groups; used ones are left out.

    Args:
        records: all files whose UID is in several groups.
        content_digest: tells files of one UID apart.
        allow_lossy_jpeg: as in `assemble`.
    """
    images = {record.path: record for record in sorted(records, key=lambda record: record.path)}
    if not allow_lossy_jpeg:
        _set_lossy_aside(images)
    _settle_shared_uids(images, content_digest)
    return {path: image for path, image in images.items() if image.status is not ImageStatus.USED}


def view_flags(views: Sequence[View]) -> tuple[Flag, ...]:
    """What the set of views itself says."""
    applies = {
        Flag.MISSING_VIEWS: len(views) < len(SLOTS),
        Flag.ONE_BREAST: len({view.laterality for view in views}) == 1,
        Flag.SPACING_DIFFERS: any(_spacings_differ(views, laterality) for laterality in Laterality),
    }
    return tuple(flag for flag, truth in applies.items() if truth)


def _spacings_differ(views: Sequence[View], laterality: Laterality) -> bool:
    spacings = [view.spacing_mm for view in views if view.laterality is laterality]
    return len(spacings) == 2 and not all(
        math.isclose(a, b, rel_tol=SPACING_TOLERANCE) for a, b in zip(*spacings, strict=True)
    )


def _set_lossy_aside(images: Images) -> None:
    message = "8 bit lossy JPEG: small calcifications may be lost; expected a lossless copy"
    for image in _used(images):
        if image.transfer_syntax == LOSSY_JPEG_8_BIT:
            images[image.path] = refused(image, Reason.LOSSY_NOT_ALLOWED, message)


def _settle_shared_uids(images: Images, content_digest: ContentDigest) -> None:
    """The same image twice is used once; two images under one UID are both set aside."""
    by_uid: dict[str, list[ImageRecord]] = defaultdict(list)
    for image in images.values():
        if image.status is ImageStatus.USED and image.sop_instance_uid is not None:
            by_uid[image.sop_instance_uid].append(image)
    for group in by_uid.values():
        if len(group) > 1:
            _settle(group, images, content_digest)


def _settle(group: list[ImageRecord], images: Images, content_digest: ContentDigest) -> None:
    if len({content_digest(image) for image in group}) > 1:
        for image in group:
            message = f"{len(group)} different files have its SOP Instance UID (0008,0018); expected one"
            images[image.path] = refused(image, Reason.UID_CONFLICT, message)
        return
    for image in group[1:]:
        message = f"the same bytes as {group[0].path}, which is used"
        images[image.path] = refused(image, Reason.DUPLICATE_FILE, message)


def _exam(exam_id: str, images: Images, allow_for_processing: bool) -> ExamRef:
    patients = {image.patient_key for image in images.values()} - {None}
    has_own_id = any(image.study_instance_uid != exam_id for image in images.values())
    if len(patients) > 1 and not has_own_id:  # an exam id of the manifest vouches for its images
        _set_all_aside(images, len(patients))
    _prefer_presentation(images, allow_for_processing)
    flags = _one_for_each_slot(images)
    by_slot = _by_slot(images)
    views = tuple(_view(by_slot[slot][0], slot) for slot in SLOTS if slot in by_slot)
    reason, message = (None, "") if views else _why_not(images)
    return ExamRef(
        exam_id=exam_id,
        patient_key=next(iter(patients)) if len(patients) == 1 else None,
        study_date=_study_date(images),
        views=views,
        images=tuple(images.values()),
        flags=(*view_flags(views), *flags, *_image_flags(images))
        if views
        else (*flags, *_image_flags(images)),
        reason=reason,
        message=message,
    )


def _set_all_aside(images: Images, num_patients: int) -> None:
    message = f"its study holds images of {num_patients} patients; expected one; give exam_id in a manifest"
    for image in _used(images):
        images[image.path] = refused(image, Reason.SEVERAL_PATIENTS, message)


def _prefer_presentation(images: Images, allow_for_processing: bool) -> None:
    """Of a view in both forms, For Presentation is used."""
    if not any(image.for_processing for image in images.values()):
        return
    for candidates in _by_slot(images).values():
        has_presentation = any(not image.for_processing for image in candidates)
        if allow_for_processing and not has_presentation:
            continue
        message = "a For Processing image; " + (
            "the For Presentation image of the same view is used"
            if has_presentation
            else "expected For Presentation, which the model was fitted on"
        )
        for image in candidates:
            if image.for_processing:
                images[image.path] = refused(image, Reason.FOR_PROCESSING, message)


def _one_for_each_slot(images: Images) -> tuple[Flag, ...]:
    """Of a view exposed more than once the largest image is used, of equals the last UID."""
    flags = []
    for found in _by_slot(images).values():
        candidates = sorted(found, key=_precedence)
        for image in candidates[:-1]:
            message = f"the view was taken more than once; {candidates[-1].path} is used"
            images[image.path] = refused(image, Reason.DUPLICATE_VIEW, message)
            flags = [Flag.DUPLICATE_VIEWS]
    return tuple(flags)


def _precedence(image: ImageRecord) -> tuple[int, str]:
    return (image.rows or 0) * (image.columns or 0), image.sop_instance_uid or ""


def _used(images: Images) -> list[ImageRecord]:
    return [image for image in images.values() if image.status is ImageStatus.USED]


def _by_slot(images: Images) -> dict[Slot, list[ImageRecord]]:
    """The images that are used, by the view that each shows."""
    found: dict[Slot, list[ImageRecord]] = defaultdict(list)
    for image in images.values():
        if image.status is ImageStatus.USED and image.laterality and image.view_position:
            found[image.laterality, image.view_position].append(image)
    return found


def _view(image: ImageRecord, slot: Slot) -> View:
    assert image.rows and image.columns and image.spacing_mm  # noqa: PT018 - a used image has them
    assert image.sop_instance_uid and image.transfer_syntax  # noqa: PT018
    return View(
        path=image.path,
        sop_instance_uid=image.sop_instance_uid,
        laterality=slot[0],
        position=slot[1],
        size_px=Size(image.rows, image.columns),
        spacing_mm=image.spacing_mm,
        transfer_syntax=image.transfer_syntax,
        size_bytes=image.size_bytes,
        mtime_ns=image.mtime_ns,
    )


def _image_flags(images: Images) -> tuple[Flag, ...]:
    reasons = {image.reason for image in images.values()}
    extra = (Flag.EXTRA_VIEWS,) if Reason.EXTRA_VIEW in reasons else ()
    return (*extra, Flag.IMAGES_NOT_USED) if reasons - {None} else extra


def _why_not(images: Images) -> tuple[Reason, str]:
    reasons = {image.reason for image in images.values() if image.reason is not None}
    if len(reasons) == 1:
        return reasons.pop(), next(iter(images.values())).message
    found = ", ".join(sorted(reasons))
    return (
        Reason.NO_USABLE_VIEW,
        f"none of {len(images)} images can be used ({found}); see each one's message",
    )


def _study_date(images: Images) -> date | None:
    """The earliest date of the images that are used, or of all where none is."""
    dates = [image.study_date for image in _used(images) or images.values() if image.study_date is not None]
    return min(dates, default=None)
