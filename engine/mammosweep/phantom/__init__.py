"""Synthetic four-view screening exams with known truth, as valid DICOM."""

from __future__ import annotations

from mammosweep.phantom.codecs import Syntax
from mammosweep.phantom.dicom import write_exam
from mammosweep.phantom.exam import LesionTruth, PhantomExam, PhantomView, make_exam
from mammosweep.phantom.generate import write_phantoms
from mammosweep.phantom.lesions import PhantomLesion
from mammosweep.phantom.settings import PhantomConfig

__all__ = [
    "LesionTruth",
    "PhantomConfig",
    "PhantomExam",
    "PhantomLesion",
    "PhantomView",
    "Syntax",
    "make_exam",
    "write_exam",
    "write_phantoms",
]
