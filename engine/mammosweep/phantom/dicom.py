"""Phantom views as Digital Mammography X-Ray Image Storage - For Presentation (PS3.3 A.27)."""

from __future__ import annotations

from pathlib import Path

from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, DigitalMammographyXRayImageStorageForPresentation

from mammosweep.phantom.codecs import Syntax, encode_frame
from mammosweep.phantom.exam import PhantomExam, PhantomView
from mammosweep.phantom.streams import uid_from
from mammosweep.records import Laterality, Position

__all__ = ["header_of", "write_exam"]

# CID 4014, View for Mammography: SNOMED CT codes.
VIEW_CODES = {
    Position.CC: ("399162004", "cranio-caudal"),
    Position.MLO: ("399368009", "medio-lateral oblique"),
}
# PS3.3 C.7.6.1.1.1: where rows and columns point. Outer (CC) and head (MLO) are at the top.
ORIENTATION = {
    (Laterality.LEFT, Position.CC): ["A", "R"],
    (Laterality.RIGHT, Position.CC): ["P", "L"],
    (Laterality.LEFT, Position.MLO): ["A", "FR"],
    (Laterality.RIGHT, Position.MLO): ["P", "FL"],
}


def write_exam(exam: PhantomExam, folder: Path, *, syntax: Syntax) -> list[Path]:
    """Write four files, ``LCC.dcm`` and so on, in the order of ``exam.views``; give their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_write_view(exam, number, folder, syntax) for number in range(1, len(exam.views) + 1)]


def _write_view(exam: PhantomExam, number: int, folder: Path, syntax: Syntax) -> Path:
    view = exam.views[number - 1]
    path = folder / f"{view.laterality}{view.position}.dcm"
    dataset = header_of(exam, view, number)
    frame = encode_frame(view.pixels, syntax, exam.config.bits_stored)
    dataset.PixelData = encapsulate([frame]) if syntax.uid.is_compressed else frame
    dataset["PixelData"].VR = "OB" if syntax.uid.is_compressed else "OW"
    dataset.file_meta = _file_meta(view, syntax)
    dcmwrite(path, dataset, enforce_file_format=True)
    return path


def header_of(exam: PhantomExam, view: PhantomView, number: int) -> Dataset:
    """Give everything but the pixels and the file's own header; ``number`` is the Instance Number."""
    dataset = Dataset()
    for part in (
        _patient_and_study(exam),
        _series(exam, view, number),
        _image(exam, view),
        _acquisition(exam, view),
    ):
        dataset.update(part)
    return dataset


def _file_meta(view: PhantomView, syntax: Syntax) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = UID(view.sop_instance_uid)
    meta.TransferSyntaxUID = syntax.uid
    meta.ImplementationClassUID = UID(uid_from("implementation", "mammosweep phantom"))
    meta.ImplementationVersionName = "MAMMOSWEEP"
    return meta


def _patient_and_study(exam: PhantomExam) -> Dataset:
    part = Dataset()
    part.PatientName = f"Phantom^{exam.index:04d}"
    part.PatientID = exam.patient_id
    part.PatientBirthDate = "19600101"
    part.PatientSex = "F"
    part.PatientIdentityRemoved = "YES"
    part.DeidentificationMethod = "synthetic image, no patient"
    part.StudyInstanceUID = exam.exam_id
    part.StudyID = str(exam.index)
    part.StudyDate = f"{exam.study_date:%Y%m%d}"
    part.StudyTime = "120000"
    part.AccessionNumber = ""
    part.ReferringPhysicianName = ""
    part.StudyDescription = "Screening mammography"
    return part


def _series(exam: PhantomExam, view: PhantomView, number: int) -> Dataset:
    part = Dataset()
    part.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    part.SOPInstanceUID = view.sop_instance_uid
    part.SpecificCharacterSet = "ISO_IR 192"
    part.Modality = "MG"
    part.PresentationIntentType = "FOR PRESENTATION"
    part.SeriesInstanceUID = uid_from("series", exam.exam_id)
    part.SeriesNumber = 1
    part.InstanceNumber = number
    part.Manufacturer = "mammosweep"
    part.ManufacturerModelName = "phantom"
    part.DeviceSerialNumber = "1"
    part.SoftwareVersions = "1"
    part.AcquisitionDate = part.ContentDate = part.SeriesDate = f"{exam.study_date:%Y%m%d}"
    part.AcquisitionTime = part.ContentTime = part.SeriesTime = "120000"
    return part


def _image(exam: PhantomExam, view: PhantomView) -> Dataset:
    config = exam.config
    part = Dataset()
    part.ImageType = ["DERIVED", "PRIMARY"]
    part.SamplesPerPixel = 1
    part.PhotometricInterpretation = "MONOCHROME1" if config.monochrome1 else "MONOCHROME2"
    part.PresentationLUTShape = "INVERSE" if config.monochrome1 else "IDENTITY"
    part.PixelIntensityRelationship = "LOG"
    # Less exposure gives higher values, unless they are stored inverted (PS3.3 C.8.11.3.1.2).
    part.PixelIntensityRelationshipSign = 1 if config.monochrome1 else -1
    part.Rows, part.Columns = view.pixels.shape
    part.BitsAllocated = 16
    part.BitsStored = config.bits_stored
    part.HighBit = config.bits_stored - 1
    part.PixelRepresentation = 0
    part.RescaleIntercept, part.RescaleSlope, part.RescaleType = 0, 1, "US"
    part.WindowCenter, part.WindowWidth = _window(exam)
    part.WindowCenterWidthExplanation = "NORMAL"
    part.VOILUTFunction = "LINEAR"
    part.LossyImageCompression = "00"
    part.BurnedInAnnotation = "NO"
    return part


def _window(exam: PhantomExam) -> tuple[int, int]:
    """Cover fat to calcification: 0.08 to 0.92 of the range, whichever way it is stored."""
    full = exam.config.max_value + 1
    return full // 2, round(0.84 * full)


def _acquisition(exam: PhantomExam, view: PhantomView) -> Dataset:
    part = Dataset()
    part.ImageLaterality = str(view.laterality)
    part.ViewPosition = str(view.position)
    part.ViewCodeSequence = [_view_code(view.position)]
    part.PatientOrientation = ORIENTATION[view.laterality, view.position]
    part.AnatomicRegionSequence = [_code("76752008", "Breast")]
    part.BodyPartExamined = part.OrganExposed = "BREAST"
    part.BreastImplantPresent = "NO"
    part.PartialView = "NO"
    part.PositionerType = "MAMMOGRAPHIC"
    part.PositionerPrimaryAngle = 0 if view.position is Position.CC else 45
    part.DetectorType = "DIRECT"
    part.DetectorActiveShape = "RECTANGLE"
    part.ImagerPixelSpacing = [exam.config.spacing_mm] * 2
    part.EstimatedRadiographicMagnificationFactor = 1
    part.AcquisitionContextSequence = []
    return part


def _view_code(position: Position) -> Dataset:
    item = _code(*VIEW_CODES[position])
    item.ViewModifierCodeSequence = []
    return item


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", meaning
    return item
