"""An archive of any size whose headers cost nothing, and a detector that costs nothing: what is left is ours.

Run as a script it is one phase of a sweep, in a process of its own whose memory and time are its own:
``python -m benchmarks.scale_archive index|half|resume FOLDER EXAMS``. It prints a line of JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mammosweep.archive.catalog import index_to
from mammosweep.archive.source import FileEntry, Source
from mammosweep.config import ArchiveConfig, ReportConfig, RunConfig, SweepConfig
from mammosweep.records import (
    SLOTS,
    ExamOutcome,
    ExamRef,
    ExamStatus,
    Finding,
    ImageRecord,
    ImageStatus,
    Laterality,
    Lesion,
    LesionType,
    Position,
    Provenance,
)
from mammosweep.run.local import prepare
from mammosweep.run.screener import Screener

CHUNK_EXAMS = 128
ROOT = "1.2.826.0.1.3680043.8.498"


class SyntheticSource:
    """Records as header reading makes them, without files: four views an exam, one exam in 500 lacks one."""

    is_for_every_process = False

    def __init__(self, root: Path, exams: int) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.url = str(root.resolve())
        self._exams = exams

    def entries(self) -> Iterator[FileEntry | ImageRecord]:
        """Every file, ordered by path."""
        for exam in range(self._exams):
            study = f"{ROOT}.{exam}"
            day = date(2014, 1, 1) + timedelta(days=exam % 3650)
            for number, (laterality, position) in enumerate(SLOTS[exam % 500 == 0 :]):
                yield ImageRecord(
                    path=f"{exam // 1000:05d}/{exam:08d}/{laterality}{position}.dcm",
                    status=ImageStatus.USED,
                    size_bytes=27_000_000 + exam,
                    mtime_ns=1_700_000_000_000_000_000 + 4 * exam + number,
                    sop_instance_uid=f"{study}.{number}",
                    study_instance_uid=study,
                    exam_id=study,
                    patient_key=f"{exam // 4:064x}",
                    study_date=day,
                    laterality=laterality,
                    view_position=position,
                    transfer_syntax="1.2.840.10008.1.2.4.90",
                    rows=4096,
                    columns=3328,
                    spacing_mm=(0.065, 0.065),
                    manufacturer="HOLOGIC, Inc.",
                    model="Selenia Dimensions",
                )

    def open(self, path: str) -> BinaryIO:
        """There are no files."""
        raise FileNotFoundError(path)


def stand_in(stop_after: int | None = None) -> Screener:
    """Three lesions an exam, one of them in both views, in no time; after so many exams it is interrupted."""
    provenance = Provenance(
        engine_version="0",
        bundle="stand-in 1",
        bundle_digest="a" * 64,
        settings_digest="b" * 64,
        device="cpu",
        precision="fp32",
    )

    def screen(exams: Iterable[ExamRef], source: Source) -> Iterator[ExamOutcome]:
        for number, exam in enumerate(exams):
            if number == stop_after:
                raise KeyboardInterrupt
            yield outcome_of(exam, provenance)

    return Screener(screen=screen, provenance=provenance)


def outcome_of(exam: ExamRef, provenance: Provenance) -> ExamOutcome:
    """Two lesions, one of them in both views, and a score that follows from the exam alone."""
    score = int(exam.digest[:8], 16) / 2**32
    findings = findings_of(exam)
    pair = [findings.get((Laterality.RIGHT, position)) for position in Position]
    return ExamOutcome(
        exam_id=exam.exam_id,
        exam_digest=exam.digest,
        patient_key=exam.patient_key,
        study_date=exam.study_date,
        status=ExamStatus.FLAGGED if exam.flags else ExamStatus.SCORED,
        flags=exam.flags,
        score=score,
        score_left=score / 2,
        score_right=score,
        category="3",
        lesions=(
            _lesion("R1", Laterality.RIGHT, score, *pair),
            _lesion("L1", Laterality.LEFT, score / 2, None, findings.get((Laterality.LEFT, Position.MLO))),
        ),
        images=exam.images,
        provenance=provenance,
    )


def findings_of(exam: ExamRef) -> dict[tuple[Laterality, Position], Finding]:
    """One in every view."""
    return {
        (view.laterality, view.position): _finding(view.sop_instance_uid, view.laterality, view.position)
        for view in exam.views
    }


def _finding(uid: str, laterality: Laterality, position: Position) -> Finding:
    return Finding(
        sop_instance_uid=uid,
        laterality=laterality,
        position=position,
        box_px=(100.0, 200.0, 300.0, 400.0),
        size_mm=(13.0, 13.0),
        type=LesionType.MASS,
        score=0.5,
        flip_votes=4,
        embedding=EMBEDDING,
        quadrant="upper",
        depth=0.4,
        malignancy=0.3,
        character={"shape": "oval", "margin": "indistinct"},
        character_scores={"shape.oval": 0.7, "shape.round": 0.3, "margin.indistinct": 1.0},
    )


def _lesion(
    name: str, side: Laterality, malignancy: float, cc: Finding | None, mlo: Finding | None
) -> Lesion:
    return Lesion(
        lesion_id=name,
        laterality=side,
        type=LesionType.MASS,
        cc=cc,
        mlo=mlo,
        match_probability=0.9 if cc and mlo else None,
        malignancy=malignancy,
        category="3",
        contributions={"score_max": 0.5, "malignancy_max": 0.25, "bias": -2.0},
    )


EMBEDDING = np.zeros(4, np.float32)

CONFIG = SweepConfig(report=ReportConfig(pages=False), run=RunConfig(chunk_exams=CHUNK_EXAMS))


def phase(name: str, folder: Path, exams: int) -> dict[str, float]:
    """One phase; its seconds, processor seconds, peak memory, and seconds by stage."""
    start, stages = time.perf_counter(), {}
    catalog = folder / "catalog.parquet"
    if name == "index":
        index_to(catalog, SyntheticSource(folder / "archive", exams), config=ArchiveConfig(workers=1))
    else:
        screener = stand_in(exams // 2 if name == "half" else None)
        out = folder / "out"
        with prepare(out, catalog, config=CONFIG, load=lambda _c, _b: screener) as ready:
            stages["plan"] = time.perf_counter() - start
            with suppress(KeyboardInterrupt):
                stages |= ready.run().seconds
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_mib": usage.ru_maxrss / 1024,
        **{f"stage/{stage}": seconds for stage, seconds in stages.items()},
    }


if __name__ == "__main__":
    print(json.dumps(phase(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
