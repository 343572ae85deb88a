"""Shards that were swept apart become one sweep: the parts come together, and nothing is left to do.

Merging is a sweep over all parts with an executor that refuses work, so the tables are made and counted as
those of a sweep that was never divided.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mammosweep.archive.source import open_source
from mammosweep.clock import StageClock
from mammosweep.config import SweepConfig
from mammosweep.errors import LedgerError
from mammosweep.records import Provenance
from mammosweep.report.atomic import flush
from mammosweep.run.begun import read_begun
from mammosweep.run.chunks import Chunk, Identity
from mammosweep.run.counts import Counts
from mammosweep.run.executor import Work
from mammosweep.run.holdings import CATALOG_FILE, check_apart, look
from mammosweep.run.ledger import PARTS, TEMPORARY, Ledger, each_part
from mammosweep.run.local import LocalSweep, SweepSummary
from mammosweep.run.part import Part, total_seconds
from mammosweep.run.progress import silent
from mammosweep.run.screener import About
from mammosweep.run.select import Shard, parse_selection, parse_shard
from mammosweep.run.status import finished_run
from mammosweep.run.terms import Terms
from mammosweep.toml import from_table

__all__ = ["Merge", "merging"]

MUST_AGREE = {
    "root": "sources",
    "bundle_digest": "bundles",
    "settings_digest": "settings",
    "engine_version": "versions of mammosweep",
}
"""What all shards' run.json say alike, and what it is called."""

CHANGED = (
    "the source changed between the shards; sweep all of them again, best of one catalog ('mammosweep index')"
)


@dataclass(frozen=True, slots=True)
class _Share:
    """One shard's folder."""

    folder: Path
    shard: Shard
    where: str
    run: Mapping[str, Any]  # its run.json


@contextmanager
def merging(folders: Sequence[Path], out: Path) -> Iterator[Merge]:
    """Check that the folders are all shards of one sweep, and hold the lock of ``out`` meanwhile.

    Raises:
        LedgerError: a folder is no finished shard, one is missing or given twice, they do not belong
            together, or ``out`` cannot be written or holds another sweep.
        SourceError: the source is out of reach.
        ConfigError: ``out`` lies in the source, or a file that ``--where`` names is gone.
    """
    shares = sorted((_share(folder) for folder in folders), key=lambda share: share.shard.index)
    _check_whole(shares)
    _check_alike(shares)
    first = shares[0]
    _check_out(out, first)
    check_apart(first.run["root"], out)
    open_source(first.run["root"])
    with Ledger(out, Identity(first.run["bundle_digest"], first.run["settings_digest"])) as ledger:
        sweep = _sweep_of(shares, ledger)
        _check_seen(shares, sweep)
        yield Merge(shares, ledger, sweep)


class Merge:
    """Shards that belong together; the merged folder is locked."""

    def __init__(self, shares: Sequence[_Share], ledger: Ledger, sweep: LocalSweep) -> None:
        self._shares = shares
        self._ledger = ledger
        self._sweep = sweep

    def run(self) -> SweepSummary:
        """Bring the parts together and write the outcome files.

        Raises:
            LedgerError: the folder cannot be written, the shards saw the source in different states, or the
                counts do not add up.
        """
        for share in self._shares:
            self._link_parts(share)
        return self._sweep.run()

    def _link_parts(self, share: _Share) -> None:
        target = self._ledger.out / PARTS
        try:
            for part in each_part(share.folder):
                if part.identity == self._ledger.identity and not (target / part.chunk_id).exists():
                    temporary = target / f"{TEMPORARY}{part.chunk_id}-{secrets.token_hex(4)}"
                    shutil.copytree(part.folder, temporary, copy_function=_link)
                    temporary.rename(target / part.chunk_id)
            flush(target)
        except (OSError, shutil.Error) as error:
            said = getattr(error, "strerror", None) or "a file could not be copied"
            raise LedgerError(
                f"the parts of {share.folder} cannot be brought to {self._ledger.out}: {said}; mend the "
                "cause and run the same command again"
            ) from error


class _NothingLeft:
    """Takes a screener's place where every exam was screened."""

    def __init__(self, about: About) -> None:
        self.about = about

    def run(self, chunks: Iterable[Chunk], work: Work) -> Iterator[Part]:
        """Refuse what is left."""
        for chunk in chunks:
            raise LedgerError(f"no shard holds an exam of chunk {chunk.id}: {CHANGED}")
        yield from ()

    def close(self) -> None:
        """Nothing was started."""


