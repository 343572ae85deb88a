"""The catalog: every file of a source with what its header says, and the exams they make."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mammosweep.archive.catalog_file import (
    FORMAT_VERSION,
    CatalogAbout,
    FileGroups,
    Groups,
    TableGroups,
    copy_rows,
    open_rows,
    records_of,
    with_final,
    write_rows,
)
from mammosweep.archive.exams import Settled, assemble, settle_shared
from mammosweep.archive.manifest import Manifest, ManifestRow, read_manifest
from mammosweep.archive.parallel import HeaderReader, Job, read_all
from mammosweep.archive.patience import within
from mammosweep.archive.pseudonym import Pseudonym, load_pseudonym
from mammosweep.archive.source import FileEntry, Source, is_one_file, open_source
from mammosweep.archive.spool import Spool
from mammosweep.archive.verdict import refused
from mammosweep.config import ArchiveConfig
from mammosweep.errors import TRANSIENT, HeaderError, Reason, SourceError
from mammosweep.records import ExamRef, ImageRecord, ImageStatus
from mammosweep.version import __version__

__all__ = ["Catalog", "ExamGroup", "index", "index_to", "read_catalog", "write_catalog"]

READ_BYTES = 1 << 20
ENTRIES_AT_ONCE = 4096  # compared with an earlier catalog together
STATE_COLUMNS = ("path", "size_bytes", "mtime_ns", "manifest_row_key", "header_reason")


@dataclass(frozen=True, slots=True)
class ExamGroup:
    """Whole exams that lie together in a catalog, and files beside them that belong to none."""

    exams: list[ExamRef]  # ordered by exam id
    strays: list[ImageRecord]  # ordered by path
    paths: list[str]  # of every file of the group


@dataclass(frozen=True, slots=True)
class Catalog:
    """What is there: one record for each file, as its own header alone gives it.

    What several files together decide (duplicates, For Processing beside For Presentation, several patients
    in a study) is decided when exams are assembled, so that a record can be taken over unchanged by the next
    index. A catalog is read group by group: `exam_groups` needs memory for one; `records`, `exams` and
    `images` hold all of it and are for archives that are known to be small.
    """

    root: str  # the source's url: paths of records are relative to it
    groups: Groups
    basis: str = ""  # digest of the settings, key and version that the records were read with
    opened: Source | None = field(default=None, compare=False, repr=False)  # None: opened when it is needed

    @property
    def source(self) -> Source:
        """Where the files' bytes are.

        Raises:
            SourceError: it cannot be opened, or not any more.
        """
        return self.opened or open_source(self.root)

    @property
    def num_files(self) -> int:
        """How many files there are."""
        return self.groups.num_rows

    @property
    def records(self) -> tuple[ImageRecord, ...]:
        """Every file as its own header gives it, ordered by path."""
        every = [r for i in range(len(self.groups)) for r in records_of(self.groups.read(i))]
        return tuple(sorted(every, key=lambda record: record.path))

    @property
    def row_keys(self) -> dict[str, str]:
        """Keyed digest of each file's manifest row, by path; files without one are left out."""
        keys: dict[str, str] = {}
        for i in range(len(self.groups)):
            table = self.groups.read(i, ("path", "manifest_row_key"))
            pairs = zip(*(table[name].to_pylist() for name in table.column_names), strict=True)
            keys |= {path: key for path, key in pairs if key}
        return keys

    def exam_groups(
        self, *, allow_for_processing: bool = False, allow_lossy_jpeg: bool = False
    ) -> Iterator[ExamGroup]:
        """The exams, group by group; always in the same order."""
        settled = self._settled(allow_lossy_jpeg)
        for i in range(len(self.groups)):
            records = records_of(self.groups.read(i))
            exams, strays = self._assemble(records, settled, allow_for_processing, allow_lossy_jpeg)
            yield ExamGroup(exams, strays, [record.path for record in records])

    def exams(self, *, allow_for_processing: bool = False, allow_lossy_jpeg: bool = False) -> list[ExamRef]:
        """The exams, ordered by exam id; their images with their final status."""
        allowed = {"allow_for_processing": allow_for_processing, "allow_lossy_jpeg": allow_lossy_jpeg}
        exams = [exam for group in self.exam_groups(**allowed) for exam in group.exams]
        return sorted(exams, key=lambda exam: exam.exam_id)

    def images(
        self, *, allow_for_processing: bool = False, allow_lossy_jpeg: bool = False
    ) -> list[ImageRecord]:
        """Every file with its final status, ordered by path; those that belong to no exam among them."""
        allowed = {"allow_for_processing": allow_for_processing, "allow_lossy_jpeg": allow_lossy_jpeg}
        images = [image for group in self.exam_groups(**allowed) for image in _images(group)]
        return sorted(images, key=lambda image: image.path)

    def _settled(self, allow_lossy_jpeg: bool) -> Settled:
        """What becomes of files whose UID is in several groups."""
        flagged = [self.groups.read(i, ("shared_uid",))["shared_uid"] for i in range(len(self.groups))]
        some = [i for i, column in enumerate(flagged) if column.to_numpy(zero_copy_only=False).any()]
        tables = [self.groups.read(i) for i in some]
        shared = [record for table in tables for record in records_of(table.filter(table["shared_uid"]))]
        return settle_shared(shared, content_digest=self._content_digest, allow_lossy_jpeg=allow_lossy_jpeg)

    def _assemble(
        self,
        records: Sequence[ImageRecord],
        settled: Settled,
        allow_for_processing: bool,
        allow_lossy_jpeg: bool,
    ) -> tuple[list[ExamRef], list[ImageRecord]]:
        return assemble(
            records,
            content_digest=self._content_digest,
            settled=settled,
            allow_for_processing=allow_for_processing,
            allow_lossy_jpeg=allow_lossy_jpeg,
        )

    def _content_digest(self, record: ImageRecord) -> str:
        """SHA-256 of a file; of its path where it cannot be read, so that it equals no other."""
        try:
            source = self.source
            return within(ArchiveConfig().read_deadline_s, lambda: _digest(source, record.path))
        except (OSError, SourceError, HeaderError):
            return record.path


