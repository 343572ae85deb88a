"""Memory that two processes map, and that grows."""

from __future__ import annotations

import mmap
import os
import weakref

import numpy as np
from numpy.typing import NDArray

from mammosweep.geometry import Size
from mammosweep.pixels.frame import Stored

__all__ = ["TABLE_BYTES", "SharedMemory", "Slot"]

TABLE_BYTES = 65536 * 4
"""A frame's presentation table stands before its pixels."""


class SharedMemory:
    """An anonymous file in memory (memfd), mapped whole. It needs no room in /dev/shm and no name.

    Growing maps it anew; arrays over the earlier mapping keep that alive and see the same bytes.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        self.descriptor = os.memfd_create("mammosweep") if descriptor is None else descriptor
        self._map: mmap.mmap | None = None
        # A slot is dropped, not closed, when the read that fills it hangs: the descriptor goes with it.
        self._closed = weakref.finalize(self, os.close, self.descriptor)

    def view(self, num_bytes: int) -> memoryview:
        """Its first ``num_bytes``, writable; larger than it was if need be."""
        if self._map is None or len(self._map) < num_bytes:
            if os.fstat(self.descriptor).st_size < num_bytes:
                os.ftruncate(self.descriptor, num_bytes)
            self._map = mmap.mmap(self.descriptor, num_bytes)
        return memoryview(self._map)[:num_bytes]

    def close(self) -> None:
        """Give the descriptor back; the mapping goes with the last array over it."""
        self._map = None
        self._closed()


class Slot:
    """Room for one image on its way: its file, its presentation table and its pixels."""

    def __init__(self, number: int, file: int | None = None, frame: int | None = None) -> None:
        self.number = number
        self.file = SharedMemory(file)
        self._frame = SharedMemory(frame)

    @property
    def descriptors(self) -> tuple[int, int]:
        """Of the file's memory and of the frame's."""
        return self.file.descriptor, self._frame.descriptor

    def table(self) -> NDArray[np.float32]:
        """The (65536,) presentation table."""
        return np.frombuffer(self._frame.view(TABLE_BYTES), np.float32)

    def stored(self, size: Size) -> Stored:
        """The (rows, columns) pixels."""
        data = self._frame.view(TABLE_BYTES + 2 * size.area)
        return np.frombuffer(data, np.uint16, offset=TABLE_BYTES).reshape(size.rows, size.columns)

    def close(self) -> None:
        """Give the memory back once nobody looks at it."""
        self.file.close()
        self._frame.close()
