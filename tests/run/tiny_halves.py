"""What tiny.py screens with, in two halves that Ray's actors load by name. Some die at exam 13, as one may."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import tiny

from mammosweep.records import Finding, LesionType, ScreenedExam
from mammosweep.run.screener import Finder

UNLUCKY = ".13"


def load_finder(config, bundle):
    return _finder(lambda exam: None)


def load_slow_finder(config, bundle):
    return _finder(lambda exam: time.sleep(0.3))


def load_poisoned_finder(config, bundle):
    """Exam 13 kills whoever screens it."""
    return _finder(lambda exam: _die() if exam.exam_id.endswith(UNLUCKY) else None)


def load_finder_that_dies_once(config, bundle):
    """Exam 13 kills its actor the first time only: a file tells, beside the key that every test has its own of."""
    return _finder(_die_once)


def load_finder_that_raises(config, bundle):
    def find(exam):
        raise RuntimeError("nobody foresaw this")

    return _finder(find)


def load_decider(config, bundle):
    return decide


def load_poisoned_decider(config, bundle):
    def decide_or_die(screened):
        if screened.findings and screened.exam.exam_id.endswith(UNLUCKY):
            _die()
        return decide(screened)

    return decide_or_die


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


def _die_once(exam):
    note = Path(os.environ["MAMMOSWEEP_PSEUDONYM_KEY_FILE"]).with_name("died-once")
    if exam.exam_id.endswith(UNLUCKY) and not note.exists():
        note.touch()
        _die()


def _die():
    os.kill(os.getpid(), signal.SIGKILL)
