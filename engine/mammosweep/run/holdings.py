"""What a sweep is about: the source's exams, and its files that belong to none."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from mammosweep.archive.catalog import Catalog, index, read_catalog, write_catalog
from mammosweep.archive.source import folder_of, open_source
from mammosweep.config import ArchiveConfig
from mammosweep.errors import ConfigError, SourceError
from mammosweep.records import ExamRef, ImageRecord
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
    """A catalog as a sweep takes it."""

    root: str  # the source's url
    exams: tuple[ExamRef, ...]  # ordered by id
    strays: tuple[ImageRecord, ...]  # files that belong to no exam
    paths: tuple[str, ...]  # of every file seen
    digests: dict[str, str]  # of every exam, by id

    @property
    def digest(self) -> str:
        """SHA-256 over everything that was seen: equal where a new sweep would find nothing new."""
        text = hashlib.sha256()
        for line in self._lines():
            text.update(line.encode("utf-8", "surrogatepass") + b"\n")
        return text.hexdigest()

    def _lines(self) -> Iterator[str]:
        yield from sorted(self.digests.values())
        for image in sorted(self.strays, key=lambda image: image.path):
            yield repr((image.path, image.size_bytes, image.mtime_ns, str(image.status), str(image.reason)))


def look(
    source: Path | str,
    manifest: Path | None,
    config: ArchiveConfig,
    previous: Catalog | None = None,
    progress: Callable[[int], None] | None = None,
) -> Catalog:
    """The source's catalog: read, where it is one; made from headers otherwise.

    Raises:
        SourceError: the source, or the folder that the catalog is of, cannot be read.
        ConfigError: the manifest or the pseudonym key cannot be used.
    """
    local = folder_of(source)
    if local is None or not (local.is_file() and local.suffix == CATALOG_SUFFIX):
        return index(source, config=config, manifest=manifest, previous=previous, progress=progress)
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
    catalog = index(source, config=config, manifest=manifest, previous=previous, progress=progress)
    write_catalog(catalog, path)
    return catalog


def holdings_of(
    catalog: Catalog,
    *,
    allow_for_processing: bool = False,
    allow_lossy_jpeg: bool = False,
    selection: Selection = EVERYTHING,
) -> Holdings:
    """What a selection takes of a catalog's exams and strays; the order of files does not change them."""
    allowed = {"allow_for_processing": allow_for_processing, "allow_lossy_jpeg": allow_lossy_jpeg}
    everything = catalog.exams(**allowed)
    belonging = {image.path for exam in everything for image in exam.images}
    strays = tuple(image for image in catalog.images(**allowed) if image.path not in belonging)
    exams, strays = tuple(filter(selection, everything)), strays if selection.takes_strays else ()
    return Holdings(
        root=catalog.root,
        exams=exams,
        strays=strays,
        paths=(*(image.path for exam in exams for image in exam.images), *(image.path for image in strays)),
        digests={exam.exam_id: exam.digest for exam in exams},
    )


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
