"""Pictures of exam pages on their way from the actor that saw them to the one that writes the page.

They are pixels, so they go through files in the sweep's own folder and not through Ray's object store. The
folder's name begins like that of a part half written: what a killed sweep leaves is cleared by the next.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from mammosweep.records import ScreenedExam
from mammosweep.run.ledger import PARTS, TEMPORARY

__all__ = ["remove", "staging_name", "take", "without_pictures", "write"]

NO_PIXELS = np.empty((0, 0), np.uint8)


def staging_name(chunk_id: str, token: str) -> str:
    """The folder's name; ``token`` tells one attempt at a chunk from another."""
    return f"{TEMPORARY}{chunk_id}-pictures-{token}"


def write(out: Path, staging: str, place: int, exam: ScreenedExam) -> ScreenedExam:
    """Put an exam's pictures into the folder.

    Args:
        out: the sweep's folder.
        staging: the folder's name below ``parts/``; it is made.
        place: of the exam in its chunk.
        exam: with pictures.

    Returns:
        The exam, its pictures without pixels.
    """
    folder = out / PARTS / staging
    folder.mkdir(exist_ok=True)
    for index, picture in enumerate(exam.pictures):
        np.save(folder / _file(place, index), picture.gray, allow_pickle=False)
    return replace(exam, pictures=tuple(replace(picture, gray=NO_PIXELS) for picture in exam.pictures))


def take(out: Path, staging: str, place: int, exam: ScreenedExam) -> ScreenedExam:
    """The exam with its pictures' pixels, as `write` was given it."""
    folder = out / PARTS / staging
    grays = [np.load(folder / _file(place, i), allow_pickle=False) for i in range(len(exam.pictures))]
    return replace(
        exam, pictures=tuple(replace(p, gray=g) for p, g in zip(exam.pictures, grays, strict=True))
    )


def without_pictures(exam: ScreenedExam) -> ScreenedExam:
    """The exam where no page is wanted."""
    return replace(exam, pictures=())


def remove(out: Path, chunk_id: str) -> None:
    """Remove what any attempt at a chunk put there."""
    for folder in (out / PARTS).glob(staging_name(chunk_id, "*")):
        shutil.rmtree(folder, ignore_errors=True)


def _file(place: int, index: int) -> str:
    return f"{place}-{index}.npy"
