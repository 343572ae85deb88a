"""The parent's end of one worker: started when it is first needed, and again whenever it was lost."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress

from mammosweep.config import PixelsConfig
from mammosweep.errors import DecodeError, DeviceError, Reason
from mammosweep.pixels.frame import Frame
from mammosweep.pixels.isolation.message import MAX_BYTES, Message, pack, pack_job, unpack, unpack_frame
from mammosweep.pixels.isolation.slot import Slot
from mammosweep.records import View

__all__ = ["WorkerLostError", "WorkerProcess"]

START_S = 120.0
"""A worker starts in a second; a machine that swaps may take a hundred times as long."""


class WorkerLostError(DecodeError):
    """The process ended, or hung, over an image: the file's fault, or of whoever ended the process."""


class WorkerProcess:
    """Decodes one image at a time, in a process that holds nothing which could not be lost."""

    def __init__(self, config: PixelsConfig) -> None:
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._known: set[int] = set()  # slots whose memory the process has
        self._is_killed = False  # by the parent: there will be no other

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return None if self._process is None else self._process.pid

    def decode(self, slot: Slot, num_bytes: int, view: View, grid_mm: float | None) -> Frame:
        """Decode the first ``num_bytes`` of a slot's file; the frame's pixels lie in the slot.

        Raises:
            WorkerLostError: the process was lost over this image; the next call starts another.
            DecodeError: as `read_frame`.
            DeviceError: no process can be started.
        """
        message = pack_job(slot, num_bytes, view, self._config, grid_mm)
        return unpack_frame(self._ask(message, slot), slot)

    def _ask(self, message: Message, slot: Slot) -> Message:
        connection = self._connected()
        try:
            descriptors = [] if slot.number in self._known else list(slot.descriptors)
            socket.send_fds(connection, [pack(message)], descriptors)
            self._known.add(slot.number)
            connection.settimeout(self._config.deadline_s)
            packet = connection.recv(MAX_BYTES)
        except TimeoutError:
            self.close()
            raise WorkerLostError(
                Reason.DECODE_LIMIT,
                f"decoding took longer than {self._config.deadline_s:g} s (pixels.deadline_s) and was ended",
            ) from None
        except OSError:
            packet = b""
        if not packet:
            raise self._loss()
        return unpack(packet)

    def _loss(self) -> WorkerLostError:
        """What became of a process that no longer answers."""
        assert self._process is not None
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        code = self._process.returncode
        self.close()
        how = "no longer answers" if code is None else f"ended with exit code {code}"
        if code is not None and code < 0:
            how = f"was ended by {signal.Signals(-code).name}"
        return WorkerLostError(Reason.DECODER_CRASHED, f"the process that decoded it {how}")

    def _connected(self) -> socket.socket:
        if self._socket is None or self._process is None or self._process.poll() is not None:
            self.close()
            # Once more: whatever ends processes may have struck before this one was ready.
            if not (self._start() or self._start()):
                raise DeviceError(
                    "no decode worker can be started on this machine; run `python -m "
                    "mammosweep.pixels.isolation.worker 0 0` to see why, or set pixels.isolate to false"
                )
        assert self._socket is not None
        return self._socket

    def _start(self) -> bool:
        """Start a process; False where it does not come to be ready."""
        if self._is_killed:
            return False
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket = ours
        with theirs:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", "mammosweep.pixels.isolation.worker"),
                    *(str(theirs.fileno()), str(self._config.memory_mib)),
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # codecs complain there, and may quote what the file holds
                env=_environment(),
            )
        ours.settimeout(START_S)
        try:
            ready = ours.recv(MAX_BYTES)
        except OSError:
            ready = b""
        if not ready:
            self.close()
        return bool(ready)

    def kill(self) -> None:
        """End the process for good, from another thread; `decode` then reports its loss."""
        self._is_killed = True
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End the process."""
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._socket = None
        self._known.clear()


# A codec's buffers of tens of megabytes stay with the worker from one image to the next: by default glibc
# gives each back to the kernel and has it zeroed and mapped again (mallopt(3)). Both go together: HTJ2K took
# 1.24 times as long as in-process without, 1.01 times with them, 1.46 times with the second alone.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(512 << 20)}


def _environment() -> dict[str, str]:
    """The parent's, with its import path, and one thread a worker: there is one worker a core."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    path = os.pathsep.join(filter(None, sys.path))
    return os.environ | threads | ALLOCATOR | {"PYTHONPATH": path}
