"""The command as it is, with a score from the decoded pixels in the networks' place: it starts in a second.

``python -m tests.faults.sweep DELAY_S sweep SOURCE --out OUT ...``. Bundle, catalog, storage, decode workers,
ledger and reports are the engine's own. A SOURCE of ``faulty://FOLDER`` is a folder whose reads fail or hang
as the environment variable FAULTY says: "eio SEED SHARE" or "hang SEED SHARE".
"""

from __future__ import annotations

import errno
import hashlib
import os
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random

import fsspec
import numpy as np
from fsspec.implementations.local import LocalFileSystem

from mammosweep import cli
from mammosweep.archive.source import Source
from mammosweep.archive.verdict import refused
from mammosweep.bundle import Bundle, open_bundle
from mammosweep.config import SweepConfig
from mammosweep.errors import Flag, ImageError
from mammosweep.pixels.reader import FrameReader, PendingFrame
from mammosweep.records import (
    ExamOutcome,
    ExamRef,
    ExamStatus,
    Finding,
    ImageStatus,
    Lesion,
    LesionType,
    Position,
    Provenance,
    View,
)
from mammosweep.run import local
from mammosweep.run.screener import Screener

__all__ = ["FAULTY", "load_screener", "main"]

FAULTY = "FAULTY"
EXAMS_AHEAD = 2

Pending = dict[View, PendingFrame]


def load_screener(delay_s: float, config: SweepConfig, bundle_path: Path | None = None) -> Screener:
    """What the engine's `load_screener` gives, without a network; each exam takes ``delay_s`` more."""
    bundle, reader = open_bundle(bundle_path), FrameReader(config.pixels)
    provenance = Provenance(
        engine_version="0",
        bundle=bundle.title,
        bundle_digest=bundle.digest,
        settings_digest=config.digest,
        device="cpu",
        precision="fp32",
    )

    def screen(exams: Iterable[ExamRef], source: Source) -> Iterator[ExamOutcome]:
        for exam, pending in _read_ahead(exams, source, reader):
            time.sleep(delay_s)
            yield _outcome(exam, pending, bundle, provenance)

    return Screener(screen=screen, provenance=provenance, bundle_note="None.", close=reader.close)


def _read_ahead(
    exams: Iterable[ExamRef], source: Source, reader: FrameReader
) -> Iterator[tuple[ExamRef, Pending]]:
    ahead: deque[tuple[ExamRef, Pending]] = deque()
    for exam in exams:
        views = exam.views if exam.reason is None else ()
        ahead.append((exam, {view: reader.request(source, view) for view in views}))
        if len(ahead) > EXAMS_AHEAD:
            yield ahead.popleft()
    yield from ahead


def _outcome(exam: ExamRef, pending: Pending, bundle: Bundle, provenance: Provenance) -> ExamOutcome:
    """As the pipeline's: a view that cannot be had is its image's reason, and the exam goes on without."""
    digest, views = hashlib.sha256(bundle.digest.encode()), []
    images = {image.path: image for image in exam.images}
    for view, one in pending.items():
        try:
            with one as frame:
                digest.update(frame.stored.tobytes())
                views.append(view)
        except ImageError as error:
            images[view.path] = refused(images[view.path], error.reason, str(error))
    outcome = ExamOutcome(
        exam_id=exam.exam_id,
        exam_digest=exam.digest,
        patient_key=exam.patient_key,
        study_date=exam.study_date,
        status=ExamStatus.SCORED,
        images=tuple(images.values()),
        provenance=provenance,
    )
    if not views:
        lost = [image for image in outcome.images if image.reason is not None]
        reason, message = (exam.reason, exam.message) if exam.reason else (lost[0].reason, lost[0].message)
        return replace(outcome, status=ExamStatus.NOT_SCORED, reason=reason, message=message)
    score = int(digest.hexdigest()[:8], 16) / 2**32
    lesions = (_lesion(views[0], score),)
    if all(image.status is ImageStatus.USED for image in outcome.images):
        return replace(outcome, score=score, category="3", lesions=lesions)
    flags = (Flag.IMAGES_NOT_USED,)
    return replace(
        outcome, status=ExamStatus.FLAGGED, flags=flags, score=score, category="3", lesions=lesions
    )


def _lesion(view: View, score: float) -> Lesion:
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
        laterality=view.laterality,
        type=LesionType.MASS,
        cc=finding if is_cc else None,
        mlo=None if is_cc else finding,
        match_probability=None,
        malignancy=score,
        category="3",
    )


class FaultyFileSystem(LocalFileSystem):  # type: ignore[misc]
    """A folder on a disk that fails: which reads do is the seed's choice."""

    protocol = "faulty"

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._kind, self._seed, share = (os.environ.get(FAULTY) or "none 0 0").split()
        self._share, self._random = float(share), Random(self._seed)
        self._opened: Counter[str] = Counter()

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(LocalFileSystem._strip_protocol(path.removeprefix("faulty://")))

    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **options: object) -> object:
        file = super()._open(path, mode, block_size, **options)
        self._opened[path] += 1
        return _FaultyFile(file, self._kind) if self._is_struck(path) else file

    def _is_struck(self, path: str) -> bool:
        if self._kind != "hang":
            return self._random.random() < self._share
        # It is tried again, so it hangs each time: from the first on, or once the header is read.
        fate = Random(f"{self._seed}/{path}").random()
        return fate < self._share and (fate < self._share / 2 or self._opened[path] > 1)


class _FaultyFile:
    """A file that is opened, and then not read."""

    def __init__(self, file: object, kind: str) -> None:
        self._file = file
        self._kind = kind

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)

    def read(self, size: int = -1) -> bytes:
        if self._kind == "hang":
            time.sleep(3600)
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def main(arguments: list[str]) -> None:
    """Run the command with the rest of the arguments."""
    delay_s, *rest = arguments
    fsspec.register_implementation("faulty", FaultyFileSystem)
    local.load_screener = partial(load_screener, float(delay_s))  # type: ignore[assignment]
    sys.argv = ["mammosweep", *rest]
    cli.main()


if __name__ == "__main__":
    main(sys.argv[1:])
