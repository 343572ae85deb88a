"""The benchmarks' ResNet-50 as a bundle, by the project's own import; made once, beside its weights."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.bundles import canvases, variant
from benchmarks.resnet50 import GRID_MM, WORK, weights
from mammosweep.adopt import ViewsSource, adopt
from mammosweep.bundle.importing import ImportSettings, Layout
from mammosweep.bundle.load import file_digest
from mammosweep.phantom import PhantomConfig, Syntax, write_phantoms

__all__ = ["SCORE_FLOOR", "resnet50_bundle"]

SCORE_FLOOR = 0.02
"""Of each look and of what they agree on: lower than the findings that are compared."""

CANVASES = canvases((640, 2048), (320, 1664), step=32)
"""Around every breast, so that a crop is padded by less than 32, as torchvision pads it."""

VALIDATION_EXAMS = 4
VALIDATION_SEED = 407  # neither fitted on nor measured


def resnet50_bundle() -> Path:
    """Its folder; imported first where it is not there yet."""
    checkpoint = weights()
    folder = WORK / f"bundle-1000-{file_digest(checkpoint)[:12]}"
    if not folder.exists():
        draft = WORK / "draft"
        shutil.rmtree(draft, ignore_errors=True)
        settings = ImportSettings(grid_mm=GRID_MM, score_floor=SCORE_FLOOR, name="benchmark-resnet50")
        adopt(checkpoint, Layout.TORCHVISION, settings, draft, ViewsSource(str(_validation_exams())))
        variant(draft, folder, spec={"buckets": CANVASES})
        shutil.rmtree(draft)
    return folder


def _validation_exams() -> Path:
    archive = WORK / "validation"
    if not (archive / "truth.parquet").exists():  # written last
        config = PhantomConfig(lesion_rate=1.0)
        write_phantoms(
            archive, exams=VALIDATION_EXAMS, seed=VALIDATION_SEED, syntaxes=[Syntax.JPEG_LS], config=config
        )
    return archive
