"""The files of an archive: a folder and all below it, one file, or a prefix of any storage fsspec knows."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from mammosweep.archive.names import escape_name, unescape_name
from mammosweep.archive.patience import within
from mammosweep.archive.verdict import refused
from mammosweep.config import ArchiveConfig
from mammosweep.errors import HeaderError, Reason, SourceError
from mammosweep.records import ImageRecord, ImageStatus

__all__ = [
    "FileEntry",
    "FileSource",
    "FolderSource",
    "NotAFileError",
    "Source",
    "candidate",
    "folder_of",
    "is_for_every_process",
    "is_one_file",
    "is_url",
    "listed_record",
    "open_source",
    "state_of",
    "unreadable",
]

MEBIBYTE = 1 << 20
DEFAULTS = ArchiveConfig()
NOT_A_FILE = "a pipe, socket or device; expected a regular file"
LOCAL_SCHEMES = ("file://", "local://")
LOOKED_AT_TOGETHER = 256  # files and folders: one wait for storage pays for as many

_Place = tuple[str, str]
"""A file's or folder's path as records give it, and as the operating system knows it."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file that may be an image."""

    path: str  # relative to the source's root, POSIX separators, escaped (see names.py)
    size_bytes: int
    mtime_ns: int  # of the last change; of storage that keeps none, a number that changes with the content


class Source(Protocol):
    """Where images come from. Whatever takes bytes of an archive takes them from one of these."""

    @property
    def url(self) -> str:
        """What it is known by, and opened again by: an absolute folder's path, or an fsspec URL."""

    def entries(self) -> Iterator[FileEntry | ImageRecord]:
        """Every file, sorted by path; a record where it is clear unopened that it cannot be an image."""

    def open(self, path: str) -> BinaryIO:
        """A file from its beginning, by the path of its entry; it can be sought in.

        Raises:
            OSError: it is not there, or cannot be read. `unreadable` gives the reason.
        """


class NotAFileError(OSError):
    """A pipe, socket or device has taken a file's place."""


def open_source(where: Path | str, *, config: ArchiveConfig = DEFAULTS) -> Source:
    """A folder, a file or a URL as a source.

    Raises:
        SourceError: nothing is there, it may not be read, or it is neither a folder nor a file.
    """
    folder = folder_of(where)
    if folder is not None:
        return _open_local(folder, config)
    from mammosweep.archive.storage import open_storage

    return open_storage(str(where), config=config)


def is_url(where: Path | str) -> bool:
    """Whether a source is given as a URL."""
    return isinstance(where, str) and "://" in where


def is_one_file(source: Source) -> bool:
    """Whether a source is a single file; its root may hold others, which are not meant."""
    return bool(getattr(source, "is_one_file", False))


def is_for_every_process(source: Source) -> bool:
    """Whether another process can open the same; what does not say so is taken to be in this one's memory."""
    return bool(getattr(source, "is_for_every_process", False))


def folder_of(where: Path | str) -> Path | None:
    """The local path that a source is given by; None for other storage."""
    if not is_url(where):
        return Path(where)
    for scheme in LOCAL_SCHEMES:
        if str(where).startswith(scheme) and "::" not in str(where):
            return Path(str(where).removeprefix(scheme))
    return None


def _open_local(path: Path, config: ArchiveConfig) -> Source:
    try:
        mode = within(config.read_deadline_s, lambda: _probe(path))
    except FileNotFoundError:
        raise SourceError(f"source {path} does not exist; give a folder, a file or a URL") from None
    except OSError as error:
        raise SourceError(f"source {path} cannot be read: {error.strerror}") from None
    except HeaderError as error:
        raise SourceError(f"source {path} cannot be read: {error}") from None
    if stat.S_ISDIR(mode):
        return FolderSource(path, config=config)
    if stat.S_ISREG(mode):
        return FileSource(path, config=config)
    raise SourceError(f"source {path} is neither a folder nor a file")


def _probe(path: Path) -> int:
    """The kind of what is there, after a look whether it can be read."""
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        os.scandir(path).close()
    elif stat.S_ISREG(mode):
        path.open("rb").close()
    return mode


