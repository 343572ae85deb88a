"""One file's way through the engine, and whether what came of it is allowed.

The way is a sweep's own: `read_record` in this process, then `FrameReader` with its isolated workers.
"""

from __future__ import annotations

import io
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO

import numpy as np
from tests.fuzz.corpus import COLUMNS, ROWS, Seed
from tests.fuzz.mutate import Mutant, Verdict

from mammosweep.archive.header import read_record
from mammosweep.archive.pseudonym import Pseudonym
from mammosweep.archive.source import FileEntry
from mammosweep.config import ArchiveConfig, PixelsConfig
from mammosweep.errors import ImageError, Reason
from mammosweep.geometry import Size
from mammosweep.pixels.decode import read_frame
from mammosweep.pixels.frame import Stored
from mammosweep.pixels.reader import FrameReader, PendingFrame
from mammosweep.records import ImageRecord, ImageStatus, Laterality, Position, View

__all__ = ["CONFIG", "Fate", "Feed", "Judged", "judge", "truths"]

CONFIG = PixelsConfig(deadline_s=5.0, memory_mib=256, workers=2)
MAX_SECONDS = 2.0
"""Of one header: real ones take milliseconds."""

ARCHIVE = ArchiveConfig(workers=1)
PSEUDONYM = Pseudonym(b"fuzz")
PATIENT = "Phantom^"
AHEAD = 6
"""Files that are asked for before the first answer is awaited."""

# Policy, not danger: the decoder stands behind it in a sweep whose bundle allows such files.
BY_POLICY = frozenset({Reason.LOSSY_NOT_ALLOWED})


class Fate(StrEnum):
    """What the engine made of a file."""

    REFUSED_HEADER = "header"
    REFUSED_PIXELS = "pixels"
    STOPPED = "limit or crash"
    ACCEPTED = "accepted"


@dataclass(frozen=True, slots=True)
class Judged:
    """A file's fate, and what was wrong with it; an empty ``finding`` where nothing was."""

    fate: Fate
    reason: str
    finding: str


class Feed:
    """A source of files that are in memory, by name."""

    url = "memory"

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def entries(self) -> Iterator[FileEntry]:
        """Every file."""
        for name, data in self.files.items():
            yield FileEntry(name, len(data), 0)

    def open(self, path: str) -> BinaryIO:
        """A file from its beginning."""
        return io.BytesIO(self.files[path])


@dataclass(frozen=True, slots=True)
class _Asked:
    index: int
    seed: Seed
    mutant: Mutant
    record: ImageRecord
    pending: PendingFrame | None
    finding: str


def judge(
    jobs: Iterable[tuple[int, Seed, Mutant]], reader: FrameReader, pixels: dict[str, Stored]
) -> Iterator[tuple[int, Judged]]:
    """Judge files in their order; some are under way at a time."""
    feed, ahead = Feed(), deque[_Asked]()
    for index, seed, mutant in jobs:
        ahead.append(_ask(index, seed, mutant, feed, reader))
        if len(ahead) > AHEAD:
            yield _answered(ahead.popleft(), feed, pixels)
    while ahead:
        yield _answered(ahead.popleft(), feed, pixels)


def truths(corpus: Iterable[Seed]) -> dict[str, Stored]:
    """What each seed decodes to, by its name. Lossless ones are bit-exact, others near."""
    found = {}
    for seed in corpus:
        data = seed.file()
        feed = Feed()
        feed.files[seed.name] = data
        view = _view(_record(feed, seed.name))
        stored = read_frame(data, view, CONFIG).stored.copy()
        off = np.abs(stored.astype(int) - seed.stored.astype(int)).max()
        lossless = (
            not any(word in seed.name for word in ("Baseline", "Extended", "near"))
            and seed.name != "JPEG 2000"
        )
        assert off == 0 if lossless else off < 2 ** (seed.bits - 4), (seed.name, off)
        found[seed.name] = stored
    return found


