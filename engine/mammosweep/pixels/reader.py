"""Views are read ahead: threads fetch files into shared memory, workers decode them, whoever asked waits.

    ask ──▶ readers (threads) ──▶ decoders (a thread and a process each) ──▶ PendingFrame.frame()

Files and pixels lie in slots, of which there are a fixed number: a consumer that is slower than the readers
makes them wait. Slots are given out in the order of the requests, so the request that is waited for has one.
"""

from __future__ import annotations

import atexit
import itertools
import os
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread
from types import TracebackType

from mammosweep.archive.patience import within
from mammosweep.archive.source import Source, state_of, unreadable
from mammosweep.clock import StageClock
from mammosweep.config import DecoderChoice, PixelsConfig
from mammosweep.errors import DecodeError, HeaderError, Reason
from mammosweep.pixels.decode import codec_for, read_frame
from mammosweep.pixels.frame import Frame
from mammosweep.pixels.isolation.process import WorkerLostError, WorkerProcess
from mammosweep.pixels.isolation.slot import Slot
from mammosweep.records import View

__all__ = ["FrameReader", "PendingFrame"]

SPARE_SLOTS = 2
"""So that a reader finds one free while its consumer still holds one."""

READ_TRIES = 2


class PendingFrame:
    """A frame that was asked for. ``with pending as frame:`` waits for it and gives its memory back."""

    def __init__(self, source: Source, view: View) -> None:
        self.source = source
        self.view = view
        self.slot: Slot | None = None
        self.num_bytes = 0
        self.result: Future[Frame] = Future()
        self.give_back: SimpleQueue[Slot | None] | None = None

    def frame(self) -> Frame:
        """Wait for the frame. Its arrays may be used until `release`.

        Raises:
            ImageError: the file cannot be read, or its pixels not be had.
            DeviceError: no worker can be started.
        """
        return self.result.result()

    def release(self) -> None:
        """Let the next view have the memory; done already where there is no frame."""
        slot, self.slot = self.slot, None
        if slot is not None and self.give_back is not None:
            self.give_back.put(slot)

    def abandon(self) -> None:
        """Nobody waits for it any more: its memory goes back as soon as it is done."""
        self.result.add_done_callback(lambda _: self.release())

    def fail(self, error: BaseException) -> None:
        """There will be no frame."""
        self.release()
        self.result.set_exception(error)

    def __enter__(self) -> Frame:
        return self.frame()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class FrameReader:
    """Reads and decodes views, several at once and ahead of whoever asks for them.

    Threads and processes start with the first request and end with `close`.
    """

    def __init__(
        self,
        config: PixelsConfig,
        grid_mm: float | None = None,
        device: str = "cpu",
        clock: StageClock | None = None,
    ) -> None:
        """Make one that is idle.

        Args:
            config: limits, and how many workers.
            grid_mm: the finest grid that frames are wanted for; None: full resolution.
            device: "cuda" where frames that a GPU's decoder knows are to be decoded there, in this process.
            clock: is told the seconds of "read" and "decode", of all threads together.
        """
        self._clock = clock or StageClock()
        self._config = config
        self._grid_mm = grid_mm
        self._device = "cpu" if config.decoder is DecoderChoice.CPU else device
        self._gpu = Lock()  # one frame at a time: its decoder is no more than one
        self._asked: SimpleQueue[PendingFrame | None] = SimpleQueue()
        self._read: SimpleQueue[PendingFrame | None] = SimpleQueue()
        self._free: SimpleQueue[Slot | None] = SimpleQueue()
        self._numbers = itertools.count()
        self._order = Lock()
        num_workers = config.workers or len(os.sched_getaffinity(0))
        self.workers = [WorkerProcess(config) for _ in range(num_workers)]
        self._threads: list[Thread] = []
        self._is_closed = False

    def request(self, source: Source, view: View) -> PendingFrame:
        """Ask for a view's frame; consume requests in the order in which they were made."""
        if self._is_closed:
            raise RuntimeError("the frame reader is closed")
        if not self._threads:
            self._start()
        pending = PendingFrame(source, view)
        self._asked.put(pending)
        return pending

    def close(self) -> None:
        """End threads and processes; what was asked for and not decoded never comes."""
        if self._is_closed:
            return
        self._is_closed = True
        atexit.unregister(self.close)
        for queue in (self._asked, self._read, self._free):
            queue.put(None)
        for worker in self.workers:
            worker.kill()
        for thread in self._threads:
            if thread.name.startswith("decode"):
                thread.join()
        while not self._free.empty():
            if (slot := self._free.get()) is not None:
                slot.close()

    def __enter__(self) -> FrameReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self) -> None:
        num = len(self.workers)
        for _ in range(2 * num + SPARE_SLOTS):
            self._free.put(Slot(next(self._numbers)))
        # Daemons: a thread that waits for dead storage must not keep the program from ending.
        self._threads = [Thread(target=self._reading, name=f"read-{i}", daemon=True) for i in range(num)]
        self._threads += [
            Thread(target=self._decoding, args=(worker,), name=f"decode-{i}", daemon=True)
            for i, worker in enumerate(self.workers)
        ]
        for thread in self._threads:
            thread.start()
        atexit.register(self.close)

    def _reading(self) -> None:
        while (pending := self._next_asked()) is not None:
            try:
                with self._clock.measure("read"):
                    self._fill(pending)
            except Exception as error:  # the consumer's to judge
                pending.fail(error)
            else:
                self._read.put(pending)

    def _next_asked(self) -> PendingFrame | None:
        """The oldest request, with a slot; None at the end."""
        with self._order:
            pending = self._asked.get()
            slot = None if pending is None or self._is_closed else self._free.get()
            if pending is None or slot is None:
                self._asked.put(None)  # for the other readers
                return None
        pending.slot, pending.give_back = slot, self._free
        return pending

    def _fill(self, pending: PendingFrame) -> None:
        """Read a file into its request's slot; where that hangs, once more into another."""
        for turn in range(1, READ_TRIES + 1):
            slot = pending.slot
            assert slot is not None
            try:
                seconds = self._config.read_deadline_s
                pending.num_bytes = within(seconds, partial(read_into, slot, pending), tries=1)
                return
            except HeaderError as error:
                if error.reason is not Reason.READ_TIMEOUT:
                    raise
                # The read that hangs may yet come back and write: it keeps its slot.
                pending.slot = Slot(next(self._numbers))
                if turn == READ_TRIES:
                    raise

    def _decoding(self, worker: WorkerProcess) -> None:
        while (pending := self._read.get()) is not None and not self._is_closed:
            try:
                with self._clock.measure("decode"):
                    frame = self._decode(worker, pending)
                pending.result.set_result(frame)
            except Exception as error:  # the consumer's to judge
                pending.fail(error)
        self._read.put(None)  # for the other decoders
        worker.close()

    def _decode(self, worker: WorkerProcess, pending: PendingFrame) -> Frame:
        slot = pending.slot
        assert slot is not None
        view, data = pending.view, slot.file.view(pending.num_bytes)
        if self._is_for_gpu(view):
            with self._gpu:
                return read_frame(data, view, self._config, grid_mm=self._grid_mm, device=self._device)
        if self._config.isolate:
            return self._decode_isolated(worker, pending)
        return read_frame(data, view, self._config, grid_mm=self._grid_mm)

    def _decode_isolated(self, worker: WorkerProcess, pending: PendingFrame) -> Frame:
        """Decode in the worker, and where that is lost once more in another.

        A worker may be ended by what is not its image's fault, such as a kernel short of memory. The lost one
        could write to the slot, so the file is read anew. An image that costs two workers is refused.
        """
        try:
            return self._decoded_by(worker, pending)
        except WorkerLostError:
            if self._is_closed:
                raise
        self._fill(pending)
        try:
            return self._decoded_by(worker, pending)
        except WorkerLostError as error:
            raise DecodeError(
                error.reason, f"{error}, and so it was when tried again; inspect the file, and report it"
            ) from None

    def _decoded_by(self, worker: WorkerProcess, pending: PendingFrame) -> Frame:
        assert pending.slot is not None
        return worker.decode(pending.slot, pending.num_bytes, pending.view, self._grid_mm)

    def _is_for_gpu(self, view: View) -> bool:
        if self._device != "cuda" or view.transfer_syntax.startswith("image/"):
            return False
        return codec_for(view.transfer_syntax, self._config, device=self._device).device == "cuda"


