"""Small valid mammograms, to be spoilt by each test in its own way."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pydicom import config as pydicom_config
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian

from mammosweep.archive.header import read_record
from mammosweep.archive.manifest import ManifestRow
from mammosweep.archive.parse import quiet
from mammosweep.archive.pseudonym import KEY_FILE_VARIABLE, Pseudonym
from mammosweep.archive.source import FileEntry, open_source
from mammosweep.config import ArchiveConfig
from mammosweep.records import ImageRecord

PATIENT_NAME = "Nightingale^Florence"
PATIENT_ID = "PID-4711"
ROWS, COLUMNS = 64, 48
STUDY = "1.2.826.0.1.3680043.8.498.1"

Change = Callable[[Dataset], object]


@pytest.fixture(autouse=True)
def own_pseudonym_key(tmp_path_factory, monkeypatch):
    """No test reads or makes the key of whoever runs it."""
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(tmp_path_factory.mktemp("key") / "pseudonym.key"))


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without rights, where tests run as root, whom permissions do not stop."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def mammogram(
    laterality: str = "L", view: str = "CC", *, study: str = STUDY, number: int = 1, **changes: object
) -> Dataset:
    """A view as Digital Mammography X-Ray Image - For Presentation, 64 x 48 pixels of 12 bit."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    dataset.file_meta.MediaStorageSOPInstanceUID = study
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    dataset.SOPInstanceUID = f"{study}.{number}.{ord(laterality)}.{len(view)}"
    dataset.StudyInstanceUID = study
    dataset.StudyDate = "20240131"
    dataset.Modality = "MG"
    dataset.Manufacturer, dataset.ManufacturerModelName = "mammosweep", "phantom"
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.PatientName, dataset.PatientID, dataset.PatientSex = PATIENT_NAME, PATIENT_ID, "F"
    dataset.ImageLaterality, dataset.ViewPosition = laterality, view
    dataset.ImagerPixelSpacing = [0.05, 0.07]
    dataset.EstimatedRadiographicMagnificationFactor = "1"
    _describe_pixels(dataset)
    with quiet(), pydicom_config.disable_value_validation():
        for keyword, value in changes.items():
            setattr(dataset, keyword, value)
    return dataset


def _describe_pixels(dataset: Dataset) -> None:
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = ROWS, COLUMNS
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.RescaleSlope, dataset.RescaleIntercept = "1", "0"
    dataset.WindowCenter, dataset.WindowWidth = "2048", "4096"
    dataset.PixelData = np.arange(ROWS * COLUMNS, dtype="<u2").tobytes()


def save(dataset: Dataset, path: Path, *, enforce: bool = True) -> Path:
    """Write a file with values that pydicom would not let through."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with quiet(), pydicom_config.disable_value_validation():
        dataset.save_as(path, enforce_file_format=enforce)
    return path


def spoilt(path: Path, change: Change) -> Path:
    """A mammogram with one thing changed."""
    with quiet(), pydicom_config.disable_value_validation():
        dataset = mammogram()
        change(dataset)
    return save(dataset, path)


def read(path: Path, row: ManifestRow | None = None, config: ArchiveConfig | None = None) -> ImageRecord:
    """The record of one file."""
    config = config or ArchiveConfig()
    source = open_source(path, config=config)
    (entry,) = source.entries()
    if not isinstance(entry, FileEntry):
        return entry
    return read_record(source, entry, config=config, pseudonym=Pseudonym(b"key"), manifest_row=row)


@pytest.fixture(scope="session")
def films() -> SimpleNamespace:
    """How to make and read the files."""
    return SimpleNamespace(mammogram=mammogram, save=save, spoilt=spoilt, read=read, as_nobody=as_nobody)
