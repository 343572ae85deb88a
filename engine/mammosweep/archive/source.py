"""The files of an archive: a folder and all below it, or one file. No file is opened here."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mammosweep.archive.names import escape_name
from mammosweep.archive.verdict import refused
from mammosweep.config import ArchiveConfig
from mammosweep.errors import Reason, SourceError
from mammosweep.records import ImageRecord, ImageStatus

__all__ = ["FileEntry", "FileSource", "FolderSource", "Source", "open_source"]

MEBIBYTE = 1 << 20
DEFAULT_MAX_BYTES = ArchiveConfig().max_file_mib * MEBIBYTE


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file that may be an image."""

    path: str  # relative to the source's root, POSIX separators, escaped (see names.py)
    size_bytes: int
    mtime_ns: int


class Source(Protocol):
    """Where images come from."""

    @property
    def root(self) -> Path:
        """The folder that paths are relative to."""

    def entries(self) -> Iterator[FileEntry | ImageRecord]:
        """Every file, sorted by path; a record where it is clear unopened that it cannot be an image."""


def open_source(path: Path, *, config: ArchiveConfig | None = None) -> Source:
    """A folder or a file as a source.

    Raises:
        SourceError: nothing is there, it may not be read, or it is neither a folder nor a file.
    """
    max_bytes = (config or ArchiveConfig()).max_file_mib * MEBIBYTE
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            os.scandir(path).close()
            return FolderSource(path, max_bytes=max_bytes)
        if stat.S_ISREG(mode):
            path.open("rb").close()
            return FileSource(path, max_bytes=max_bytes)
    except FileNotFoundError:
        raise SourceError(f"source {path} does not exist; give a folder or a file") from None
    except OSError as error:
        raise SourceError(f"source {path} cannot be read: {error.strerror}") from None
    raise SourceError(f"source {path} is neither a folder nor a file")


class FileSource:
    """One file; its folder is the root."""

    def __init__(self, path: Path, *, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self.root = path.parent.resolve()
        self._path = self.root / path.name
        self._max_bytes = max_bytes

    def entries(self) -> Iterator[FileEntry | ImageRecord]:
        """The file."""
        name = escape_name(self._path.name)
        try:
            status = self._path.stat()
        except OSError as error:
            yield refused(_record(name), *unreadable(error))
            return
        yield _candidate(name, status, self._max_bytes)


class FolderSource:
    """A folder and every folder below it.

    Links to files inside the root are files like others; links to folders are not followed, so no loop can
    catch the walk and no file is listed under two paths for them.
    """

    def __init__(self, root: Path, *, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self.root = root.resolve()
        self._max_bytes = max_bytes

    def entries(self) -> Iterator[FileEntry | ImageRecord]:
        """Every file, sorted by relative path."""
        pending = [("", str(self.root))]  # folders end in "/", so that a stack gives the paths' own order
        while pending:
            relative, place = pending.pop()
            if relative and not relative.endswith("/"):
                yield self._look(relative, place)
                continue
            try:
                pending += _children(relative, place)
            except OSError as error:
                yield refused(_record(relative), *unreadable(error))

    def _look(self, relative: str, place: str) -> FileEntry | ImageRecord:
        try:
            status = os.lstat(place)
            if not stat.S_ISLNK(status.st_mode):
                return _candidate(relative, status, self._max_bytes)
            return self._follow(relative, place)
        except OSError as error:
            return refused(_record(relative), *unreadable(error))

    def _follow(self, relative: str, place: str) -> FileEntry | ImageRecord:
        if not Path(os.path.realpath(place)).is_relative_to(self.root):
            return refused(
                _record(relative),
                Reason.OUTSIDE_ROOT,
                "a symbolic link that leads out of the source's folder; sweep the folder it leads to instead",
            )
        status = Path(place).stat()
        if stat.S_ISDIR(status.st_mode):
            return refused(
                _record(relative),
                Reason.DUPLICATE_FILE,
                "a symbolic link to a folder of the same source; its files are listed under their own paths",
            )
        return _candidate(relative, status, self._max_bytes)


def unreadable(error: OSError) -> tuple[Reason, str]:
    """The reason and the sentence for a path that the operating system does not give."""
    if error.errno == errno.ELOOP:
        return Reason.OUTSIDE_ROOT, "a symbolic link that leads back to itself; remove it"
    if isinstance(error, PermissionError):
        return Reason.PERMISSION_DENIED, "permission denied; give the sweep's user the right to read it"
    if isinstance(error, FileNotFoundError):
        return Reason.FILE_MISSING, "the file is no longer there, or is a link to nothing"
    return Reason.READ_FAILED, f"reading failed: {error.strerror}; check the storage and run again"


def _children(relative: str, place: str) -> list[tuple[str, str]]:
    """What a folder holds, last path first; folders end in a slash."""
    with os.scandir(place) as found:
        children = [
            (relative + escape_name(e.name) + ("/" if e.is_dir(follow_symlinks=False) else ""), e.path)
            for e in found
        ]
    return sorted(children, reverse=True)


def _candidate(relative: str, status: os.stat_result, max_bytes: int) -> FileEntry | ImageRecord:
    size = status.st_size
    record = _record(relative, size, status.st_mtime_ns)
    if not stat.S_ISREG(status.st_mode):
        return refused(record, Reason.NOT_A_FILE, "a pipe, socket or device; expected a regular file")
    if relative.rsplit("/", 1)[-1].upper() == "DICOMDIR":
        return refused(
            record, Reason.DICOMDIR, "a DICOMDIR; it is ignored, the files are found by themselves"
        )
    if size == 0:
        return refused(record, Reason.EMPTY_FILE, "the file is empty; copy it again")
    if size > max_bytes:
        return refused(
            record,
            Reason.FILE_TOO_LARGE,
            f"the file has {size} bytes; at most {max_bytes} are read (archive.max_file_mib)",
        )
    return FileEntry(relative, size, status.st_mtime_ns)


def _record(path: str, size_bytes: int = 0, mtime_ns: int = 0) -> ImageRecord:
    return ImageRecord(path=path, status=ImageStatus.USED, size_bytes=size_bytes, mtime_ns=mtime_ns)