def read_into(slot: Slot, pending: PendingFrame) -> int:
    """Read a request's file into a slot; give its size in bytes.

    Raises:
        DecodeError: it cannot be read, or is another than was indexed.
    """
    try:
        with pending.source.open(pending.view.path) as file:
            num_bytes = file.seek(0, os.SEEK_END)
            file.seek(0)
            _check_size(num_bytes, pending.view)
            buffer = slot.file.view(num_bytes)
            filled = 0
            while filled < num_bytes and (num := file.readinto(buffer[filled:])):  # type: ignore[attr-defined]
                filled += num
            _check_state(*state_of(file), pending.view)
    except OSError as error:
        raise DecodeError(*unreadable(error)) from None
    if filled < num_bytes:
        raise _changed(f"{filled} bytes", f"{num_bytes}")
    return num_bytes


def _check_size(num_bytes: int, view: View) -> None:
    if num_bytes == 0:
        raise DecodeError(Reason.EMPTY_FILE, "the file is empty; copy it again")
    if view.size_bytes and num_bytes != view.size_bytes:
        raise _changed(f"{num_bytes} bytes", f"{view.size_bytes}")


def _check_state(num_bytes: int, mtime_ns: int | None, view: View) -> None:
    """The file is the one that was indexed, now that all of it has been read."""
    _check_size(num_bytes, view)
    if view.mtime_ns and mtime_ns not in (view.mtime_ns, None):
        raise _changed("another time of change", "an earlier one")


def _changed(found: str, expected: str) -> DecodeError:
    return DecodeError(
        Reason.FILE_CHANGED,
        f"the file has {found} and had {expected}: it changed since it was indexed; index it again",
    )
