"""An archive as found in the wild: phantoms in five syntaxes, real films with dirty headers, and junk."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
from pydicom.uid import generate_uid

from mammosweep.demo import COLUMNS, demo_source, write_demo_manifest
from mammosweep.phantom import PhantomConfig, Syntax, make_exam, write_exam, write_phantoms

__all__ = ["JUNK", "MixedArchive", "make_mixed_archive", "shared_dicom"]

FIVE_SYNTAXES = (Syntax.EXPLICIT, Syntax.JPEG_LOSSLESS, Syntax.JPEG2000, Syntax.JPEG_LS, Syntax.RLE)


@dataclass(frozen=True, slots=True)
class MixedArchive:
    """Where it lies, its manifest, and how many files it holds."""

    source: Path
    manifest: Path
    num_files: int


def make_mixed_archive(folder: Path, *, spacing_mm: float = 0.2) -> MixedArchive:
    """Write it below ``folder``; toolkit test files join where they are at hand (see `shared_dicom`)."""
    source = folder / "archive"
    write_phantoms(
        source / "phantoms",
        exams=len(FIVE_SYNTAXES),
        seed=5,
        syntaxes=FIVE_SYNTAXES,
        config=PhantomConfig(spacing_mm=spacing_mm, lesion_rate=1.0),
    )
    next(source.rglob("exam0004/RMLO.dcm")).unlink()  # an exam of three views
    shutil.copytree(demo_source(), source / "films", ignore=shutil.ignore_patterns("__pycache__"))
    shared = shared_dicom()
    if shared is not None:
        shutil.copytree(shared, source / "toolkit")
    _write_junk(source / "junk")
    manifest = folder / "manifest.csv"
    _write_manifest(manifest)
    return MixedArchive(source, manifest, _num_files(source))


def _num_files(source: Path) -> int:
    """Everything that is not a folder of its own: a link to a folder counts as a file."""
    walked = list(os.walk(source))
    links = sum(Path(folder, name).is_symlink() for folder, names, _ in walked for name in names)
    return links + sum(len(files) for _, _, files in walked)


def shared_dicom() -> Path | None:
    """Real vendor headers, named by MAMMOSWEEP_SHARED_DATA or beside the project; never part of it."""
    beside = Path(__file__).parent.parent.parent / "shared" / "data"
    folder = Path(os.environ.get("MAMMOSWEEP_SHARED_DATA", beside)) / "dicom_mg"
    return folder if folder.is_dir() else None


def _write_manifest(path: Path) -> None:
    write_demo_manifest(path)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(row | {"path": f"films/{row['path']}"} for row in rows)


def _write_junk(folder: Path) -> None:
    folder.mkdir(parents=True)
    exam = make_exam(99, 0, PhantomConfig(spacing_mm=0.4))
    base = write_exam(exam, folder / "base", syntax=Syntax.EXPLICIT)[0].rename(folder / "base.dcm")
    shutil.rmtree(folder / "base")
    for name, make in JUNK.items():
        make(base, folder / name)
    base.unlink()


def _bytes(data: bytes) -> Callable[[Path, Path], None]:
    return lambda base, path: path.write_bytes(data) and None


def _cut(share: float) -> Callable[[Path, Path], None]:
    def make(base: Path, path: Path) -> None:
        whole = base.read_bytes()
        path.write_bytes(whole[: int(len(whole) * share)])

    return make


def _changed(**attributes: object) -> Callable[[Path, Path], None]:
    """The base image as an exam of its own with some attributes changed, or deleted where None."""

    def make(base: Path, path: Path) -> None:
        dataset = pydicom.dcmread(base)
        dataset.StudyInstanceUID = generate_uid(entropy_srcs=[path.name, "study"])
        dataset.SOPInstanceUID = generate_uid(entropy_srcs=[path.name])
        for name, value in attributes.items():
            if value is None:
                delattr(dataset, name)
            else:
                setattr(dataset, name, value)
        dataset.save_as(path)

    return make


JUNK: dict[str, Callable[[Path, Path], None]] = {
    "empty.dcm": _bytes(b""),
    "notes.txt": _bytes(b"these are not the films you are looking for\n"),
    "noise.dcm": _bytes(np.random.default_rng(0).bytes(4096)),
    "picture.png": _bytes(imagecodecs.png_encode(np.zeros((8, 8), np.uint8))),
    "films.zip": _bytes(b"PK\x03\x04" + bytes(60)),
    "DICOMDIR": _bytes(bytes(128) + b"DICM"),
    "cut-in-header.dcm": _cut(0.0005),
    "cut-in-pixels.dcm": _cut(0.5),
    "rows-zero.dcm": _changed(Rows=0),
    "rows-huge.dcm": _changed(Rows=65535, Columns=65535),
    "bits-stored.dcm": _changed(BitsStored=24),
    "high-bit.dcm": _changed(HighBit=15),
    "slope-zero.dcm": _changed(RescaleSlope="0"),
    "no-pixels.dcm": _changed(PixelData=None),
    "no-laterality.dcm": _changed(ImageLaterality=None),
    "no-spacing.dcm": _changed(ImagerPixelSpacing=None),
    "no-view.dcm": _changed(ViewPosition=None, ViewCodeSequence=None),
    "no-study-uid.dcm": _changed(StudyInstanceUID=None),
    "secondary-capture.dcm": _changed(SOPClassUID="1.2.840.10008.5.1.4.1.1.7"),
    "loop": lambda base, path: path.symlink_to(path.parent, target_is_directory=True),
}
