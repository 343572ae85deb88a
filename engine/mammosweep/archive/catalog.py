"""The catalog: every file of a source with what its header says, and the exams they make."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mammosweep.archive.catalog_file import FORMAT_VERSION, CatalogRows, read_rows, write_rows
from mammosweep.archive.exams import assemble
from mammosweep.archive.manifest import Manifest, ManifestRow, read_manifest
from mammosweep.archive.parallel import HeaderReader, Job, read_all
from mammosweep.archive.patience import within
from mammosweep.archive.pseudonym import Pseudonym, load_pseudonym
from mammosweep.archive.source import FileEntry, Source, is_one_file, open_source
from mammosweep.archive.verdict import refused
from mammosweep.config import ArchiveConfig
from mammosweep.errors import TRANSIENT, HeaderError, Reason, SourceError
from mammosweep.records import ExamRef, ImageRecord, ImageStatus
from mammosweep.version import __version__

__all__ = ["Catalog", "index", "read_catalog", "write_catalog"]

READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Catalog:
    """What is there: one record for each file, ordered by path, as its own header alone gives it.

    What several files together decide (duplicates, For Processing beside For Presentation, several patients
    in a study) is decided by `exams`, so that a record can be taken over unchanged by the next index.
    """

    root: str  # the source's url: paths of records are relative to it
    records: tuple[ImageRecord, ...]
    row_keys: Mapping[str, str] = field(default_factory=dict)  # path -> keyed digest of its manifest row
    basis: str = ""  # digest of the settings, key and version that the records were read with
    opened: Source | None = field(default=None, compare=False, repr=False)  # None: opened when it is needed

    @property
    def source(self) -> Source:
        """Where the files' bytes are.

        Raises:
            SourceError: it cannot be opened, or not any more.
        """
        return self.opened or open_source(self.root)

    def exams(self, *, allow_for_processing: bool = False, allow_lossy_jpeg: bool = False) -> list[ExamRef]:
        """The exams, ordered by exam id; their images with their final status."""
        return self._assemble(allow_for_processing, allow_lossy_jpeg)[0]

    def images(
        self, *, allow_for_processing: bool = False, allow_lossy_jpeg: bool = False
    ) -> list[ImageRecord]:
        """Every file with its final status, ordered by path; those that belong to no exam among them."""
        exams, strays = self._assemble(allow_for_processing, allow_lossy_jpeg)
        images = strays + [image for exam in exams for image in exam.images]
        return sorted(images, key=lambda image: image.path)

    def _assemble(
        self, allow_for_processing: bool, allow_lossy_jpeg: bool
    ) -> tuple[list[ExamRef], list[ImageRecord]]:
        return assemble(
            self.records,
            content_digest=self._content_digest,
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
    """Read the headers of a folder, a file, or other storage.

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
    opened = open_source(source, config=config) if isinstance(source, Path | str) else source
    rows = read_manifest(manifest).within(opened.url) if manifest else Manifest({}, "")
    pseudonym = load_pseudonym(config)
    plan = _Plan(opened, rows, pseudonym, config)
    plan.look(previous if previous and previous.root == opened.url else None)
    records = plan.read(progress or (lambda done: None))
    return Catalog(opened.url, records, plan.row_keys, plan.basis, opened)


class _Plan:
    """Which files there are, which of them must be read, and which are known."""

    def __init__(
        self, source: Source, manifest: Manifest, pseudonym: Pseudonym, config: ArchiveConfig
    ) -> None:
        self.source = source
        self.manifest = manifest
        self.pseudonym = pseudonym
        self.config = config
        self.basis = _basis(config, pseudonym)
        self.row_keys: dict[str, str] = {}
        self.known: list[ImageRecord] = []
        self.jobs: list[Job] = []

    def look(self, previous: Catalog | None) -> None:
        """List the source."""
        is_comparable = previous is not None and previous.basis == self.basis
        old = {record.path: record for record in previous.records} if previous and is_comparable else {}
        seen = set()
        for entry in self.source.entries():
            seen.add(entry.path)
            row = self.manifest.get(entry.path)
            key = self._remember(entry.path, row)
            if isinstance(entry, ImageRecord):
                self.known.append(entry)
            elif (
                previous
                and _is_same(entry, old.get(entry.path))
                and previous.row_keys.get(entry.path, "") == key
            ):
                self.known.append(old[entry.path])
            else:
                self.jobs.append((entry, row))
        self._add_missing(seen)

    def _remember(self, path: str, row: ManifestRow | None) -> str:
        if row is None:
            return ""
        self.row_keys[path] = self.pseudonym(row.text)
        return self.row_keys[path]

    def _add_missing(self, seen: set[str]) -> None:
        if is_one_file(self.source):
            return
        for path, row in self.manifest.rows.items():
            if path not in seen:
                record = ImageRecord(path=path, status=ImageStatus.USED, exam_id=row.exam_id)
                message = (
                    "the manifest names it, but the source has no such file; correct the path or copy it"
                )
                self.known.append(refused(record, Reason.FILE_MISSING, message))

    def read(self, progress: Callable[[int], None]) -> tuple[ImageRecord, ...]:
        """Read what is not known; give all, ordered by path."""
        records = self.known
        reader = HeaderReader(self.source, self.config, self.pseudonym.key)
        progress(len(records))
        for record in read_all(reader, self.jobs):
            records.append(record)
            progress(len(records))
        return tuple(sorted(records, key=lambda record: record.path))


def _is_same(entry: FileEntry, record: ImageRecord | None) -> bool:
    # A file that could not be read may be readable now, though nothing of it changed.
    if record is None or record.reason in TRANSIENT:
        return False
    return (entry.size_bytes, entry.mtime_ns) == (record.size_bytes, record.mtime_ns)


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
    rows = CatalogRows(catalog.root, catalog.basis, catalog.records, catalog.row_keys)
    write_rows(rows, {image.path: image for image in catalog.images()}, path)


def read_catalog(path: Path) -> Catalog:
    """Read a catalog.

    Raises:
        SourceError: it cannot be read, is no catalog, or is of another format version.
    """
    rows = read_rows(path)
    return Catalog(rows.root, rows.records, rows.row_keys, rows.basis)
