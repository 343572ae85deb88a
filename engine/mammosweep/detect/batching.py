"""Exams of one bucket go through the detector together, as many as fit.

A batch that is added runs when its bucket has company enough, or when somebody can wait no longer. Where
memory does not suffice the number is halved, and the same exams go on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import torch

from mammosweep.detect.buckets import ExamBatch, joined
from mammosweep.detect.detector import Candidates
from mammosweep.errors import DeviceError

__all__ = ["Batcher", "Ticket"]

Bucket = tuple[int, int]

MEMORY_SHARE = 0.8
"""Of the memory that is free, how much a batch may take: allocators waste some."""

MOST_EXAMS = 64
"""Beyond that a GPU is full whatever its memory; exams would only wait for company."""


class Ticket:
    """An exam's batch that was handed in, and in the end its candidates."""

    def __init__(self, batch: ExamBatch) -> None:
        self.batch = batch
        self.candidates: list[Candidates] | None = None


class Batcher:
    """Collects batches by bucket and runs them.

    Args:
        detect: the detector.
        exams: how many to run together; 0: one on the CPU, where company buys nothing, and on a GPU as many
            as its memory holds, found out by the first exam of each bucket.
        compiled_for: how many of a bucket the detector was compiled for; 0: any number.
        on_gpu: whether the detector runs there.
    """

    def __init__(
        self,
        detect: Callable[[ExamBatch], list[Candidates]],
        exams: int,
        *,
        compiled_for: Callable[[Bucket], int] = lambda _: 0,
        on_gpu: bool,
    ) -> None:
        self._detect = detect
        self._asked = exams
        self._compiled_for = compiled_for
        self._on_gpu = on_gpu
        self._limit: dict[Bucket, int] = {}
        self._waiting: dict[Bucket, list[Ticket]] = defaultdict(list)

    @property
    def most_waiting(self) -> int:
        """How many exams should be at hand, so that buckets fill."""
        most = max((self._limit_of(bucket) for bucket in self._waiting), default=1)
        return 2 * most if most > 1 else 0

    def add(self, batch: ExamBatch) -> Ticket:
        """Hand in one exam's batch; it and others run if its bucket is full."""
        ticket = Ticket(batch)
        waiting = self._waiting[batch.size]
        waiting.append(ticket)
        if len(waiting) >= self._limit_of(batch.size):
            self._run(batch.size)
        return ticket

    def finish(self, ticket: Ticket) -> None:
        """Run a ticket's bucket now, whatever company it has."""
        if ticket.candidates is None:
            self._run(ticket.batch.size)

    def _limit_of(self, bucket: Bucket) -> int:
        if (fixed := self._compiled_for(bucket)) > 0:
            return min(self._asked or fixed, fixed)
        if self._asked or not self._on_gpu:
            return self._limit.get(bucket, max(self._asked, 1))
        return self._limit.get(bucket, 1)

    def _run(self, bucket: Bucket) -> None:
        tickets, self._waiting[bucket] = self._waiting[bucket], []
        while tickets:
            together = tickets[: self._limit_of(bucket)]
            try:
                found = self._measured(bucket, [ticket.batch for ticket in together])
            except torch.OutOfMemoryError:
                self._halve(bucket, len(together))
                continue
            for ticket in together:
                ticket.candidates, found = found[: len(ticket.batch.views)], found[len(ticket.batch.views) :]
            tickets = tickets[len(together) :]

    def _measured(self, bucket: Bucket, batches: list[ExamBatch]) -> list[Candidates]:
        """Run; the first time on a GPU, see how much memory an exam takes."""
        if self._asked or not self._on_gpu or bucket in self._limit or self._compiled_for(bucket):
            return self._detect(joined(batches))
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        found = self._detect(joined(batches))
        taken = max(torch.cuda.max_memory_allocated() - before, 1) / len(batches)
        torch.cuda.empty_cache()
        free, _ = torch.cuda.mem_get_info()
        self._limit[bucket] = max(1, min(int(MEMORY_SHARE * free / taken), MOST_EXAMS))
        return found

    def _halve(self, bucket: Bucket, exams: int) -> None:
        if exams == 1:
            rows, columns = bucket
            raise DeviceError(
                f"one exam on a canvas of {rows} x {columns} does not fit into the device's memory; end "
                "what else uses it, or take detect.flips = 'none' or detect.device = 'cpu'"
            )
        self._limit[bucket] = exams // 2
        if self._on_gpu:
            torch.cuda.empty_cache()
