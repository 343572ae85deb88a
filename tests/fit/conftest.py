"""A small annotated archive, coarse enough to fit on in seconds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mammosweep.fit.recipe import Recipe
from mammosweep.fit.samples import read_samples
from mammosweep.geometry import Size
from mammosweep.phantom import PhantomConfig, Syntax, write_phantoms

GRID_MM = 1.6


@pytest.fixture(scope="session")
def annotated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("annotated")
    config = PhantomConfig(spacing_mm=0.4, lesion_rate=1.0)
    write_phantoms(folder, exams=3, seed=11, syntaxes=[Syntax.EXPLICIT], config=config)
    return folder


@pytest.fixture(scope="session")
def samples(annotated):
    return read_samples(annotated, GRID_MM)


@pytest.fixture(scope="session")
def small_spec():
    return replace(Recipe().spec, channels=16, representation=16, buckets=(Size(192, 128),))