class FileSource:
    """One file; its folder is the root."""

    is_one_file = True
    is_for_every_process = True

    def __init__(self, path: Path, *, config: ArchiveConfig = DEFAULTS) -> None:
        self.url = os.fspath(path.parent.resolve())
        self._name = path.name
        self._config = config

    def entries(self) -> Iterator[FileEntry | ImageRecord]:
        """The file."""
        path = escape_name(self._name)
        try:
            status = os.stat(os.path.join(self.url, self._name))  # noqa: PTH116, PTH118
        except OSError as error:
            yield refused(listed_record(path), *unreadable(error))
            return
        yield _candidate(path, status, self._config)

    def open(self, path: str) -> BinaryIO:
        """The file, or another one of its folder."""
        return _open_below(self.url, path)


class FolderSource:
    """A folder and every folder below it.

    Links to files inside the root are files like others; links to folders are not followed, so no loop can
    catch the walk and no file is listed under two paths for them.
    """

    is_for_every_process = True

    def __init__(self, root: Path, *, config: ArchiveConfig = DEFAULTS) -> None:
        self._root = root.resolve()
        self.url = os.fspath(self._root)
        self._config = config

    def open(self, path: str) -> BinaryIO:
        """A file below the folder."""
        return _open_below(self.url, path)

    def entries(self) -> Iterator[FileEntry | ImageRecord]:
        """Every file, sorted by relative path. What hangs when it is looked at is refused."""
        pending = [("", self.url)]  # folders end in "/", so that a stack gives the paths' own order
        num_singly = 0
        while pending:
            num = 1 if num_singly else LOOKED_AT_TOGETHER
            top = pending[-num:]
            try:
                found, left = self._looked_at(top, num)
            except HeaderError as error:
                if num > 1:  # one of these places hangs: each by itself shows which
                    num_singly = LOOKED_AT_TOGETHER
                    continue
                found, left = [refused(listed_record(top[0][0]), error.reason, str(error))], []
            num_singly = max(0, num_singly - 1)
            del pending[-len(top) :]
            pending += left
            yield from found

    def _looked_at(
        self, places: list[_Place], num: int
    ) -> tuple[list[FileEntry | ImageRecord], list[_Place]]:
        tries = 2 if num == 1 else 1
        return within(self._config.read_deadline_s, lambda: self._look_at(places, num), tries=tries)

    def _look_at(self, places: list[_Place], num: int) -> tuple[list[FileEntry | ImageRecord], list[_Place]]:
        """Look at so many places from the last on, going down into folders: the files, and what is left."""
        left = list(places)
        found: list[FileEntry | ImageRecord] = []
        while left and num:
            num -= 1
            relative, place = left.pop()
            if relative and not relative.endswith("/"):
                found.append(self._look(relative, place))
                continue
            try:
                left += _children(relative, place)
            except OSError as error:
                found.append(refused(listed_record(relative), *unreadable(error)))
        return found, left

    def _look(self, relative: str, place: str) -> FileEntry | ImageRecord:
        try:
            status = os.lstat(place)
            if not stat.S_ISLNK(status.st_mode):
                return _candidate(relative, status, self._config)
            return self._follow(relative, place)
        except OSError as error:
            return refused(listed_record(relative), *unreadable(error))

    def _follow(self, relative: str, place: str) -> FileEntry | ImageRecord:
        target = Path(os.path.realpath(place))
        if not target.is_relative_to(self._root):
            return refused(
                listed_record(relative),
                Reason.OUTSIDE_ROOT,
                "a symbolic link that leads out of the source's folder; sweep the folder it leads to instead",
            )
        status = Path(place).stat()
        if Path(place).is_relative_to(target):
            return refused(
                listed_record(relative),
                Reason.OUTSIDE_ROOT,
                "a symbolic link that leads back to a folder it lies in; remove it",
            )
        if stat.S_ISDIR(status.st_mode):
            return refused(
                listed_record(relative),
                Reason.DUPLICATE_FILE,
                "a symbolic link to a folder of the same source; its files are listed under their own paths",
            )
        return _candidate(relative, status, self._config)


