"""A small real archive, and a small real function in the pipeline's place: a score from the files' bytes.

Run as a script it sweeps, slowly if asked to, so that a test can kill it:
tiny.py SOURCE OUT CHUNK_EXAMS DELAY.
"""

from __future__ import annotations

import hashlib
import sys
import time
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian

from mammosweep.config import ArchiveConfig, RunConfig, SweepConfig
from mammosweep.errors import Reason
from mammosweep.records import (
    ExamOutcome,
    ExamStatus,
    Finding,
    Laterality,
    Lesion,
    LesionType,
    Position,
    Provenance,
)
from mammosweep.run.local import prepare
from mammosweep.run.screener import Screener

VIEWS = ("L CC", "R CC", "L MLO", "R MLO")
NAME = "Surname^Secret"


def write_view(folder, exam, slot, gray=100):
    """One view as a valid file; the exam's number makes its UIDs."""
    laterality, position = slot.split()
    uid = f"1.2.826.0.1.3680043.8.498.{exam}.{VIEWS.index(slot) + 1}"
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    view = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    view.SOPClassUID, view.SOPInstanceUID = meta.MediaStorageSOPClassUID, uid
    view.StudyInstanceUID = f"1.2.826.0.1.3680043.8.498.{exam}"
    view.SeriesInstanceUID = f"1.2.826.0.1.3680043.8.498.{exam}.99"
    view.PatientID, view.PatientName, view.StudyDate = f"PATIENT-{exam}", NAME, "20240102"
    view.Modality, view.PresentationIntentType = "MG", "FOR PRESENTATION"
    view.ImageLaterality, view.ViewPosition = laterality, position
    view.ViewCodeSequence = [_view_code(position)]
    view.ImagerPixelSpacing, view.PatientOrientation = [0.1, 0.1], ["A", laterality]
    view.Rows, view.Columns, view.SamplesPerPixel = 16, 12, 1
    view.BitsAllocated, view.BitsStored, view.HighBit, view.PixelRepresentation = 16, 12, 11, 0
    view.PhotometricInterpretation, view.PresentationLUTShape = "MONOCHROME2", "IDENTITY"
    view.PixelData = np.full((16, 12), gray + VIEWS.index(slot), np.uint16).tobytes()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{slot.replace(' ', '')}.dcm"
    view.save_as(path, enforce_file_format=True)
    return path


def _view_code(position):
    code = Dataset()
    code.CodeValue, code.CodeMeaning = {
        "CC": ("399162004", "cranio-caudal"),
        "MLO": ("399368009", "medio-lateral oblique"),
    }[position]
    code.CodingSchemeDesignator = "SCT"
    return code


def write_archive(folder, exams):
    """So many four-view exams, exam 10 upwards, and one file that is none."""
    for number in range(10, 10 + exams):
        for slot in VIEWS:
            write_view(folder / f"exam{number}", number, slot, gray=100 + number)
    (folder / "notes.txt").write_text("not a mammogram")
    return folder


def score_of(exam, source):
    """A number in [0, 1) that every byte of the exam's views goes into."""
    digest = hashlib.sha256()
    for view in exam.views:
        with source.open(view.path) as file:
            digest.update(file.read())
    return int(digest.hexdigest()[:8], 16) / 2**32


def tiny_screener(*, delay=0.0, bundle="a" * 64, settings="b" * 64, not_scored=(), calls=None):
    """Scores exams by their bytes; those whose id ends in one of ``not_scored`` get none."""
    provenance = Provenance(
        engine_version="0",
        bundle="tiny 1",
        bundle_digest=bundle,
        settings_digest=settings,
        device="cpu",
        precision="fp32",
    )
    screener = Screener(screen=None, provenance=provenance, bundle_note="Counts bytes.")

    def screen(exams, source):
        for exam in exams:
            if calls is not None:
                calls.append(exam.exam_id)
            with screener.clock.measure("count"):
                time.sleep(delay)
                score = score_of(exam, source)
            yield outcome_of(exam, provenance, None if exam.exam_id.endswith(tuple(not_scored)) else score)

    return Screener(
        screen=screen, provenance=provenance, bundle_note=screener.bundle_note, clock=screener.clock
    )


def outcome_of(exam, provenance, score):
    """An outcome with one lesion where there is a score, and none where there is not."""
    about = {
        "exam_id": exam.exam_id,
        "exam_digest": exam.digest,
        "patient_key": exam.patient_key,
        "study_date": exam.study_date,
        "images": exam.images,
        "provenance": provenance,
    }
    if score is None or exam.reason is not None:
        reason = exam.reason or Reason.NO_USABLE_VIEW
        return ExamOutcome(
            **about, status=ExamStatus.NOT_SCORED, reason=reason, message="no byte could be read"
        )
    status = ExamStatus.FLAGGED if exam.flags else ExamStatus.SCORED
    lesions = (_lesion(exam, score),)
    return ExamOutcome(**about, status=status, flags=exam.flags, score=score, category="3", lesions=lesions)


def _lesion(exam, score):
    view = exam.views[0]
    finding = Finding(
        sop_instance_uid=view.sop_instance_uid,
        laterality=view.laterality,
        position=view.position,
        box_px=(1.0, 2.0, 5.0, 6.0),
        size_mm=(0.4, 0.4),
        type=LesionType.MASS,
        score=score,
        flip_votes=1,
        embedding=np.zeros(2, np.float32),
        lesion_id="L1",
    )
    is_cc = view.position is Position.CC
    return Lesion(
        lesion_id="L1",
        laterality=Laterality.LEFT,
        type=LesionType.MASS,
        cc=finding if is_cc else None,
        mlo=None if is_cc else finding,
        match_probability=None,
        malignancy=score,
        category="3",
    )


def settings(chunk_exams=2):
    """Header reading in this process, so that tests start fast."""
    return SweepConfig(archive=ArchiveConfig(workers=1), run=RunConfig(chunk_exams=chunk_exams))


def tiny_sweep(out, source, *, chunk_exams=2, manifest=None, progress=None, terms=None, **screener):
    """A whole sweep with the tiny screener."""
    config = settings(chunk_exams)
    told = {} if progress is None else {"progress": progress}
    told |= {} if terms is None else {"terms": terms}

    def load(config, bundle):
        return tiny_screener(**screener)

    with prepare(Path(out), source, manifest, config=config, load=load, **told) as ready:
        return ready.run()


if __name__ == "__main__":
    source, out, chunk_exams, delay = sys.argv[1:]
    tiny_sweep(out, source, chunk_exams=int(chunk_exams), delay=float(delay))
