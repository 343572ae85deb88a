"""How the exams that are still to do are cut into chunks: what is processed and committed together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from mammosweep.records import ExamRef

__all__ = ["Chunk", "Identity", "cut"]


@dataclass(frozen=True, slots=True)
class Identity:
    """What a result depends on besides the exam itself; results of another identity are never mixed in."""

    bundle_digest: str
    settings_digest: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole exams; an exam's views never straddle chunks."""

    id: str  # 32 hexadecimal digits over its exams and the identity: the same work has the same name
    exams: tuple[ExamRef, ...]


def cut(
    exams: Iterable[ExamRef], done: Container[str], chunk_exams: int, identity: Identity
) -> Iterator[Chunk]:
    """Cut what is not done yet into chunks, in the order of the exams; one chunk is held at a time.

    Args:
        exams: every exam of the source, always in the same order.
        done: digests of exams that are committed. An exam's digest holds its id and its files, so a late
            image makes the exam one that is not done.
        chunk_exams: exams a chunk; the last one may hold fewer.
        identity: the bundle and the settings.
    """
    left = (exam for exam in exams if exam.digest not in done)
    while group := tuple(islice(left, chunk_exams)):
        yield Chunk(_chunk_id(group, identity), group)


def _chunk_id(exams: tuple[ExamRef, ...], identity: Identity) -> str:
    text = json.dumps([[e.digest for e in exams], identity.bundle_digest, identity.settings_digest])
    return hashlib.sha256(text.encode()).hexdigest()[:32]
