"""Sources in any storage that fsspec knows: object stores, memory, archives, remote file systems.

The only file that imports fsspec. Credentials and options are fsspec's own (its configuration files and
environment variables, or those of the storage's library): none is ever part of a URL here.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import fsspec
from fsspec.asyn import AsyncFileSystem
from fsspec.core import url_to_fs
from fsspec.registry import known_implementations

from mammosweep.archive.names import escape_name, unescape_name
from mammosweep.archive.patience import within
from mammosweep.archive.source import NOT_A_FILE, FileEntry, candidate, listed_record, unreadable
from mammosweep.archive.verdict import refused
from mammosweep.config import ArchiveConfig
from mammosweep.errors import HeaderError, Reason, SourceError
from mammosweep.records import ImageRecord

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

__all__ = ["FsspecSource", "open_storage"]

CHAIN = "::"
PASSWORD = re.compile(r"://[^/@]*:[^/@]*@")

# A header has some ten kilobytes, so a larger request would fetch mostly pixels; whoever reads the whole file
# asks for all of it in one request, whatever this is.
BLOCK_BYTES = 128 << 10

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIMES = ("mtime", "LastModified", "last_modified", "updated", "timeModified", "created")
MARKS = ("ETag", "etag", "md5Hash", "content_md5", "CRC", "uid")  # change with the content
MARK_BITS = 62


def open_storage(url: str, *, config: ArchiveConfig) -> FsspecSource:
    """A folder, a prefix or a file in storage as a source.

    Raises:
        SourceError: nothing is there, it cannot be read, its library is missing, or the URL holds a password.
    """
    if PASSWORD.search(url):
        raise SourceError("the source's URL holds a password, which would be written down; configure fsspec")
    try:
        return within(config.read_deadline_s, lambda: _opened(url, config))
    except FileNotFoundError:
        raise SourceError(f"source {url} does not exist; give a folder, a file or a URL") from None
    except HeaderError as error:
        raise SourceError(f"source {url} cannot be read: {error}") from None
    except OSError as error:
        raise SourceError(f"source {url} cannot be read: {unreadable(error)[1]}") from None


def _opened(url: str, config: ArchiveConfig) -> FsspecSource:
    url = _absolute(url if url.endswith("://") else url.rstrip("/"))
    with _os_errors():
        system, root = _system(url)
        root = root.rstrip("/")
        if not root or system.info(root)["type"] != "file":
            return FsspecSource(url, system, root, config)
    link, *rest = url.split(CHAIN)
    scheme, _, path = link.partition("://")
    folder, _, name = path.rpartition("/")
    source = FsspecSource(
        CHAIN.join([f"{scheme}://{folder}", *rest]), system, root.rpartition("/")[0], config
    )
    source.file = name
    return source


def _system(url: str) -> tuple[AbstractFileSystem, str]:
    try:
        # A listing that is kept would hide what changes while it is read.
        system, root = url_to_fs(url, use_listings_cache=False)
    except (ImportError, ValueError) as error:  # it says which library to install, or that none is known
        raise SourceError(f"source {url} cannot be opened: {error}") from None
    return system, root


def _absolute(url: str) -> str:
    """With the last link of a chain, where it is a local file's relative path, made absolute."""
    *chain, last = url.split(CHAIN)
    is_path = chain and "://" not in last and last not in known_implementations
    return CHAIN.join([*chain, os.path.abspath(last)]) if is_path else url  # noqa: PTH100


