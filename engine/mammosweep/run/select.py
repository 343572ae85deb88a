"""What a sweep sweeps: the exams that `--where` fits, and of those the share that `--shard` gives it.

What is not selected is not seen: it stands in no table and in no count.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mammosweep.errors import ConfigError
from mammosweep.run.where import Test, parse_where

if TYPE_CHECKING:
    from mammosweep.records import ExamRef

__all__ = ["EVERYTHING", "Selection", "Shard", "in_shard", "parse_selection", "parse_shard"]


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several shares of an archive, counted from 1."""

    index: int
    count: int

    def __str__(self) -> str:
        """As it is given: 2/8."""
        return f"{self.index}/{self.count}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which exams a sweep is about."""

    where: str = ""  # the expression as it was given; empty: all
    shard: Shard | None = None
    fits: Test | None = field(default=None, compare=False, repr=False)  # what ``where`` stands for

    def __call__(self, exam: ExamRef) -> bool:
        """Whether the sweep is about this exam."""
        if self.shard is not None and not in_shard(exam.exam_id, self.shard.index, self.shard.count):
            return False
        return self.fits is None or self.fits(exam)

    @property
    def takes_strays(self) -> bool:
        """Whether files that belong to no exam are seen: by the first shard, and not with ``where``."""
        return not self.where and (self.shard is None or self.shard.index == 1)


EVERYTHING = Selection()


def in_shard(exam_id: str, index: int, count: int) -> bool:
    """Whether an exam belongs to shard ``index`` (from 1) of ``count``: by its id alone, on every machine.

    SHA-256, so that shards are equally large whatever the ids have in common; Python's own hash differs from
    process to process.
    """
    digest = hashlib.sha256(exam_id.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % count == index - 1


def parse_shard(text: str) -> Shard:
    """Read ``i/n``.

    Raises:
        ConfigError: it is no such text, or i does not lie in 1..n.
    """
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text.strip())
    shard = Shard(int(found[1]), int(found[2])) if found else None
    if shard is None or not 1 <= shard.index <= shard.count:
        raise ConfigError(f"--shard is {text!r}; expected i/n with i in 1..n, such as 1/4")
    return shard


def parse_selection(where: str | None = None, shard: str | None = None) -> Selection:
    """What the two options say together.

    Raises:
        ConfigError: one of them cannot be read.
    """
    return Selection(
        where="" if where is None else where.strip(),
        shard=None if shard is None else parse_shard(shard),
        fits=None if where is None else parse_where(where),
    )
