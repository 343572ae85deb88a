"""What a case is: a number of the catalogue of bad and awkward input, what was fed, what must come of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.cases.making import Desk

from mammosweep.errors import Flag, Reason
from mammosweep.records import ExamStatus, ImageStatus

__all__ = ["NUM_CASES", "Case", "Exam", "Image", "ignored", "not_scored", "rejected", "used"]

NUM_CASES = 74

VIEW = "view.dcm"
"""The name of a case's file where it has only one."""

LONE_VIEW = (Flag.MISSING_VIEWS, Flag.ONE_BREAST)
"""What every exam of a single view says of itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What the row of one file must hold."""

    status: ImageStatus
    reason: Reason | None = None
    said: tuple[str, ...] = ()  # what the message must name: the element, the found, the expected
    flags: tuple[Flag, ...] = ()  # exactly these

    def __str__(self) -> str:
        words = [str(self.status).replace("_", " ")]
        words += [f"`{self.reason}`"] if self.reason else []
        words += ["flags " + ", ".join(f"`{flag}`" for flag in self.flags)] if self.flags else []
        return ", ".join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exam:
    """What the row of each of a case's exams must hold."""

    status: ExamStatus
    reason: Reason | None = None
    flags: tuple[Flag, ...] = ()  # these among others
    number: int = 1  # of exams

    def __str__(self) -> str:
        words = [str(self.status).replace("_", " ")]
        words += [f"`{self.reason}`"] if self.reason else []
        words += ["flags " + ", ".join(f"`{flag}`" for flag in self.flags)] if self.flags else []
        return ("exam " if self.number == 1 else f"{self.number} exams ") + ", ".join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One way of feeding one number of the catalogue."""

    number: int
    name: str
    fed: str  # one line, for the table in CASES.md
    images: Mapping[str, Image]  # by the file's path below the case's folder, as rows write it
    exam: Exam | None = None  # None: the files belong to no exam
    build: Callable[[Desk], None] | None = None  # None: its own test makes it, see `test`
    manifest: tuple[Mapping[str, str], ...] = field(default=())  # rows; paths below the case's folder
    test: str = ""  # its own test, "[]" for its id as a parameter; empty where a section is tested alike

    @property
    def id(self) -> str:
        """Number and name, as in the test's id."""
        return f"{self.number:02} {self.name}"

    @property
    def folder(self) -> str:
        """Where its files lie in the archive."""
        return f"{self.number:02}-{self.name.replace(' ', '-').replace('/', '-')}"

    @property
    def outcome(self) -> str:
        """The outcome in one cell of the table."""
        images = dict.fromkeys(map(str, self.images.values()))  # equal ones once
        return "; ".join([*images, *([str(self.exam)] if self.exam else [])])


def rejected(
    reason: Reason, *said: str, exam: bool = True, name: str = VIEW, flags: tuple[Flag, ...] = ()
) -> dict[str, object]:
    """One file, rejected; an exam of this file alone is not scored for the same reason."""
    image = Image(status=ImageStatus.REJECTED, reason=reason, said=said, flags=flags)
    return _single(name, image, Exam(status=ExamStatus.NOT_SCORED, reason=reason) if exam else None)


def not_scored(reason: Reason, *said: str, flags: tuple[Flag, ...] = ()) -> dict[str, object]:
    """One sound file that is set aside, so that its exam is not scored."""
    image = Image(status=ImageStatus.SET_ASIDE, reason=reason, said=said, flags=flags)
    return _single(VIEW, image, Exam(status=ExamStatus.NOT_SCORED, reason=reason))


def ignored(reason: Reason, *said: str, name: str = VIEW) -> dict[str, object]:
    """One file that is set aside and belongs to no exam."""
    return _single(name, Image(status=ImageStatus.SET_ASIDE, reason=reason, said=said), None)


def used(*flags: Flag, name: str = VIEW, exam_flags: tuple[Flag, ...] = LONE_VIEW) -> dict[str, object]:
    """One file that is used with these flags; its exam is scored and carries them."""
    carried = tuple(flag for flag in flags if flag is not Flag.FROM_MANIFEST)
    exam = Exam(status=ExamStatus.FLAGGED, flags=(*exam_flags, *carried))
    return _single(name, Image(status=ImageStatus.USED, flags=flags), exam)


def _single(name: str, image: Image, exam: Exam | None) -> dict[str, object]:
    return {"images": {name: image}, "exam": exam}
