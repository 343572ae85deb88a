"""An archive of many files with a phantom's headers and few pixels: reading headers is all there is to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from mammosweep.phantom import PhantomConfig, Syntax, make_exam, write_exam
from mammosweep.phantom.exam import PhantomExam

__all__ = ["SYNTAXES", "write_header_archive"]

SYNTAXES = tuple(Syntax)
VIEWS = 4
DIGITS = 7  # at the end of a UID, that number an exam


def write_header_archive(folder: Path, num_files: int, *, width_px: int = 160) -> None:
    """Write exams of four views, in every syntax in turn; an exam is a folder.

    One phantom is drawn and made small; each file is a copy of one of its files with UIDs of its own.
    """
    exam = _small(make_exam(11, 0, PhantomConfig(spacing_mm=0.4, lesion_rate=1.0)), width_px)
    seeds = [list(_seeds(exam, syntax, folder / "seeds")) for syntax in SYNTAXES]
    for index in range(num_files // VIEWS):
        here = folder / f"{index // 100:04}" / f"exam{index:07}"
        here.mkdir(parents=True)
        for view, (whole, uids) in enumerate(seeds[index % len(seeds)]):
            for uid in uids:
                whole = whole.replace(uid, uid[:-DIGITS] + b"%07d" % index)
            (here / f"{view}.dcm").write_bytes(whole)


def _small(exam: PhantomExam, width_px: int) -> PhantomExam:
    views = []
    for view in exam.views:
        rows, columns = view.pixels.shape
        size = (width_px, rows * width_px // columns)
        small = cv2.resize(view.pixels, size, interpolation=cv2.INTER_AREA)
        views.append(replace(view, pixels=np.ascontiguousarray(small)))
    return replace(exam, views=tuple(views))


def _seeds(exam: PhantomExam, syntax: Syntax, folder: Path) -> Iterator[tuple[bytes, list[bytes]]]:
    """Each view's file, and the UIDs in it that belong to one exam."""
    for path, view in zip(write_exam(exam, folder, syntax=syntax), exam.views, strict=True):
        yield path.read_bytes(), [exam.exam_id.encode(), view.sop_instance_uid.encode()]
        path.unlink()
    folder.rmdir()