def _record(feed: Feed, name: str) -> ImageRecord:
    entry = FileEntry(name, len(feed.files[name]), 0)
    return read_record(feed, entry, config=ARCHIVE, pseudonym=PSEUDONYM, manifest_row=None)


def _ask(index: int, seed: Seed, mutant: Mutant, feed: Feed, reader: FrameReader) -> _Asked:
    name = str(index)
    feed.files[name] = mutant.data
    start = time.perf_counter()
    record = _record(feed, name)
    seconds = time.perf_counter() - start
    finding = f"its header took {seconds:.1f} s" if seconds > MAX_SECONDS else _bad_sentence(record.message)
    usable = record.status is ImageStatus.USED or record.reason in BY_POLICY
    pending = reader.request(feed, _view(record)) if usable and mutant.data else None
    return _Asked(index, seed, mutant, record, pending, finding)


def _view(record: ImageRecord) -> View:
    """A used record's view; laterality and spacing play no part in decoding."""
    assert record.sop_instance_uid is not None
    assert record.transfer_syntax is not None
    return View(
        path=record.path,
        sop_instance_uid=record.sop_instance_uid,
        laterality=record.laterality or Laterality.LEFT,
        position=record.view_position or Position.CC,
        size_px=Size(record.rows or 0, record.columns or 0),
        spacing_mm=record.spacing_mm or (0.4, 0.4),
        transfer_syntax=record.transfer_syntax,
        size_bytes=record.size_bytes,
    )


def _answered(asked: _Asked, feed: Feed, pixels: dict[str, Stored]) -> tuple[int, Judged]:
    try:
        return asked.index, _judged(asked, pixels)
    finally:
        if asked.pending is not None:
            asked.pending.release()
        del feed.files[str(asked.index)]


def _judged(asked: _Asked, pixels: dict[str, Stored]) -> Judged:
    if asked.pending is None:
        return Judged(Fate.REFUSED_HEADER, str(asked.record.reason), asked.finding)
    try:
        frame = asked.pending.frame()
    except ImageError as error:
        return _refusal(error, asked)
    except Exception as error:
        return Judged(Fate.REFUSED_PIXELS, "", f"{type(error).__name__} reached the caller")
    return Judged(Fate.ACCEPTED, "", asked.finding or _wrong_pixels(asked, frame.stored, pixels))


def _refusal(error: ImageError, asked: _Asked) -> Judged:
    """A crash or a limit is what isolation is for; an error that nobody foresaw is the engine's fault."""
    if error.reason in (Reason.DECODER_CRASHED, Reason.DECODE_LIMIT):
        return Judged(Fate.STOPPED, str(error.reason), asked.finding or _bad_sentence(str(error)))
    finding = str(error) if error.reason is Reason.UNEXPECTED_ERROR else _bad_sentence(str(error))
    return Judged(Fate.REFUSED_PIXELS, str(error.reason), asked.finding or finding)


def _bad_sentence(message: str) -> str:
    if PATIENT in message:
        return "a message names the patient"
    return "" if message.isprintable() else "a message holds control characters"


def _wrong_pixels(asked: _Asked, stored: Stored, pixels: dict[str, Stored]) -> str:
    """Why an accepted frame should not have been; empty where it may be right."""
    if asked.mutant.verdict is Verdict.REFUSED:
        return "accepted, though invalid by construction"
    size = (asked.record.rows, asked.record.columns)
    if stored.shape != size:
        return f"the frame is {stored.shape}; Rows x Columns is {size}"
    if asked.mutant.verdict is Verdict.ANY:
        return _out_of_range(asked.seed, stored)
    if size != (ROWS, COLUMNS) or not np.array_equal(stored, pixels[asked.seed.name]):
        return "accepted with other pixels, though none were touched"
    return ""


def _out_of_range(seed: Seed, stored: Stored) -> str:
    limit = (1 << seed.bits) - 1
    return f"a stored value is {stored.max()}; Bits Stored allows {limit}" if stored.max() > limit else ""
