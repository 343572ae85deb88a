from __future__ import annotations

import numpy as np
import pytest

from mammosweep.exam.match import match, resolve
from mammosweep.exam.pairs import PAIR_FEATURES

DEPTH = PAIR_FEATURES.index("depth_difference")


def by_depth(rows):
    """The nearer in depth, the more probably one lesion."""
    return 1.0 - rows[:, DEPTH].astype(np.float64)


def depths(matches):
    return [tuple(f and f.depth for f in (m.cc, m.mlo)) for m in matches]


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        pytest.param([[0.9, 0.8], [0.85, 0.1]], [(0, 0)], id="the best pair takes both its rivals' partners"),
        pytest.param([[0.9, 0.8], [0.85, 0.6]], [(0, 0), (1, 1)], id="what is left over is paired"),
        pytest.param([[0.2, 0.7, 0.6], [0.95, 0.96, 0.5]], [(1, 1), (0, 2)], id="more columns than rows"),
        pytest.param([[0.3], [0.6], [0.55]], [(1, 0)], id="more rows than columns"),
        pytest.param([[0.7, 0.7], [0.7, 0.7]], [(0, 0), (1, 1)], id="ties go to the first"),
        pytest.param([[0.6, 0.8], [0.8, 0.1]], [(0, 1), (1, 0)], id="ties of which both stand"),
        pytest.param([[0.5]], [(0, 0)], id="at the threshold is paired"),
        pytest.param([[np.nextafter(0.5, 0.0)]], [], id="just below stays single"),
    ],
)
def test_the_matrix_is_resolved_greedily(probabilities, expected):
    assert resolve(np.array(probabilities), 0.5) == expected


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)], ids=str)
def test_an_empty_matrix_has_no_pairs(shape):
    assert resolve(np.zeros(shape), 0.0) == []


def test_findings_pair_by_probability_and_the_rest_stay_single(finding):
    findings = [finding("LCC", depth=d) for d in (0.125, 0.5)] + [
        finding("LMLO", depth=d) for d in (0.25, 0.5, 1.0)
    ]

    matches = match(findings, by_depth, 0.5)

    assert depths(matches) == [(0.5, 0.5), (0.125, 0.25), (None, 1.0)]
    assert [m.probability for m in matches] == [1.0, 0.875, None]


def test_findings_of_different_breasts_or_of_one_view_never_pair(finding):
    findings = [finding(slot, depth=0.5) for slot in ("RMLO", "LCC", "LCC")]

    matches = match(findings, by_depth, 0.0)

    assert [(m.laterality, m.probability) for m in matches] == [("L", None), ("L", None), ("R", None)]


def test_every_finding_is_in_exactly_one_match(finding):
    rng = np.random.default_rng(0)
    findings = [
        finding(slot, depth=float(rng.random()))
        for slot in rng.choice(["LCC", "LMLO", "RCC", "RMLO"], size=40).tolist()
    ]

    matched = [f for m in match(findings, by_depth, 0.9) for f in m.findings]

    assert sorted(map(id, matched)) == sorted(map(id, findings))


def test_no_findings_have_no_matches():
    assert match([], by_depth, 0.5) == []


def test_without_a_matcher_every_finding_stays_single(finding):
    findings = [finding(slot, depth=0.5) for slot in ("RMLO", "LMLO", "LCC")]

    matches = match(findings, None, 0.0)

    assert [(m.laterality, m.findings[0].position, m.probability) for m in matches] == [
        ("L", "CC", None),
        ("L", "MLO", None),
        ("R", "MLO", None),
    ]