def _images(group: ExamGroup) -> list[ImageRecord]:
    return [*group.strays, *(image for exam in group.exams for image in exam.images)]


def _digest(source: Source, path: str) -> str:
    digest = hashlib.sha256()
    with source.open(path) as file:
        while block := file.read(READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def index(
    source: Path | str | Source,
    *,
    config: ArchiveConfig,
    manifest: Path | None = None,
    previous: Catalog | None = None,
    progress: Callable[[int], None] | None = None,
) -> Catalog:
    """Read the headers of a folder, a file, or other storage into memory: of a source that is small.

    Args:
        source: the folder, the file or the URL; or a source that is open.
        config: how; the number of processes among it.
        manifest: what overrides headers, see manifest.py. Rows whose file is not in a folder become rejected
            records; for a single file, rows of other files are ignored.
        previous: an earlier catalog of the same source: files of the same path, size, time and manifest row
            are not opened again.
        progress: called with the number of files that are done.

    Raises:
        SourceError: the source cannot be read.
        ConfigError: the manifest or the pseudonym key cannot be used.
    """
    plan = _plan(source, config, manifest)
    with closing(Spool(None)) as spool:
        plan.read(_same_root(previous, plan), spool, progress or (lambda done: None))
        groups = TableGroups(tuple(spool.groups()))
    return Catalog(plan.source.url, groups, plan.basis, plan.source)


def index_to(
    path: Path,
    source: Path | str | Source,
    *,
    config: ArchiveConfig,
    manifest: Path | None = None,
    previous: Catalog | None = None,
    progress: Callable[[int], None] | None = None,
) -> Catalog:
    """Read the headers of a source of any size into a catalog's file; memory does not grow with it.

    Args:
        path: the file, whole or not at all.
        source: as in `index`.
        config: as in `index`.
        manifest: as in `index`.
        previous: as in `index`; it may be the same file's.
        progress: as in `index`.

    Raises:
        SourceError: the source cannot be read, or the file cannot be written.
        ConfigError: the manifest or the pseudonym key cannot be used.
    """
    plan = _plan(source, config, manifest)
    try:
        with closing(Spool(path.with_name(f".{path.name}.spool"))) as spool:
            plan.read(_same_root(previous, plan), spool, progress or (lambda done: None))
            shared = TableGroups(tuple(spool.shared()))
            settled = Catalog(plan.source.url, shared, plan.basis, plan.source)
            write_rows(CatalogAbout(plan.source.url, plan.basis), _final(spool.groups(), settled), path)
    except OSError as error:
        raise SourceError(f"catalog {path} cannot be written: {error.strerror or error}") from None
    return read_catalog(path, plan.source)


def _plan(source: Path | str | Source, config: ArchiveConfig, manifest: Path | None) -> _Plan:
    opened = open_source(source, config=config) if isinstance(source, Path | str) else source
    rows = read_manifest(manifest).within(opened.url) if manifest else Manifest({}, "")
    return _Plan(opened, rows, load_pseudonym(config), config)


def _same_root(previous: Catalog | None, plan: _Plan) -> Catalog | None:
    return previous if previous and previous.root == plan.source.url else None


def _final(groups: Iterator[pa.Table] | Sequence[pa.Table], shared: Catalog) -> Iterator[pa.Table]:
    """Rows with the status that they have without any allowance."""
    settled = shared._settled(allow_lossy_jpeg=False)
    for table in groups:
        exams, strays = shared._assemble(records_of(table), settled, False, False)
        yield with_final(table, _images(ExamGroup(exams, strays, [])))


class _Plan:
    """Which files there are, which of them must be read, and which are known."""

    def __init__(
        self, source: Source, manifest: Manifest, pseudonym: Pseudonym, config: ArchiveConfig
    ) -> None:
        self.source = source
        self.basis = _basis(config, pseudonym)
        self._manifest = manifest
        self._pseudonym = pseudonym
        self._config = config
        self._left = set() if is_one_file(source) else set(manifest.rows)  # rows whose file was not seen
        self._done = 0

    def read(self, previous: Catalog | None, spool: Spool, progress: Callable[[int], None]) -> None:
        """List the source, read what is not known, and spool all of it."""
        is_comparable = previous is not None and previous.basis == self.basis
        known = _Known(previous) if previous is not None and is_comparable else None
        reader = HeaderReader(self.source, self._config, self._pseudonym.key)
        for record in read_all(reader, self._jobs(known, spool)):
            spool.add(record, self._key(self._manifest.get(record.path)))
            self._done += 1
            progress(self._done)
        for path in sorted(self._left):
            row = self._manifest.rows[path]
            record = ImageRecord(path=path, status=ImageStatus.USED, exam_id=row.exam_id)
            message = "the manifest names it, but the source has no such file; correct the path or copy it"
            spool.add(refused(record, Reason.FILE_MISSING, message), "")
        for table in known.unchanged() if known else ():
            spool.add_table(table)
            self._done += table.num_rows
        progress(self._done + len(self._left))

    def _jobs(self, known: _Known | None, spool: Spool) -> Iterator[Job]:
        """What must be read; what is clear unopened goes straight to the spool."""
        entries = iter(self.source.entries())
        while some := list(islice(entries, ENTRIES_AT_ONCE)):
            rows = [self._manifest.get(entry.path) for entry in some]
            keys = [self._key(row) for row in rows]
            self._left.difference_update(entry.path for entry in some)
            is_known = known.holds(some, keys) if known else [False] * len(some)
            for entry, row, key, is_old in zip(some, rows, keys, is_known, strict=True):
                if isinstance(entry, ImageRecord):
                    spool.add(entry, key)
                    self._done += 1
                elif not is_old:
                    yield entry, row

    def _key(self, row: ManifestRow | None) -> str:
        return "" if row is None else self._pseudonym(row.text)


class _Known:
    """The rows of an earlier catalog, found by what must not have changed: path, size, time, manifest row.

    Two 64-bit halves of a digest for each row: 16 bytes a file, however long its path.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._groups = catalog.groups
        self._sizes = [0] * len(catalog.groups)
        digests = [self._digests(i) for i in range(len(catalog.groups))]
        halves = np.concatenate([np.zeros((0, 2), np.uint64), *digests])
        self._order = np.argsort(halves[:, 0], kind="stable")
        self._halves = halves[self._order]
        self._is_alive = np.zeros(len(halves), dtype=bool)

    def holds(self, entries: Sequence[FileEntry | ImageRecord], keys: Sequence[str]) -> list[bool]:
        """Which entries are unchanged; their rows are among the `unchanged` ones from now on."""
        wanted = _halves(
            [_state(e.path, e.size_bytes, e.mtime_ns, key) for e, key in zip(entries, keys, strict=True)]
        )
        if not len(self._halves):
            return [False] * len(entries)
        places = np.searchsorted(self._halves[:, 0], wanted[:, 0]).clip(max=len(self._halves) - 1)
        found = (self._halves[places] == wanted).all(axis=1)
        found &= [isinstance(entry, FileEntry) for entry in entries]
        self._is_alive[self._order[places[found]]] = True
        return [bool(one) for one in found]

    def unchanged(self) -> Iterator[pa.Table]:
        """The rows that were found, group by group."""
        start = 0
        for i, size in enumerate(self._sizes):
            alive = self._is_alive[start : start + size]
            start += size
            if alive.any():
                yield self._groups.read(i).filter(pa.array(alive))

    def _digests(self, group: int) -> NDArray[np.uint64]:
        table = self._groups.read(group, STATE_COLUMNS)
        self._sizes[group] = table.num_rows
        rows = zip(*(table[name].to_pylist() for name in STATE_COLUMNS), strict=True)
        return _halves(
            [
                # A file that could not be read may be readable now, though nothing of it changed.
                "" if reason in TRANSIENT else _state(path, size, mtime, key or "")
                for path, size, mtime, key, reason in rows
            ]
        )


def _state(path: str, size_bytes: int, mtime_ns: int, key: str) -> str:
    return f"{path}\0{size_bytes}\0{mtime_ns}\0{key}"


def _halves(texts: Sequence[str]) -> NDArray[np.uint64]:
    """(N, 2) digests."""
    digests = [
        hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in texts
    ]
    return np.frombuffer(b"".join(digests), dtype=np.uint64).reshape(-1, 2)


def _basis(config: ArchiveConfig, pseudonym: Pseudonym) -> str:
    """Digest of everything but the files and the manifest that a record depends on."""
    settings = asdict(config)
    for name in ("workers", "pseudonym_key_file", "read_deadline_s"):
        settings.pop(name)
    text = json.dumps([FORMAT_VERSION, __version__, settings, pseudonym("")], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def write_catalog(catalog: Catalog, path: Path) -> None:
    """Write a catalog as Parquet: whole or not at all.

    Raises:
        SourceError: the file cannot be written.
    """
    if isinstance(catalog.groups, FileGroups):
        copy_rows(catalog.groups, path)
        return
    groups = (catalog.groups.read(i) for i in range(len(catalog.groups)))
    write_rows(CatalogAbout(catalog.root, catalog.basis), _final(groups, catalog), path)


def read_catalog(path: Path, opened: Source | None = None) -> Catalog:
    """Open a catalog.

    Args:
        path: the file.
        opened: its source, where that is open.

    Raises:
        SourceError: it cannot be read, is no catalog, or is of another format version.
    """
    about, groups = open_rows(path)
    return Catalog(about.root, groups, about.basis, opened)
