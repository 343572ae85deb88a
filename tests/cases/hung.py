"""Storage that hangs, as NFS does whose server is gone: opening a file does not come back."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import fsspec
from fsspec.spec import AbstractFileSystem

__all__ = ["HungStorage"]


class HungStorage(AbstractFileSystem):
    """A folder whose files hang at certain readings; URLs are ``hung://path``."""

    protocol = "hung"
    cachable = False
    folder: ClassVar[Path]
    hangs: ClassVar[dict[str, range]] = {}  # a folder's name -> which readings of its files hang
    readings: ClassVar[Counter[str]] = Counter()
    released: ClassVar[threading.Event] = threading.Event()

    @classmethod
    def over(cls, folder: Path, hangs: dict[str, range]) -> str:
        """Give the URL of a folder, some of whose files hang from now on until `release`."""
        cls.folder, cls.hangs, cls.readings, cls.released = folder, hangs, Counter(), threading.Event()
        fsspec.register_implementation("hung", cls, clobber=True)
        return "hung://archive"

    @classmethod
    def release(cls) -> None:
        """Let every reading that hangs go on."""
        cls.released.set()

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """What a folder holds."""
        inside = self._place(path)
        found = [self._described(path, entry) for entry in sorted(inside.iterdir())]
        return found if detail else [entry["name"] for entry in found]

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Size and time of one path."""
        place = self._place(path)
        parent = self._strip_protocol(path).rpartition("/")[0]
        return self._described(parent, place) | {"name": self._strip_protocol(path)}

    def _place(self, path: str) -> Path:
        return self.folder / self._strip_protocol(path).removeprefix("archive").lstrip("/")

    def _described(self, parent: str, entry: Path) -> dict[str, Any]:
        status = entry.stat()
        kind = "directory" if entry.is_dir() else "file"
        name = f"{self._strip_protocol(parent)}/{entry.name}"
        return {"name": name, "size": status.st_size, "type": kind, "mtime": status.st_mtime}

    def _open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        place = self._place(path)
        name = place.parent.name
        self.readings[name] += 1
        if self.readings[name] - 1 in self.hangs.get(name, range(0)):
            self.released.wait(60)
        return place.open(mode)
