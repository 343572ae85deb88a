"""Patients are told apart, and never parted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mammosweep.errors import ConfigError
from mammosweep.fit.parts import is_held_out, split_archive
from mammosweep.fit.samples import open_annotated
from mammosweep.fit.settings import SplitSettings

PATIENTS = [f"{i:05d}" for i in range(2000)]


@pytest.fixture(scope="module")
def archive(annotated):
    opened = open_annotated(annotated / "truth.parquet", annotated)
    names = [exam.exam_id for exam in opened.exams]
    # The first two exams are one patient's.
    return replace(opened, patients=opened.patients | {names[1]: names[0]})


def patients(archive, exams):
    return {archive.patients[exam.exam_id] for exam in exams}


@pytest.mark.parametrize("cross_fit", [False, True])
def test_every_exam_is_somewhere_and_no_patient_in_two_places(archive, tmp_path, cross_fit):
    parts = split_archive(archive, SplitSettings(judge=0.5, validation=0.3, cross_fit=cross_fit), tmp_path)

    everywhere = {exam.exam_id for part in (parts.learn, parts.judge, parts.validation) for exam in part}
    assert everywhere == {exam.exam_id for exam in archive.exams}
    held_out = patients(archive, parts.validation)
    assert not held_out & patients(archive, (*parts.learn, *parts.judge))
    assert (set(parts.learn) == set(parts.judge)) is cross_fit
    folds = [patients(archive, fold) for fold in parts.folds]
    assert sum(len(fold) for fold in parts.folds) == len(parts.judge)
    assert sum(len(fold) for fold in folds) == len(set().union(*folds))


def test_validation_patients_may_be_listed(archive, tmp_path):
    listed = sorted(set(archive.patients.values()))[:3]
    (tmp_path / "kept.txt").write_text("\n".join([*listed, "somebody-else"]))

    parts = split_archive(archive, SplitSettings(validation_patients="kept.txt"), tmp_path)

    assert parts.validation_patients == tuple(listed)
    assert patients(archive, parts.validation) == set(listed)


def test_a_list_that_is_not_there_is_named(archive, tmp_path):
    with pytest.raises(ConfigError, match=r"validation patients .*kept.txt cannot be read"):
        split_archive(archive, SplitSettings(validation_patients="kept.txt"), tmp_path)


def test_an_empty_part_is_refused(archive, tmp_path):
    with pytest.raises(ConfigError, match="no exam is left to validate on, of 11 patients"):
        split_archive(archive, SplitSettings(validation=0.0), tmp_path)


def test_the_share_is_what_was_asked_for_whoever_else_is_there():
    held_out = [p for p in PATIENTS if is_held_out(p, 0.2)]

    assert abs(len(held_out) / len(PATIENTS) - 0.2) < 0.03
    assert [p for p in PATIENTS[:100] if is_held_out(p, 0.2)] == [p for p in held_out if p in PATIENTS[:100]]
    assert any(is_held_out(p, 0.5, "a") != is_held_out(p, 0.5, "b") for p in PATIENTS[:50])