def _children(relative: str, place: str) -> list[_Place]:
    """What a folder holds, last path first; folders end in a slash."""
    with os.scandir(place) as found:
        children = [
            (relative + escape_name(e.name) + ("/" if e.is_dir(follow_symlinks=False) else ""), e.path)
            for e in found
        ]
    return sorted(children, reverse=True)


def _open_below(root: str, path: str) -> BinaryIO:
    if ".." in path and ".." in path.split("/"):
        raise PermissionError(errno.EPERM, "the path leads out of the source")
    # Without O_NONBLOCK, a pipe that has taken a file's place since it was listed would wait for ever.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(f"{root}{os.sep}{unescape_name(path)}", flags)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return io.BufferedReader(io.FileIO(descriptor))
    os.close(descriptor)
    raise NotAFileError(errno.EINVAL, "not a regular file")


def state_of(stream: BinaryIO) -> tuple[int, int | None]:
    """Size and time of change of an open file as they are now, to be compared with its entry's.

    Raises:
        OSError: the storage cannot say.
    """
    if (state := getattr(stream, "state", None)) is not None:
        found: tuple[int, int | None] = state()
        return found
    try:
        status = os.fstat(stream.fileno())
    except io.UnsupportedOperation:  # bytes in memory
        return stream.seek(0, os.SEEK_END), None
    return status.st_size, status.st_mtime_ns


def unreadable(error: OSError) -> tuple[Reason, str]:
    """The reason and the sentence for a path that the storage does not give."""
    if isinstance(error, NotAFileError):
        return Reason.NOT_A_FILE, NOT_A_FILE
    if error.errno == errno.ELOOP:
        return Reason.OUTSIDE_ROOT, "a symbolic link that leads back to itself; remove it"
    if isinstance(error, PermissionError):
        return Reason.PERMISSION_DENIED, "permission denied; give the sweep's user the right to read it"
    if isinstance(error, FileNotFoundError):
        return Reason.FILE_MISSING, "the file is no longer there, or is a link to nothing"
    if isinstance(error, TimeoutError):
        return Reason.READ_TIMEOUT, "the storage gave up waiting for it; check the storage and run again"
    said = error.strerror or type(error).__name__  # other texts of storage may hold a URL with a key in it
    return Reason.READ_FAILED, f"reading failed: {said}; check the storage and run again"


def _candidate(relative: str, status: os.stat_result, config: ArchiveConfig) -> FileEntry | ImageRecord:
    entry = FileEntry(relative, status.st_size, status.st_mtime_ns)
    if not stat.S_ISREG(status.st_mode):
        return refused(listed_record(relative, entry), Reason.NOT_A_FILE, NOT_A_FILE)
    return candidate(entry, config)


def candidate(entry: FileEntry, config: ArchiveConfig) -> FileEntry | ImageRecord:
    """The entry, or a record where name and size show that it is no image."""
    why_not = _why_not(entry, config.max_file_mib * MEBIBYTE)
    return entry if why_not is None else refused(listed_record(entry.path, entry), *why_not)


def _why_not(entry: FileEntry, max_bytes: int) -> tuple[Reason, str] | None:
    if entry.path[-8:].upper() == "DICOMDIR" and entry.path[-9:-8] in ("", "/"):
        return Reason.DICOMDIR, "a DICOMDIR; it is ignored, the files are found by themselves"
    if entry.size_bytes == 0:
        return Reason.EMPTY_FILE, "the file is empty; copy it again"
    if entry.size_bytes > max_bytes:
        return (
            Reason.FILE_TOO_LARGE,
            f"the file has {entry.size_bytes} bytes; at most {max_bytes} are read (archive.max_file_mib)",
        )
    return None


def listed_record(path: str, entry: FileEntry | None = None) -> ImageRecord:
    """A record of what is known of a file before it is opened."""
    size, mtime = (entry.size_bytes, entry.mtime_ns) if entry else (0, 0)
    return ImageRecord(path=path, status=ImageStatus.USED, size_bytes=size, mtime_ns=mtime)
