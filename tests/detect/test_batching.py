"""Exams of one bucket wait for company, never for long, and go on when memory runs out."""

from __future__ import annotations

import pytest
import torch

from mammosweep.detect.batching import Batcher
from mammosweep.detect.buckets import ExamBatch
from mammosweep.errors import DeviceError

SMALL, LARGE = (64, 64), (128, 64)


def exam(number, size=SMALL):
    """A batch of one exam, all of whose pixels are its number."""
    pixels = torch.full((1, 4, 1, *size), float(number))
    return ExamBatch(pixels, torch.ones(1, 4, dtype=torch.bool), tuple("abcd"), tuple("abcd"))


class Recorder:
    """A detector that gives each view its pixels' number, and notes what came together."""

    def __init__(self, room=99):
        self.room = room
        self.together = []

    def __call__(self, batch):
        if len(batch.pixels) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.together.append([int(number) for number in batch.pixels[:, 0, 0, 0, 0]])
        return [float(number) for number in batch.pixels[:, :, 0, 0, 0].flatten()]


def test_on_a_cpu_every_exam_runs_at_once():
    detect = Recorder()
    batcher = Batcher(detect, 0, on_gpu=False)

    tickets = [batcher.add(exam(number)) for number in range(3)]

    assert detect.together == [[0], [1], [2]]
    assert [ticket.candidates for ticket in tickets] == [[number] * 4 for number in (0.0, 1.0, 2.0)]
    assert batcher.most_waiting == 0


def test_a_bucket_runs_when_it_is_full_and_each_exam_gets_its_own():
    detect = Recorder()
    batcher = Batcher(detect, 2, on_gpu=False)

    tickets = [batcher.add(exam(number, size)) for number, size in enumerate([SMALL, LARGE, SMALL, LARGE])]

    assert detect.together == [[0, 2], [1, 3]]
    assert [ticket.candidates[0] for ticket in tickets] == [0.0, 1.0, 2.0, 3.0]


def test_an_exam_that_can_wait_no_longer_runs_with_the_company_that_it_has():
    detect = Recorder()
    batcher = Batcher(detect, 4, on_gpu=False)
    first, second, other = batcher.add(exam(1)), batcher.add(exam(2)), batcher.add(exam(3, LARGE))

    batcher.finish(first)
    batcher.finish(second)

    assert detect.together == [[1, 2]]
    assert other.candidates is None


def test_where_memory_runs_out_the_batch_is_halved_and_nobody_is_lost():
    detect = Recorder(room=2)
    batcher = Batcher(detect, 8, on_gpu=False)

    tickets = [batcher.add(exam(number)) for number in range(8)]
    later = [batcher.add(exam(number)) for number in range(8, 10)]

    assert detect.together == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    assert [ticket.candidates[0] for ticket in tickets + later] == [float(n) for n in range(10)]


def test_no_more_run_together_than_the_plan_was_compiled_for():
    detect = Recorder()
    batcher = Batcher(detect, 0, compiled_for=lambda bucket: 2, on_gpu=True)

    tickets = [batcher.add(exam(number)) for number in range(5)]
    batcher.finish(tickets[-1])

    assert detect.together == [[0, 1], [2, 3], [4]]
    assert batcher.most_waiting == 4


def test_an_exam_that_does_not_fit_alone_is_the_machines_fault():
    batcher = Batcher(Recorder(room=0), 2, on_gpu=False)
    batcher.add(exam(0))

    with pytest.raises(DeviceError, match=r"one exam on a canvas of 64 x 64 does not fit"):
        batcher.add(exam(1))
