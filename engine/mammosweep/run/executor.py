"""The seam between a sweep and what carries it out: chunks go in, committed parts come out.

`LocalExecutor` screens in this process; `ray.py` has actors do it. Both commit the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice
from typing import Protocol

from mammosweep.archive.source import Source
from mammosweep.clock import SCREEN, WAIT_COMMIT, StageClock
from mammosweep.records import ExamOutcome, ExamRef, ExamStatus, ImageStatus
from mammosweep.run.chunks import Chunk
from mammosweep.run.ledger import Ledger
from mammosweep.run.part import Part
from mammosweep.run.screener import About, Screener

__all__ = ["Counted", "Executor", "LocalExecutor", "Work"]

Counted = Callable[[ExamStatus, int], None]
"""Is told of every exam that is done: its status, and how many of its views were used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What all chunks of a run have in common."""

    source: Source
    ledger: Ledger  # locked
    clock: StageClock  # of the run
    pages: bool  # whether each exam gets its page
    counted: Counted


class Executor(Protocol):
    """Screens and commits chunks."""

    @property
    def about(self) -> About:
        """The bundle, and what computes with it."""

    def run(self, chunks: Iterable[Chunk], work: Work) -> Iterator[Part]:
        """Give each chunk's part as soon as it is committed, in any order.

        Chunks are taken as they are needed, so that an archive of any size fits. Once the generator is closed
        nothing new is begun: what is committed is kept, the rest is done by the next run.

        Raises:
            LedgerError: a chunk could not be committed.
        """

    def close(self) -> None:
        """End what was started."""


class LocalExecutor:
    """One screener in this process; a thread commits a chunk while the next one is screened."""

    def __init__(self, screener: Screener) -> None:
        self._screener = screener

    @property
    def about(self) -> About:
        """See `Executor`."""
        return self._screener

    def run(self, chunks: Iterable[Chunk], work: Work) -> Iterator[Part]:
        """See `Executor`. One stream over all chunks: while one is committed, the next is read."""
        taken: list[Chunk] = []  # by the stream of exams, and not yet by the loop below
        exams = chain.from_iterable(_noted(chunk, taken).exams for chunk in chunks)
        with (
            work.clock.measure(SCREEN),
            closing(self._screened(exams, work)) as stream,
            ThreadPoolExecutor(1, thread_name_prefix="commit") as committer,
        ):
            committing: Future[Part] | None = None
            before = self._screener.clock.snapshot()
            for first in stream:
                chunk, outcomes = taken.pop(0), [first]
                for outcome in islice(stream, len(chunk.exams) - 1):
                    outcomes.append(outcome)
                    if committing is not None and committing.done():  # told of at once, not a chunk later
                        yield from _committed(committing, work.clock)
                        committing = None
                after = self._screener.clock.snapshot()
                seconds = {stage: total - before.get(stage, 0.0) for stage, total in after.items()}
                before = after
                yield from _committed(committing, work.clock)
                committing = committer.submit(self._commit, chunk, outcomes, seconds, work)
            yield from _committed(committing, work.clock)

    def close(self) -> None:
        """See `Executor`."""
        self._screener.close()

    def _screened(self, exams: Iterable[ExamRef], work: Work) -> Generator[ExamOutcome, None, None]:
        for outcome in self._screener.screen(exams, work.source):
            work.counted(outcome.status, sum(image.status is ImageStatus.USED for image in outcome.images))
            yield outcome

    def _commit(
        self, chunk: Chunk, outcomes: Sequence[ExamOutcome], seconds: Mapping[str, float], work: Work
    ) -> Part:
        with work.clock.measure("commit"):
            return work.ledger.commit(
                chunk, outcomes, seconds=seconds, pages=work.pages, bundle_note=self._screener.bundle_note
            )


def _noted(chunk: Chunk, taken: list[Chunk]) -> Chunk:
    taken.append(chunk)
    return chunk


def _committed(committing: Future[Part] | None, clock: StageClock) -> list[Part]:
    """The chunk that is being committed, once it is."""
    if committing is None:
        return []
    with clock.measure(WAIT_COMMIT):
        return [committing.result()]
