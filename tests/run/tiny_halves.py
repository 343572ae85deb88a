"""What tiny.py screens with, in two halves that Ray's actors load by name; some die at exam 13.

Run as a script it sweeps slowly, so that a test can kill it: tiny_halves.py SOURCE OUT.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import tiny

from mammosweep.config import RayConfig
from mammosweep.records import Finding, LesionType, ScreenedExam
from mammosweep.run.local import prepare
from mammosweep.run.screener import Finder

UNLUCKY = ".13"


def load_finder(config, bundle):
    return _finder(lambda exam: None)


def load_slow_finder(config, bundle):
    return _finder(lambda exam: time.sleep(0.3))


def load_poisoned_finder(config, bundle):
    """Exam 13 kills whoever screens it."""
    return _finder(lambda exam: _die() if exam.exam_id.endswith(UNLUCKY) else None)


def load_finder_that_raises(config, bundle):
    def find(exam):
        raise RuntimeError("nobody foresaw this")

    return _finder(find)


def load_decider(config, bundle):
    return decide


def decide(screened):
    if not screened.findings and screened.exam.reason is None:
        from mammosweep.decide import decide as really_decide

        return really_decide(screened, None)
    score = screened.findings[0].score if screened.findings else None
    return tiny.outcome_of(screened.exam, screened.provenance, score)


def _finder(before):
    like = tiny.tiny_screener()

    def find(exams, source):
        for exam in exams:
            with like.clock.measure("count"):
                before(exam)
                findings = () if exam.reason else (_finding(exam, tiny.score_of(exam, source)),)
            yield ScreenedExam(
                exam=exam,
                imaged=exam.views,
                images=exam.images,
                findings=findings,
                provenance=like.provenance,
            )

    return Finder(find=find, provenance=like.provenance, bundle_note=like.bundle_note, clock=like.clock)


def _finding(exam, score):
    view = exam.views[0]
    return Finding(
        sop_instance_uid=view.sop_instance_uid,
        laterality=view.laterality,
        position=view.position,
        box_px=(1.0, 2.0, 5.0, 6.0),
        size_mm=(0.4, 0.4),
        type=LesionType.MASS,
        score=score,
        flip_votes=1,
        embedding=np.zeros(2, np.float32),
    )


def _die():
    os.kill(os.getpid(), signal.SIGKILL)


class Counting:
    """An executor around another: how far chunks that were taken are ahead of those that are committed."""

    def __init__(self):
        self.taken = self.committed = self.most_ahead = 0

    def __call__(self, executor):
        self._executor = executor
        self.about, self.close = executor.about, executor.close
        return self

    def run(self, chunks, work):
        for part in self._executor.run(self._counted(chunks), work):
            self.committed += 1
            yield part

    def _counted(self, chunks):
        for chunk in chunks:
            self.taken += 1
            self.most_ahead = max(self.most_ahead, self.taken - self.committed)
            yield chunk


def sweep_by_ray(source, out, config, *, finder="load_finder", around=lambda executor: executor):
    """A whole sweep by actors."""
    from mammosweep.run.ray import RayExecutor  # actors need not import it

    def executor(config, bundle):
        halves = {"finder": f"tiny_halves:{finder}", "decider": "tiny_halves:load_decider"}
        return around(RayExecutor(config, bundle, **halves))

    with prepare(Path(out), source, config=config, make_executor=executor) as ready:
        return ready.run()


if __name__ == "__main__":
    settings = replace(tiny.settings(1), ray=RayConfig(address="local", gpus=0, workers=1, threads=1))
    sweep_by_ray(sys.argv[1], sys.argv[2], settings, finder="load_slow_finder")
