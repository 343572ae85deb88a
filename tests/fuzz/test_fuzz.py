"""A small part of `make fuzz` each time: nothing spoilt is taken for sound, nothing crashes, hangs or leaks.

What no oracle can tell: entropy-coded data, its tables and native pixels carry no checksum, so a bit that is
flipped there can decode to other pixels, whoever decodes it. Of such files only this is asked: no exception
but an ImageError, a frame of exactly Rows x Columns within Bits Stored, in time, and within memory.
"""

from __future__ import annotations

import pytest
from tests.fuzz.corpus import make_corpus
from tests.fuzz.judge import Fate, truths
from tests.fuzz.mutate import KINDS, Verdict
from tests.fuzz.run import Tally, fuzz, make
from tests.fuzz.watch import Watch

FILES = 4000
SECONDS = 20.0


@pytest.fixture(scope="module")
def corpus():
    return make_corpus()


def test_every_seed_is_sound(corpus):
    assert set(truths(corpus)) == {seed.name for seed in corpus}


def test_every_kind_is_made_and_has_files_of_its_verdict(corpus):
    made = [make(1, index, corpus) for index in range(4000)]

    assert {kind for kind, _, _ in made} == set(KINDS)
    assert {mutant.verdict for _, _, mutant in made} == set(Verdict)


def test_a_file_is_the_same_every_time(corpus):
    first, second = (make(7, 42, make_corpus())[2].data for _ in range(2))

    assert first == second


def test_nothing_spoilt_is_taken_for_sound(tmp_path):
    watch, tally = Watch(), Tally(seed=2026)

    fuzz(tally, FILES, tmp_path, watch, SECONDS)

    assert tally.findings == []
    assert watch.leaks() == []
    assert tally.done > 500
    assert {fate for _, fate in tally.fates} >= {Fate.ACCEPTED, Fate.REFUSED_HEADER, Fate.REFUSED_PIXELS}


def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path):
    whole, halves = Tally(seed=3), Tally(seed=3)

    fuzz(whole, 60, tmp_path / "whole", Watch())
    fuzz(halves, 30, tmp_path / "halves", Watch())
    halves = Tally.load(tmp_path / "halves", 3)
    fuzz(halves, 60, tmp_path / "halves", Watch())

    assert halves == whole
