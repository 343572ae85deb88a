"""What a sweep is about: the source's exams, and its files that belong to none."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from mammosweep.archive.catalog import Catalog, ExamGroup, index, index_to, read_catalog
from mammosweep.archive.source import folder_of, open_source
from mammosweep.config import ArchiveConfig
from mammosweep.errors import ConfigError, SourceError
from mammosweep.records import ExamRef
from mammosweep.run.digests import DigestIndex
from mammosweep.run.select import EVERYTHING, Selection

__all__ = [
    "CATALOG_FILE",
    "CATALOG_SUFFIX",
    "Holdings",
    "check_apart",
    "earlier_catalog",
    "holdings_of",
    "look",
    "update_catalog",
]

CATALOG_FILE = "catalog.parquet"
CATALOG_SUFFIX = ".parquet"  # by which a catalog is told from an image


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """A catalog as a sweep takes it: read group by group, each time it is asked for."""

    catalog: Catalog
    selection: Selection
    allow_for_processing: bool
    allow_lossy_jpeg: bool
    num_files: int
    current: DigestIndex  # every exam's place in the order of the exams
    digest: str  # SHA-256 over everything that was seen: equal where a new sweep would find nothing new

    @property
    def root(self) -> str:
        """The source's url."""
        return self.catalog.root

    def groups(self) -> Iterator[ExamGroup]:
        """The exams and strays, always in the same order."""
        return _groups(self.catalog, self.selection, self.allow_for_processing, self.allow_lossy_jpeg)

    def exams(self) -> Iterator[ExamRef]:
        """The exams, in the order of the groups."""
        return (exam for group in self.groups() for exam in group.exams)


def look(
    source: Path | str,
    manifest: Path | None,
    config: ArchiveConfig,
    *,
    to: Path | None = None,
    previous: Catalog | None = None,
    progress: Callable[[int], None] | None = None,
) -> Catalog:
    """The source's catalog: read, where it is one; made from headers otherwise.

    Args:
        source: a folder, a file, a URL, or a catalog.
        manifest: what overrides headers.
        config: how headers are read.
        to: the file that a catalog which is made is written to; None: it is kept in memory.
        previous: an earlier catalog of the same source.
        progress: called with the number of files that are done.

    Raises:
        SourceError: the source, or the folder that the catalog is of, cannot be read.
        ConfigError: the manifest or the pseudonym key cannot be used.
    """
    local = folder_of(source)
    if local is None or not (local.is_file() and local.suffix == CATALOG_SUFFIX):
        how = {"config": config, "manifest": manifest, "previous": previous, "progress": progress}
        return index(source, **how) if to is None else index_to(to, source, **how)  # type: ignore[arg-type]
    if manifest is not None:
        raise ConfigError(
            f"{source} is a catalog and holds what its manifest said; leave the manifest out, or give "
            "the folder"
        )
    catalog = read_catalog(local)
    return replace(catalog, opened=open_source(catalog.root, config=config))


def earlier_catalog(path: Path) -> Catalog | None:
    """What an earlier sweep saw: only what is new or changed is read again. None where that is lost."""
    with suppress(SourceError):
        return read_catalog(path)
    return None


def update_catalog(
    source: Path | str,
    path: Path,
    manifest: Path | None,
    config: ArchiveConfig,
    progress: Callable[[int], None] | None = None,
) -> Catalog:
    """Index a source into a catalog file; where that exists, only what is new or changed is read.

    Raises:
        SourceError: the source cannot be read, or the file exists and is not a catalog of it.
        ConfigError: the file is not named as a catalog or lies in the source; or as in `look`.
    """
    if path.suffix != CATALOG_SUFFIX:
        raise ConfigError(f"the catalog {path} must end in {CATALOG_SUFFIX}, by which a sweep knows it")
    root = open_source(source, config=config).url
    check_apart(source, path)
    previous = read_catalog(path) if path.exists() else None
    if previous is not None and previous.root != root:
        raise SourceError(f"{path} is the catalog of another source; give another --out")
    return index_to(path, source, config=config, manifest=manifest, previous=previous, progress=progress)


def holdings_of(
    catalog: Catalog,
    *,
    allow_for_processing: bool = False,
    allow_lossy_jpeg: bool = False,
    selection: Selection = EVERYTHING,
) -> Holdings:
    """Look through a catalog once; the order of its source's files does not change what comes of it."""
    seen = hashlib.sha256()
    num_files, numbers = 0, count()

    def digests() -> Iterator[tuple[str, int]]:
        nonlocal num_files
        for group in _groups(catalog, selection, allow_for_processing, allow_lossy_jpeg):
            num_files += len(group.paths)
            every = [exam.digest for exam in group.exams]
            for line in _lines(every, group):
                seen.update(line.encode("utf-8", "surrogatepass") + b"\n")
            yield from ((digest, next(numbers)) for digest in every)

    current = DigestIndex(digests())
    return Holdings(
        catalog=catalog,
        selection=selection,
        allow_for_processing=allow_for_processing,
        allow_lossy_jpeg=allow_lossy_jpeg,
        num_files=num_files,
        current=current,
        digest=seen.hexdigest(),
    )


def _groups(
    catalog: Catalog, selection: Selection, allow_for_processing: bool, allow_lossy_jpeg: bool
) -> Iterator[ExamGroup]:
    """A catalog's groups, of each what is selected."""
    for group in catalog.exam_groups(
        allow_for_processing=allow_for_processing, allow_lossy_jpeg=allow_lossy_jpeg
    ):
        exams = [exam for exam in group.exams if selection(exam)]
        strays = group.strays if selection.takes_strays else []
        images = [*strays, *(image for exam in exams for image in exam.images)]
        yield ExamGroup(exams, strays, [image.path for image in images])


def _lines(digests: list[str], group: ExamGroup) -> Iterator[str]:
    yield from sorted(digests)
    for image in group.strays:
        yield repr((image.path, image.size_bytes, image.mtime_ns, str(image.status), str(image.reason)))


def check_apart(source: Path | str, out: Path) -> None:
    """Make sure that a sweep never reads what it writes.

    Raises:
        ConfigError: the output lies in the source folder, or the other way round.
    """
    folder = folder_of(source)
    if folder is None or not folder.is_dir():
        return
    inner, outer = out.resolve(), folder.resolve()
    if inner.is_relative_to(outer) or outer.is_relative_to(inner):
        raise ConfigError(
            f"the output {out} and the source {source} lie in each other; a sweep must not read what it "
            "writes: give an --out beside the source"
        )
