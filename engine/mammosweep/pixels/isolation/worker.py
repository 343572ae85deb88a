"""A worker: the program that decodes one image after the other until its parent goes away.

Started as ``python -m mammosweep.pixels.isolation.worker DESCRIPTOR MEMORY_MIB``, with one end of a packet
socket as that descriptor.
"""

from __future__ import annotations

import resource
import signal
import socket
import sys
from pathlib import Path

from mammosweep.errors import DecodeError, ImageError, Reason, unforeseen
from mammosweep.pixels.decode import read_frame
from mammosweep.pixels.isolation.message import (
    MAX_BYTES,
    Message,
    pack,
    pack_error,
    pack_frame,
    unpack,
    unpack_job,
)
from mammosweep.pixels.isolation.slot import Slot

__all__ = ["main"]

ORPHANED = 2.0
"""Deadlines after which a worker ends itself: its parent, who would have done so after one, is gone."""


def main(descriptor: int, memory_mib: int) -> None:
    """Serve until the other end closes."""
    # Ctrl-C and SIGTERM, which may be sent to all of a group, are the parent's to answer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _limit(memory_mib)
    slots: dict[int, Slot] = {}
    with socket.socket(fileno=descriptor) as parent:
        parent.send(pack({"ready": True}))
        while True:
            packet, descriptors, _, _ = socket.recv_fds(parent, MAX_BYTES, 2)
            if not packet:
                return
            message = unpack(packet)
            if descriptors:
                slots[message["slot"]] = Slot(message["slot"], *descriptors)
            parent.send(pack(_answer(message, slots[message["slot"]])))


def _limit(memory_mib: int) -> None:
    """Bound what a codec may allocate, and write no core file: it would hold a patient's image.

    RLIMIT_DATA counts private memory only, so that mapped files and slots are free (getrlimit(2)).
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    status = Path("/proc/self/status").read_text(encoding="ascii")
    used_kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmData:"))
    limit = (used_kib << 10) + (memory_mib << 20)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _answer(message: Message, slot: Slot) -> Message:
    view, config, grid_mm = unpack_job(message)
    signal.setitimer(signal.ITIMER_REAL, ORPHANED * config.deadline_s)
    try:
        data = slot.file.view(message["num_bytes"])
        frame = read_frame(data, view, config, grid_mm=grid_mm, allocate=slot.stored)
        slot.table()[:] = frame.table
        return pack_frame(frame)
    except ImageError as error:
        return pack_error(error)
    except MemoryError:
        return pack_error(_ballooned(config.memory_mib))
    except Exception as error:  # no file, whatever is in it, may cost another image its turn
        return pack_error(unforeseen(error))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _ballooned(memory_mib: int) -> DecodeError:
    return DecodeError(
        Reason.DECODE_LIMIT,
        f"decoding takes more memory than {memory_mib} MiB (pixels.memory_mib); inspect the file",
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
