"""The four views as a radiologist hangs them: right beside left, chest walls together in the middle.

Film coordinates are network pixels of a picture as it hangs (right breasts mirrored), counted from the outer
edge of the frame's top-left pixel; frames of one row have the same size, so their pictures share one scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mammosweep.records import (
    ExamOutcome,
    Finding,
    ImageStatus,
    Laterality,
    Lesion,
    Position,
    ViewPicture,
)
from mammosweep.report.labels import Rect, place_labels
from mammosweep.report.picture import data_uri
from mammosweep.report.words import reason_words, status_words

__all__ = ["Frame", "Mark", "ScaleBar", "hang", "ranked"]

HUNG = ((Laterality.RIGHT, Laterality.LEFT), (Position.CC, Position.MLO))
"""Left and right half of the page; upper and lower row."""

COLOURS = 10
"""Colours of the style sheet, ``.c0`` to ``.c9``; further lesions share the neutral ``.cx``."""

# Where no view gives one: a frame's width, and the height of a row without a film as a part of it.
EMPTY_WIDTH, EMPTY_PART = 600.0, 0.25

# Text is this part of a frame's width, or height where that is the larger: a page shows a frame as wide as
# its half or as high as the window; either way text comes out at 12 CSS pixels or more on a desk's screen.
FONT_WIDTH_PART, FONT_HEIGHT_PART = 1 / 34, 1 / 66
# The mean advance of the widest common sans serif (DejaVu Sans), and a label's height.
ADVANCE_EM, LABEL_EM = 0.57, 1.35
SCALE_BAR_MM = 20.0

NAMED = 30
"""Findings of one film that are named on it: more names would hide it, and take seconds to place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One finding on a film."""

    box: Rect
    label: Rect | None  # None beyond the NAMED most suspicious of a film
    text: str  # "L1 mass 0.87"
    short: str  # "L1": all that a narrow screen has room for
    colour: str  # the lesion's class in the style sheet
    leader: tuple[float, float, float, float] | None  # x1, y1, x2, y2 where the label stands apart


@dataclass(frozen=True, slots=True)
class ScaleBar:
    """A length on the film."""

    x: float
    y: float
    length: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One place of the hanging, with its film or the reason why it is empty."""

    title: str  # "R CC"
    side: str  # "right" or "left": the breast; right hangs on the page's left
    width: float
    height: float
    font: float
    picture: Rect | None = None
    source: str = ""  # the picture as a data URI
    marks: tuple[Mark, ...] = ()
    scale_bar: ScaleBar | None = None
    absence: str = ""  # why there is no picture, one sentence


def hang(outcome: ExamOutcome) -> list[list[Frame]]:
    """Two rows, CC over MLO, each the right breast's frame and the left's."""
    pictures = {(picture.laterality, picture.position): picture for picture in outcome.pictures}
    width = max((float(p.grid.net_size.columns) for p in outcome.pictures), default=EMPTY_WIDTH)
    breasts, positions = HUNG
    rows = []
    for position in positions:
        height = _row_height(pictures, position, width)
        empty = [_empty(outcome, breast, position, width, height) for breast in breasts]
        rows.append([_filled(frame, outcome, pictures.get(_slot(frame))) for frame in empty])
    return rows


def ranked(lesions: Sequence[Lesion]) -> list[tuple[Lesion, str]]:
    """The lesions, most suspicious first, each with its colour's class."""
    ordered = sorted(lesions, key=lambda lesion: (-lesion.malignancy, lesion.lesion_id))
    return [(lesion, f"c{i}" if i < COLOURS else "cx") for i, lesion in enumerate(ordered)]


def _slot(frame: Frame) -> tuple[Laterality, Position]:
    laterality, position = frame.title.split()
    return Laterality(laterality), Position(position)


def _row_height(
    pictures: Mapping[tuple[Laterality, Position], ViewPicture], position: Position, width: float
) -> float:
    heights = [float(p.grid.net_size.rows) for slot, p in pictures.items() if slot[1] is position]
    return max(heights, default=width * EMPTY_PART)


def _empty(
    outcome: ExamOutcome, breast: Laterality, position: Position, width: float, height: float
) -> Frame:
    return Frame(
        title=f"{breast} {position}",
        side="right" if breast is Laterality.RIGHT else "left",
        width=width,
        height=height,
        font=max(width * FONT_WIDTH_PART, height * FONT_HEIGHT_PART),
        absence=_absence(outcome, breast, position),
    )


