"""A small archive, and exams without files."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest

from mammosweep.geometry import Size
from mammosweep.records import ExamRef, ImageRecord, ImageStatus, Laterality, Position, View
from mammosweep.run.chunks import Identity


@pytest.fixture(scope="session")
def tiny():
    """The module tiny.py, which tests run as a script too."""
    spec = importlib.util.spec_from_file_location("tiny", Path(__file__).with_name("tiny.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def archive(tiny, tmp_path):
    """Four exams of four views, and one file that is no image."""
    return tiny.write_archive(tmp_path / "archive", 4)


@pytest.fixture(scope="session")
def shared_archive(tiny, tmp_path_factory):
    """The same for tests that change nothing in it."""
    return tiny.write_archive(tmp_path_factory.mktemp("shared") / "archive", 4)


@pytest.fixture(scope="session")
def _finished_once(tiny, shared_archive, tmp_path_factory):
    out = tmp_path_factory.mktemp("finished") / "out"
    tiny.tiny_sweep(out, shared_archive)
    return out


@pytest.fixture
def finished(_finished_once, tmp_path):
    """The folder of a finished sweep of the shared archive."""
    return shutil.copytree(_finished_once, tmp_path / "finished")


@pytest.fixture
def identity():
    """One bundle, one set of settings."""
    return Identity("a" * 64, "b" * 64)


@pytest.fixture
def exam():
    """Builds an exam of one view: exam("E1", size_bytes=7)."""
    return _exam


def _exam(exam_id, size_bytes=100):
    image = ImageRecord(
        path=f"{exam_id}/LCC.dcm", status=ImageStatus.USED, size_bytes=size_bytes, exam_id=exam_id
    )
    view = View(
        path=image.path,
        sop_instance_uid=f"1.2.{sum(exam_id.encode())}",
        laterality=Laterality.LEFT,
        position=Position.CC,
        size_px=Size(16, 12),
        spacing_mm=(0.1, 0.1),
        transfer_syntax="1.2.840.10008.1.2.1",
    )
    return ExamRef(exam_id=exam_id, patient_key=None, study_date=None, views=(view,), images=(image,))