def _share(folder: Path) -> _Share:
    begun = read_begun(folder)
    if begun is None:
        raise LedgerError(f"{folder} holds no sweep; give the --out folders of all shards")
    run = finished_run(folder, begun)
    if run is None:
        raise LedgerError(f"the sweep of {folder} is not finished; run its command again, then merge")
    if not begun.shard:
        raise LedgerError(f"{folder} is no shard, but a sweep made without --shard; it needs no merging")
    return _Share(folder, parse_shard(begun.shard), begun.where, run)


def _check_whole(shares: Sequence[_Share]) -> None:
    counts = {share.shard.count for share in shares}
    if len(counts) > 1:
        found = ", ".join(f"{share.folder} is {share.shard}" for share in shares)
        raise LedgerError(f"these are shards of different divisions: {found}; give all of one")
    (count,) = counts
    numbers = Counter(share.shard.index for share in shares)
    if twice := [f"{index}/{count}" for index, times in numbers.items() if times > 1]:
        raise LedgerError(f"shard {twice[0]} is given twice; give each folder once")
    if missing := [f"{index}/{count}" for index in range(1, count + 1) if index not in numbers]:
        raise LedgerError(f"shard {', '.join(missing[:9])} is missing; give all {count} folders")


def _check_alike(shares: Sequence[_Share]) -> None:
    first = shares[0]
    for share in shares[1:]:
        differing = [words for key, words in MUST_AGREE.items() if share.run[key] != first.run[key]]
        if share.where != first.where:
            differing.append("selections (--where)")
        if differing:
            raise LedgerError(
                f"{first.folder} and {share.folder} were swept with different {' and '.join(differing)}; "
                "sweep one of them again"
            )


def _check_out(out: Path, first: _Share) -> None:
    begun = read_begun(out)
    if begun is not None and (begun.shard or begun.root != first.run["root"]):
        raise LedgerError(f"{out} holds another sweep; give another --out")


def _sweep_of(shares: Sequence[_Share], ledger: Ledger) -> LocalSweep:
    """The sweep that was never divided, as far as the first shard's catalog knows it."""
    first = shares[0]
    config = from_table(SweepConfig, "", _without_none(first.run["settings"]))
    # The first shard's catalog: it alone saw the files that belong to no exam.
    catalog = look(first.folder / CATALOG_FILE, None, config.archive)
    terms = Terms(selection=parse_selection(first.where or None))
    executor = _NothingLeft(_about(shares))
    return LocalSweep(ledger, catalog, executor, config, silent, _own_stages(shares), terms)


def _check_seen(shares: Sequence[_Share], sweep: LocalSweep) -> None:
    counts = [Counts.from_json(share.run) for share in shares]
    exams, files = sum(c.exams_seen for c in counts), sum(c.files_seen for c in counts)
    if (exams, files) != sweep.seen:
        raise LedgerError(
            f"the shards saw {exams} exams and {files} files together, of which the first knows "
            f"{sweep.seen[0]} and {sweep.seen[1]}: {CHANGED}"
        )


def _own_stages(shares: Sequence[_Share]) -> StageClock:
    """The shards' own stages, which no part holds: reading headers, writing results."""
    clock = StageClock()
    for share in shares:
        of_parts = total_seconds(each_part(share.folder))
        for stage, seconds in share.run["seconds"].items():
            if stage not in of_parts:
                clock.add(stage, seconds)
    return clock


def _about(shares: Sequence[_Share]) -> About:
    run = shares[0].run
    provenance = {field.name: _all_said(shares, field.name) for field in fields(Provenance)}
    return About(
        provenance=Provenance(**provenance),
        bundle_note=run["bundle_note"],
        allow_for_processing=run["allow_for_processing"],
        allow_lossy_jpeg=run["allow_lossy_jpeg"],
        plan_agreement=run["plan_agreement"],
    )


def _all_said(shares: Sequence[_Share], name: str) -> str:
    """What the shards' machines say: devices may differ."""
    return ", ".join(sorted({str(share.run[name]) for share in shares}))


def _without_none(value: Any) -> Any:
    """Settings as TOML would give them: what is None is not given."""
    if isinstance(value, dict):
        return {key: _without_none(entry) for key, entry in value.items() if entry is not None}
    return value


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copy2(source, target)
