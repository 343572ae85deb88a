from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from mammosweep.evaluate.auc import auc
from mammosweep.exam.assess import assess
from mammosweep.exam.match import match
from mammosweep.exam.pairs import PAIR_FEATURES
from mammosweep.exam.rescore import FINDING_FEATURES, Rescoring, finding_rows
from mammosweep.exam.score import Aggregation
from mammosweep.fit.exam import fit_exam
from mammosweep.records import SLOTS, LesionType


def by_name(row):
    return dict(zip(FINDING_FEATURES, row.tolist(), strict=True))


def known(row):
    return {name: value for name, value in by_name(row).items() if not math.isnan(value)}


def by_score(rows):
    """A matcher whose probability is the pair's product of scores."""
    return rows[:, PAIR_FEATURES.index("score_product")].astype(np.float64)


def half(rows):
    return np.full(len(rows), 0.5)


def test_a_finding_is_described_among_its_views_others_and_by_its_likeliest_partner(finding):
    one = finding(
        "LCC", score=0.5, malignancy=0.25, second_look=0.75, depth=0.5, nipple_mm=40.0, size_mm=(6.0, 8.0)
    )
    other = finding("LCC", score=0.75, malignancy=0.5)
    weak = finding("LMLO", score=0.25, malignancy=0.125)
    strong = finding("LMLO", score=1.0, malignancy=0.875)
    contralateral = finding("RMLO", score=1.0)

    rows = finding_rows([one, other, weak, strong, contralateral], by_score)

    assert known(rows[0]) == {
        "score": 0.5,
        "malignancy": 0.25,
        "second_look": 0.75,
        "type_mass": 1.0,
        "type_calcification": 0.0,
        "type_asymmetry": 0.0,
        "type_distortion": 0.0,
        "height_mm": 6.0,
        "width_mm": 8.0,
        "depth": 0.5,
        "nipple_mm": 40.0,
        "is_cc": 1.0,
        "rank_in_view": 2.0,
        "num_in_view": 2.0,
        "surest_other": 0.75,
        "other_malignancy": 0.5,
        "partner_probability": 0.5,
        "partner_probabilities": 0.625,
        "partner_score": 1.0,
        "partner_malignancy": 0.875,
    }
    assert by_name(rows[2])["partner_probabilities"] == pytest.approx(0.25 * (0.5 + 0.75))
    assert math.isnan(by_name(rows[4])["partner_probability"])


def test_without_a_matcher_nothing_is_known_of_partners(finding):
    (row, _) = finding_rows([finding("LCC"), finding("LMLO")], None)

    assert not {name for name in known(row) if name.startswith("partner")}


@pytest.mark.parametrize(
    ("weight", "probability", "expected"),
    [(1.0, 0.5, 0.8), (1.0, 0.8, 16 / 17), (0.5, 0.8, 8 / 9), (0.0, 0.01, 0.8)],
    ids=["undecided", "as sure", "half as heavy", "no weight"],
)
def test_log_odds_are_added(finding, weight, probability, expected):
    rescoring = Rescoring(model=lambda rows: np.full(len(rows), probability), weight=weight)
    found = finding("LCC", score=0.8)

    (moved,) = rescoring(match([found], None, 0.5), None)

    assert moved.cc.score == pytest.approx(expected)
    assert moved.cc.detector_score == 0.8


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_certain_scores_stay_finite(finding, score):
    rescoring = Rescoring(model=lambda rows: np.full(len(rows), 1.0 - score), weight=1.0)

    (moved,) = rescoring(match([finding("LCC", score=score)], None, 0.5), None)

    assert 0.0 < moved.cc.score < 1.0


def test_matches_keep_their_pairs_and_their_order(finding):
    findings = [
        finding("LCC", score=0.5),
        finding("LMLO", score=0.6),
        finding("RCC", type=LesionType.DISTORTION),
    ]
    matches = match(findings, half, 0.5)

    moved = Rescoring(model=half, weight=1.0)(matches, half)

    assert [one.probability for one in moved] == [one.probability for one in matches]
    assert [[f.type for f in one.findings] for one in moved] == [
        [f.type for f in o.findings] for o in matches
    ]
    assert Rescoring(model=half, weight=1.0)([], half) == []


def test_a_fitted_rescoring_tells_lesions_better_than_the_detector(random_exam):
    rng = np.random.default_rng(3)
    exams = [_blurred(random_exam(rng, num_lesions=2, num_false=4), rng) for _ in range(60)]
    unseen = [_blurred(random_exam(rng, num_lesions=2, num_false=4), rng) for _ in range(30)]

    models = fit_exam(exams, rescore_weight=1.0, seed=5).models(Aggregation.MAX)

    assert _auc(unseen, models) > _auc(unseen, None) + 0.1


def test_the_same_exams_give_the_same_scores_in_any_order(random_exam):
    rng = np.random.default_rng(4)
    exams = [random_exam(rng, num_lesions=2, num_false=4) for _ in range(40)]
    models = fit_exam(exams, rescore_weight=0.5, seed=5).models(Aggregation.MAX)
    findings = [one.finding for one in exams[0].findings]

    assert assess(findings, SLOTS, models) == assess(findings[::-1], SLOTS, models)


def _blurred(exam, rng):
    """The exam with scores that tell little."""
    scores = np.clip(rng.normal(0.5, 0.15, size=len(exam.findings)), 0.01, 0.99).tolist()
    moved = [
        replace(one, finding=replace(one.finding, score=score))
        for one, score in zip(exam.findings, scores, strict=True)
    ]
    return replace(exam, findings=tuple(moved))


def _auc(exams, models):
    scores, labels = [], []
    for exam in exams:
        matches = match([one.finding for one in exam.findings], models and models.matcher, 0.5)
        moved = models.rescoring(matches, models.matcher) if models else matches
        for before, after in zip(matches, moved, strict=True):
            for old, new in zip(before.findings, after.findings, strict=True):
                scores.append(new.score)
                labels.append(exam.truth(old).truth_lesion_id is not None)
    return auc(np.array(scores), np.array(labels))
