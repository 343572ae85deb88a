"""A chunk among actors that may die: it is run again, then exam by exam, until the guilty one is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mammosweep.archive.verdict import refused
from mammosweep.errors import Reason
from mammosweep.records import ExamRef, ExamStatus, Provenance, ScreenedExam
from mammosweep.run.chunks import Chunk, Identity, cut
from mammosweep.run.part import Part

__all__ = ["Decided", "Job", "Screened", "after_death", "unscreened"]

MOST_DEATHS = 3
"""Deaths of a chunk's actor after which its exams are run one by one."""

MOST_DEATHS_ALONE = 2
"""Deaths of an exam's own actor after which it is guilty. One may be the machine's: a node that was taken
away, the kernel's out-of-memory killer. Its chunk has died before; a third would only cost another start."""


@dataclass(slots=True, eq=False)
class Job:
    """A chunk on its way."""

    chunk: Chunk
    deaths: int = 0
    is_suspect: bool = False  # its actor died with it: it gets one for itself, so that blame is certain
    is_isolated: bool = False  # one exam of a chunk that died too often
    is_guilty: bool = False  # that exam, having died too often itself: it is not screened any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened:
    """A chunk's findings. No pixel is in it: pictures lie in `staging`, as `ray_pictures.py` left them."""

    exams: tuple[ScreenedExam, ...]
    seconds: Mapping[str, float] = field(default_factory=dict)  # by stage
    staging: str = ""  # the folder's name below parts/; empty: no pictures


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What the driver must know of a committed chunk."""

    part: Part
    exams: tuple[tuple[ExamStatus, int], ...]  # status and used views of each
    seconds: float  # of the commit


def after_death(job: Job, identity: Identity) -> list[Job]:
    """What is to be run after an actor died with this job: itself again, its exams, or it as guilty."""
    deaths = job.deaths + 1
    if job.is_guilty:
        return [Job(job.chunk, deaths, is_suspect=True, is_isolated=True, is_guilty=True)]
    if deaths < (MOST_DEATHS_ALONE if job.is_isolated else MOST_DEATHS):
        return [Job(job.chunk, deaths, is_suspect=True, is_isolated=job.is_isolated)]
    if job.is_isolated or len(job.chunk.exams) == 1:
        return [Job(job.chunk, deaths, is_suspect=True, is_isolated=True, is_guilty=True)]
    return [Job(chunk, is_suspect=True, is_isolated=True) for chunk in cut(job.chunk.exams, (), 1, identity)]


def unscreened(exam: ExamRef, provenance: Provenance) -> ScreenedExam:
    """A guilty exam as it goes on to be decided: none of its views could be used."""
    message = (
        f"the process that screened this exam died each time, {MOST_DEATHS_ALONE} times with this exam "
        "alone; look into Ray's logs and the kernel's for why, and report the exam if the machine was sound"
    )
    views = {view.path for view in exam.views}
    images = (refused(i, Reason.WORKER_DIED, message) if i.path in views else i for i in exam.images)
    return ScreenedExam(exam=exam, imaged=(), images=tuple(images), findings=(), provenance=provenance)
