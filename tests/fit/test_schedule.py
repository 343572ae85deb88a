from __future__ import annotations

import pytest

from mammosweep.fit.detector import DetectorFit, Schedule, _schedule


def rates(**settings):
    fit = DetectorFit(steps=100, warmup_steps=10, **settings)
    return [_schedule(step, fit) for step in range(100)]


def test_the_rate_rises_and_falls_once():
    found = rates()

    assert found[0] == pytest.approx(0.1)
    assert found[9] == found[10] == pytest.approx(1.0)
    assert found[55] == pytest.approx(0.505)
    assert found[99] == pytest.approx(0.01, abs=2e-3)
    assert found[10:] == sorted(found[10:], reverse=True)


def test_a_restart_begins_anew_at_its_share_of_the_peak():
    found, once = rates(restarts=(60, 80)), rates()

    assert found[59] == pytest.approx(0.01, abs=2e-3)
    assert (found[60], found[80]) == pytest.approx((0.5, 0.25))
    assert found[79] < 0.02
    assert found[:10] == once[:10]


def test_up_to_its_first_restart_a_fit_is_one_that_ends_there():
    longer = DetectorFit(steps=100, warmup_steps=10, restarts=(60,))
    shorter = DetectorFit(steps=60, warmup_steps=10)

    assert [_schedule(s, longer) for s in range(60)] == [_schedule(s, shorter) for s in range(60)]


def test_a_restart_beyond_the_end_changes_nothing():
    assert rates(restarts=(400,)) == rates()


def test_a_constant_rate_stays():
    assert set(rates(schedule=Schedule.CONSTANT)[10:]) == {1.0}
