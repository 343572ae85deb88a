"""One archive that holds every case that can share one, swept once; and the neighbour, swept alone."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
from tests.cases.all_cases import SHARED
from tests.cases.check import swept_of
from tests.cases.making import Desk, small_exam

import mammosweep
from mammosweep.config import DetectConfig, FlipMode, SweepConfig
from mammosweep.phantom import Syntax, write_exam

QUICK = SweepConfig(detect=DetectConfig(flips=FlipMode.NONE))
MANIFEST_COLUMNS = ("path", "patient_id", "exam_id", "spacing_mm")


@pytest.fixture(scope="session")
def quick():
    return QUICK


@pytest.fixture(scope="session")
def spoilt():
    """The exam whose images are spoilt."""
    return small_exam()


@pytest.fixture(scope="session")
def write_neighbour():
    """Writes the exam that nothing may change."""
    exam = small_exam(seed=7)

    def write(archive):
        for path in write_exam(exam, archive / "neighbour", syntax=Syntax.EXPLICIT):
            os.utime(path, (0, 0))  # the exam's digest holds the time

    return write


@pytest.fixture(scope="session")
def alone(tmp_path_factory, write_neighbour):
    """What a sweep says of the neighbour where there is nothing else."""
    place = tmp_path_factory.mktemp("alone")
    write_neighbour(place / "archive")
    mammosweep.sweep_to(place / "out", place / "archive", config=QUICK)
    return swept_of(place / "out").result_of("neighbour")


@pytest.fixture(scope="session")
def swept(tmp_path_factory, write_neighbour, spoilt):
    """The results of the archive that holds all shared cases."""
    place = tmp_path_factory.mktemp("cases")
    archive = place / "archive"
    write_neighbour(archive)
    for case in SHARED:
        case.build(Desk(archive / case.folder, spoilt))
    _write_manifest(place / "manifest.csv")
    mammosweep.sweep_to(place / "out", archive, manifest=place / "manifest.csv", config=QUICK)
    return swept_of(place / "out")


def _write_manifest(path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, MANIFEST_COLUMNS)
        writer.writeheader()
        for case in SHARED:
            writer.writerows(row | {"path": f"{case.folder}/{row['path']}"} for row in case.manifest)
