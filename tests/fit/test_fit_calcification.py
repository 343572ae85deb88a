"""What characterises calcifications: fitted, compared, kept with a bundle, used where exams are decided."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mammosweep.bundle.load import CALCIFICATION
from mammosweep.decide import decide
from mammosweep.exam.assess import ExamModels
from mammosweep.exam.booster import load_booster
from mammosweep.exam.score import CategoryThresholds
from mammosweep.fit.calcification import LEAST_OF_EACH, fit_calcification
from mammosweep.fit.exam_rows import LabelledExam, LabelledFinding
from mammosweep.lesion.calcification.classify import save_characterisers
from mammosweep.lesion.calcification.definitions import FEATURE_NAMES
from mammosweep.records import (
    ExamRef,
    Finding,
    Laterality,
    LesionType,
    Position,
    Provenance,
    ScreenedExam,
    View,
)


def finding(calcification):
    return Finding(
        sop_instance_uid="1.2.3",
        laterality=Laterality.LEFT,
        position=Position.CC,
        box_px=(1.0, 2.0, 30.0, 40.0),
        size_mm=(4.0, 3.0),
        type=LesionType.CALCIFICATION if calcification else LesionType.MASS,
        score=0.5,
        flip_votes=4,
        embedding=np.zeros(2, np.float32),
        calcification=calcification,
    )


def exams(number):
    """One measured finding each; malignant ones have more calcifications."""
    rng = np.random.default_rng(0)
    for k in range(number):
        malignant = k % 2 == 1
        measured = {name: float(rng.normal()) for name in FEATURE_NAMES} | {
            "count": 10.0 * malignant + rng.normal()
        }
        labelled = LabelledFinding(finding=finding(measured), truth_lesion_id="a", malignant=malignant)
        yield LabelledExam(findings=(labelled, LabelledFinding(finding=finding({}), truth_lesion_id=None)))


@pytest.fixture(scope="module")
def fitted():
    return fit_calcification(list(exams(60)))


def test_both_kinds_of_model_are_compared_on_all_sets_of_features(fitted):
    areas = {(c.kind, c.feature_set): c.auc for c in fitted.comparisons}

    assert len(areas) == len(fitted.models) == 6
    assert areas["trees", "both"] > 0.9
    assert {c.num_findings for c in fitted.comparisons} == {60}


def test_too_few_teach_nothing():
    assert fit_calcification(list(exams(2 * LEAST_OF_EACH - 1))) is None
    assert fit_calcification([]) is None


def test_what_was_kept_gives_findings_their_malignancy_where_the_exam_is_decided(fitted, tmp_path):
    save_characterisers(fitted.models, tmp_path)
    models = ExamModels(
        matcher=None,
        decision=None,
        match_threshold=0.5,
        thresholds=CategoryThresholds((0.1, 0.2, 0.4, 0.6, 0.8)),
        calcification=load_booster(tmp_path / CALCIFICATION, FEATURE_NAMES),
    )
    few, many = ({"count": count, "diameter_mean_mm": 0.0} for count in (0.0, 10.0))

    outcome = decide(
        screened(finding(few), replace(finding(many), box_px=(50.0, 2.0, 70.0, 40.0)), finding({})), models
    )

    told = {f.box_px[0] + bool(f.calcification) * 0.5: f.calcification for f in outcome.findings}
    assert told[1.5]["malignancy"] < 0.3
    assert told[50.5]["malignancy"] > 0.7
    assert told[1.0] == {}


def screened(*findings):
    view = View(
        path="a.dcm",
        sop_instance_uid="1.2.3",
        laterality=Laterality.LEFT,
        position=Position.CC,
        size_px=None,
        spacing_mm=(0.1, 0.1),
        transfer_syntax="1.2.840.10008.1.2.1",
    )
    return ScreenedExam(
        exam=ExamRef(exam_id="e", patient_key=None, study_date=None, views=(view,), images=()),
        images=(),
        imaged=(view,),
        findings=findings,
        provenance=Provenance(
            engine_version="0",
            bundle="b 1",
            bundle_digest="a" * 64,
            settings_digest="b" * 64,
            device="cpu",
            precision="fp32",
        ),
    )