def _absence(outcome: ExamOutcome, breast: Laterality, position: Position) -> str:
    """Why a frame has no picture."""
    images = [i for i in outcome.images if (i.laterality, i.view_position) == (breast, position)]
    if not images:
        return f"{breast} {position}: not in this exam"
    used = [image for image in images if image.status is ImageStatus.USED]
    if used:
        return f"{breast} {position}: no picture was kept"
    image = images[0]
    why = image.message or reason_words(image.reason)
    return f"{breast} {position}: {status_words(image.status)}. {why}"


def _filled(frame: Frame, outcome: ExamOutcome, picture: ViewPicture | None) -> Frame:
    if picture is None:
        return frame
    size = picture.grid.net_size
    x = frame.width - size.columns if frame.side == "right" else 0.0
    place = Rect(x, (frame.height - size.rows) / 2, float(size.columns), float(size.rows))
    hung = replace(frame, picture=place, source=data_uri(_facing(picture.gray, frame.side)), absence="")
    return replace(hung, marks=_marks(hung, outcome, picture), scale_bar=_scale_bar(hung, outcome, picture))


def _facing(gray: NDArray[np.uint8], side: str) -> NDArray[np.uint8]:
    """Turn the chest wall, at the left in every picture, to the page's middle."""
    return np.asarray(cv2.flip(gray, 1), dtype=np.uint8) if side == "right" else gray


def _marks(frame: Frame, outcome: ExamOutcome, picture: ViewPicture) -> tuple[Mark, ...]:
    shown = [
        (finding, lesion.lesion_id, colour)
        for lesion, colour in ranked(outcome.lesions)
        for finding in lesion.findings
        if finding.sop_instance_uid == picture.sop_instance_uid
    ]
    boxes = [_hung_box(frame, picture, finding) for finding, _, _ in shown]
    texts = [f"{lesion_id} {finding.type} {finding.score:.2f}" for finding, lesion_id, _ in shown]
    widths = [(len(text) * ADVANCE_EM + 0.7) * frame.font for text in texts]
    film = Rect(0.0, 0.0, frame.width, frame.height)
    named = place_labels(boxes[:NAMED], widths[:NAMED], LABEL_EM * frame.font, film, [_title_place(frame)])
    labels = [*named, *[None] * (len(boxes) - len(named))]
    return tuple(
        Mark(box=box, label=label, text=text, short=lesion_id, colour=colour, leader=_leader(box, label))
        for box, label, text, (_, lesion_id, colour) in zip(boxes, labels, texts, shown, strict=True)
    )


def _hung_box(frame: Frame, picture: ViewPicture, finding: Finding) -> Rect:
    assert frame.picture is not None
    x1, y1, x2, y2 = (float(edge) for edge in picture.grid.to_network([finding.box_px])[0])
    if frame.side == "right":
        x1, x2 = picture.grid.net_size.columns - x2, picture.grid.net_size.columns - x1
    return Rect(frame.picture.x + x1, frame.picture.y + y1, x2 - x1, y2 - y1)


def _title_place(frame: Frame) -> Rect:
    width = 5 * frame.font
    return Rect(0.0 if frame.side == "right" else frame.width - width, 0.0, width, 2 * frame.font)


def _leader(box: Rect, label: Rect | None) -> tuple[float, float, float, float] | None:
    """A line from a label that stands apart to its box: between their nearest points."""
    if label is None or label.gap(box) < label.height:
        return None
    x1, x2 = _nearest(label.x, label.right, box.x, box.right)
    y1, y2 = _nearest(label.y, label.bottom, box.y, box.bottom)
    return x1, y1, x2, y2


def _nearest(low: float, high: float, other_low: float, other_high: float) -> tuple[float, float]:
    if high < other_low:
        return high, other_low
    if low > other_high:
        return low, other_high
    middle = (max(low, other_low) + min(high, other_high)) / 2
    return middle, middle


def _scale_bar(frame: Frame, outcome: ExamOutcome, picture: ViewPicture) -> ScaleBar | None:
    spacings = [i.spacing_mm for i in outcome.images if i.sop_instance_uid == picture.sop_instance_uid]
    if not spacings or spacings[0] is None:
        return None
    length = SCALE_BAR_MM / spacings[0][1] * picture.grid.scale_xy[0]
    if length > frame.width / 2:
        return None
    margin = frame.font * 0.6
    x = margin if frame.side == "right" else frame.width - margin - length
    return ScaleBar(x, frame.height - margin, length, f"{SCALE_BAR_MM:.0f} mm")
