"""The driver's loop: chunks to screening actors, findings to decision actors, committed parts to the caller.

Ray Data is not used: it keeps its whole input with the driver, and does not say which input an actor died of
(ARCHITECTURE). What is on its way here is bounded by the actors' number, whatever the archive's: a chunk is
taken when a screening actor can have it, and none while decisions are behind.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from mammosweep.errors import DeviceError, SweepError
from mammosweep.records import Provenance
from mammosweep.run import ray_pictures
from mammosweep.run.chunks import Chunk
from mammosweep.run.executor import Work
from mammosweep.run.part import Part
from mammosweep.run.ray_jobs import Decided, Job, Screened, after_death, unscreened
from mammosweep.run.ray_pool import Actor, Pool
from mammosweep.run.screener import About

__all__ = ["ActorDied", "Dispatch", "answer"]

LOOK_EVERY_S = 1.0
"""How often the pools' sizes are looked at while nothing comes back."""

MOST_DEATHS_IN_A_ROW = 24
"""Deaths without one chunk that was finished in between. Then the machines are at fault, and not the exams: a
chunk of eight exams of which each kills its actor comes to 19."""

MOST_FAILED_STARTS = 3


class ActorDied(Exception):  # noqa: N818 - what happened, not a fault of the caller
    """The process that worked on something is gone, or what it had computed is."""


@dataclass(slots=True, eq=False)
class _Call:
    """Something that an actor was asked for."""

    pool: Pool
    actor: Actor
    job: Job | None = None  # None: it was asked to begin
    screened: Any = None  # reference to the findings


def answer(reference: Any) -> Any:
    """What an actor answered.

    Raises:
        ActorDied: it did not.
        SweepError: what it raised on purpose.
        RayTaskError: what it did not.
    """
    try:
        return ray.get(reference)
    except RayTaskError as error:
        if isinstance(error.cause, SweepError):
            raise error.cause from None
        if isinstance(error.cause, RayError):
            raise ActorDied(str(error.cause)) from None
        raise
    except RayError as error:
        raise ActorDied(str(error)) from None


class Dispatch:
    """One run."""

    def __init__(self, screening: Pool, deciding: Pool, work: Work, about: About) -> None:
        self._screening, self._deciding = screening, deciding
        self._work, self._about = work, about
        self._again: deque[Job] = deque()  # what died, to be run again before anything new
        self._decidable: deque[tuple[Job, Any]] = deque()  # with its findings, or the reference to them
        self._calls: dict[Any, _Call] = {}
        self._deaths_in_a_row = self._failed_starts = 0

    def parts(self, chunks: Iterable[Chunk]) -> Iterator[Part]:
        """Every chunk's part as it is committed."""
        waiting = iter(chunks)
        following = self._next(waiting)
        while True:
            while following is not None and self._screen(following):
                following = self._next(waiting)
            self._go_on()
            if following is None and not self._is_busy():
                return
            self._scale(is_wanting=following is not None or bool(self._again))
            yield from self._settle()

    def _next(self, waiting: Iterator[Chunk]) -> Job | None:
        chunk = next(waiting, None)
        return None if chunk is None else Job(chunk)

    def _is_busy(self) -> bool:
        return bool(self._again or self._decidable or any(call.job for call in self._calls.values()))

    def _screen(self, job: Job) -> bool:
        """Give a chunk to a screening actor, unless none is free, or too much waits for a decision."""
        if self._again and not job.is_suspect:
            return False
        if len(self._decidable) > self._deciding.num_ready + 1:
            return False
        actor = self._screening.free(alone=job.is_suspect)
        if actor is None:
            return False
        done, screened = actor.handle.screen.options(num_returns=2).remote(job.chunk)
        actor.jobs.append(job)
        self._calls[done] = _Call(self._screening, actor, job, screened)
        return True

    def _go_on(self) -> None:
        """Give out what died before, and what waits for a decision."""
        while self._again and self._screen(self._again[0]):
            self._again.popleft()
        while self._decidable and (actor := self._deciding.free(alone=False)) is not None:
            job, screened = self._decidable.popleft()
            actor.jobs.append(job)
            decided = actor.handle.decide.remote(job.chunk, screened)
            self._calls[decided] = _Call(self._deciding, actor, job)

    def _scale(self, *, is_wanting: bool) -> None:
        is_behind = len(self._decidable) > self._deciding.num_ready
        self._deciding.scale(is_wanting=is_behind)
        is_full = self._screening.free(alone=True) is None
        self._screening.scale(is_wanting=is_wanting and is_full and not is_behind)
        for pool in (self._screening, self._deciding):
            for actor in pool.starting:
                if actor.began is not None:
                    self._calls.setdefault(actor.began, _Call(pool, actor))

    def _settle(self) -> Iterator[Part]:
        """Wait until something comes back, and deal with it."""
        # fetch_local: findings stay where they are until a decision actor takes them.
        done, _ = ray.wait(list(self._calls), num_returns=1, timeout=LOOK_EVERY_S, fetch_local=False)
        for reference in done:
            call = self._calls.pop(reference)
            try:
                found = answer(reference)
            except ActorDied as death:
                self._bury(call, death)
                continue
            if call.job is None:
                self._welcome(call.actor, found)
                continue
            call.pool.release(call.actor, call.job)
            if call.pool is self._screening:
                self._decidable.append((call.job, call.screened))
                continue
            self._deaths_in_a_row = 0
            yield self._committed(found)

    def _welcome(self, actor: Actor, about: About | None) -> None:
        """Let an actor work, if it computes as the others do: else rows would depend on who had them."""
        if about is not None and _computes(about.provenance) != _computes(self._about.provenance):
            first, other = _computes(self._about.provenance), _computes(about.provenance)
            raise DeviceError(
                f"screening actors do not compute alike: one in {first}, another in {other}; name "
                "detect.device, detect.precision and detect.plan"
            )
        actor.is_ready, self._failed_starts = True, 0

    def _committed(self, decided: Decided) -> Part:
        self._work.clock.add("commit", decided.seconds)
        for status, views in decided.exams:
            self._work.counted(status, views)
        return decided.part

    def _bury(self, call: _Call, death: ActorDied) -> None:
        """An actor died. The job that it was at is to blame; the next one it had is under suspicion."""
        is_first = bool(call.actor.jobs) and call.actor.jobs[0] is call.job
        call.pool.drop(call.actor)
        if call.job is None:
            self._failed_starts += 1
            if self._failed_starts >= MOST_FAILED_STARTS:
                raise DeviceError(f"actors cannot be started: {_first_line(death)}")
            return
        if not is_first:
            call.job.is_suspect = True
            self._again.append(call.job)
            return
        self._deaths_in_a_row += 1
        if self._deaths_in_a_row >= MOST_DEATHS_IN_A_ROW:
            raise DeviceError(
                f"actors died {self._deaths_in_a_row} times without finishing one chunk: "
                f"{_first_line(death)} Look into Ray's and the kernel's "
                "logs, mend the machine, and run the same command again"
            )
        ray_pictures.remove(self._work.ledger.out, call.job.chunk.id)
        for job in after_death(call.job, self._work.ledger.identity):
            if job.is_guilty:
                self._decidable.append((job, _guilty(job, self._about.provenance)))
            else:
                self._again.append(job)


def _guilty(job: Job, provenance: Provenance) -> Screened:
    return Screened(exams=tuple(unscreened(exam, provenance) for exam in job.chunk.exams))


def _computes(provenance: Provenance) -> str:
    return f"{provenance.device} {provenance.precision} {provenance.plan} {provenance.engine_version}"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