class FsspecSource:
    """A folder or a prefix and everything below it, or one file there."""

    def __init__(self, url: str, system: AbstractFileSystem, root: str, config: ArchiveConfig) -> None:
        self.url = url
        self.file: str | None = None  # the name of the one file that is meant; None for all
        self._system = system
        self._root = root
        self._config = config

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process opens it anew: connections do not travel.
        return _reopened, (self.url, self._config)

    @property
    def is_one_file(self) -> bool:
        """Whether only `file` is meant."""
        return self.file is not None

    @property
    def is_for_every_process(self) -> bool:
        """Whether another process finds the same there: not in memory, nor in what this one registered."""
        protocols = [link.partition("://")[0] for link in self.url.split(CHAIN) if "://" in link]
        return all(protocol in known_implementations and protocol != "memory" for protocol in protocols)

    def entries(self) -> Iterator[FileEntry | ImageRecord]:
        """Every file, sorted by relative path.

        Raises:
            SourceError: the storage does not list them.
        """
        try:
            with _os_errors():
                found = self._listed()
        except OSError as error:
            raise SourceError(f"source {self.url} cannot be listed: {unreadable(error)[1]}") from None
        entries = {self._relative(name): info for name, info in found.items() if not name.endswith("/")}
        for path in sorted(entries):
            yield self._entry(path, entries[path])

    def _listed(self) -> Mapping[str, Mapping[str, Any]]:
        if self.file is not None:
            place = self._place(escape_name(self.file))
            return {place: self._system.info(place)}
        # The generic walk leaves out, in silence, what it may not list.
        options = {"on_error": "raise"} if _walks(self._system) else {}
        found: Mapping[str, Mapping[str, Any]] = self._system.find(self._root, detail=True, **options)
        return found

    def _relative(self, place: str) -> str:
        return escape_name(place.removeprefix(self._root).removeprefix("/"))

    def _place(self, path: str) -> str:
        return "/".join(filter(None, [self._root, unescape_name(path)]))

    def _entry(self, path: str, info: Mapping[str, Any]) -> FileEntry | ImageRecord:
        size, changed = _state(info)
        if info.get("type") == "other":
            return refused(listed_record(path), Reason.NOT_A_FILE, NOT_A_FILE)
        if size is None:
            message = "the storage does not say how large it is; copy it to storage that does"
            return refused(listed_record(path), Reason.READ_FAILED, message)
        return candidate(FileEntry(path, size, changed or 0), self._config)

    def open(self, path: str) -> BinaryIO:
        """A file below the root, read in blocks as it is asked for."""
        place = self._place(path)
        with _os_errors():
            file = self._system.open(place, "rb", block_size=BLOCK_BYTES)
        if isinstance(file, io.BytesIO):  # of memory: one object, with one position for all who open it
            file = io.BytesIO(file.getvalue())
        return cast("BinaryIO", _StoredFile(_Raw(file), self._system, place))


def _reopened(url: str, config: ArchiveConfig) -> FsspecSource:
    return open_storage(url, config=config)


def _walks(system: AbstractFileSystem) -> bool:
    kind = type(system)
    if isinstance(system, AsyncFileSystem):
        return kind._find is AsyncFileSystem._find
    return kind.find is fsspec.AbstractFileSystem.find


class _StoredFile(io.BufferedReader):
    """A file in storage; knows its state there."""

    def __init__(self, raw: _Raw, system: AbstractFileSystem, place: str) -> None:
        super().__init__(raw, BLOCK_BYTES)
        self._system = system
        self._place = place

    def state(self) -> tuple[int, int | None]:
        """Size and time of change as the storage gives them now."""
        kind = type(self._system)
        if kind.info is fsspec.AbstractFileSystem.info:  # would list the whole folder for it
            return self.seek(0, os.SEEK_END), None
        with _os_errors():
            size, changed = _state(self._system.info(self._place))
        return size or 0, changed


class _Raw(io.RawIOBase):
    """Bytes of a storage's file; what its library raises becomes an OSError."""

    name = ""  # pydicom asks for it, and for the time of a local file of this name

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with _os_errors():
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        with _os_errors():
            data: bytes = self._file.read()
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        with _os_errors():
            position: int = self._file.seek(offset, whence)
        return position

    def tell(self) -> int:
        position: int = self._file.tell()
        return position

    def close(self) -> None:
        if not self.closed:
            super().close()
            with _os_errors():
                self._file.close()


@contextmanager
def _os_errors() -> Iterator[None]:
    """Each library of storage raises its own errors; the type's name is all that is safe to repeat."""
    try:
        yield
    except (OSError, SourceError):
        raise
    except Exception as error:
        raise OSError(errno.EIO, f"the storage raised {type(error).__name__}") from None


def _state(info: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Size in bytes and time of change, or a mark that changes with the content; None where it says none."""
    size = info.get("size")
    changed = next((info[name] for name in TIMES if info.get(name)), None)
    if changed is None:
        changed = next((str(info[name]) for name in MARKS if info.get(name)), None)
    return None if size is None else int(size), None if changed is None else _nanoseconds(changed)


def _nanoseconds(changed: Any) -> int:
    if isinstance(changed, int | float):
        # To microseconds, so that a time is the same as a number and as a date.
        return round(changed * 1_000_000) * 1000
    if isinstance(changed, datetime):
        aware = changed if changed.tzinfo else changed.replace(tzinfo=UTC)
        return (aware - EPOCH) // timedelta(microseconds=1) * 1000
    digest = hashlib.sha256(str(changed).encode()).digest()
    return int.from_bytes(digest[:8]) >> (64 - MARK_BITS)
