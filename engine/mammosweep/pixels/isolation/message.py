"""What parent and worker say to each other, as JSON in one packet each.

A path never reaches a worker: it may hold a patient's name, and decoding needs none.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

from mammosweep.config import DecoderChoice, PixelsConfig
from mammosweep.errors import DecodeError, Flag, ImageError, Reason
from mammosweep.geometry import Size
from mammosweep.pixels.frame import Frame
from mammosweep.pixels.isolation.slot import Slot
from mammosweep.records import Laterality, Position, View

__all__ = [
    "MAX_BYTES",
    "pack",
    "pack_error",
    "pack_frame",
    "pack_job",
    "unpack",
    "unpack_frame",
    "unpack_job",
]

MAX_BYTES = 64 << 10
"""Of one packet; a message has a few hundred."""

Message = dict[str, Any]


def pack(message: Message) -> bytes:
    """A message as a packet."""
    return json.dumps(message).encode()


def unpack(packet: bytes) -> Message:
    """A packet's message."""
    message: Message = json.loads(packet)
    return message


def pack_job(slot: Slot, num_bytes: int, view: View, config: PixelsConfig, grid_mm: float | None) -> Message:
    """Decode the file in this slot."""
    return {
        "slot": slot.number,
        "num_bytes": num_bytes,
        "view": asdict(replace(view, path="")),
        "config": asdict(config),
        "grid_mm": grid_mm,
    }


def unpack_job(message: Message) -> tuple[View, PixelsConfig, float | None]:
    """What is to be decoded, how, and for which grid."""
    view = message["view"]
    config = message["config"]
    return (
        View(
            **view
            | {
                "laterality": Laterality(view["laterality"]),
                "position": Position(view["position"]),
                "size_px": Size(**view["size_px"]),
                "spacing_mm": tuple(view["spacing_mm"]),
            }
        ),
        PixelsConfig(**config | {"decoder": DecoderChoice(config["decoder"])}),
        message["grid_mm"],
    )


def pack_frame(frame: Frame) -> Message:
    """What of a frame is not in its slot."""
    return {
        "size_px": asdict(frame.size_px),
        "stored_size": frame.stored.shape,
        "reduce": frame.reduce,
        "voi": frame.voi,
        "orientation": frame.orientation,
        "flags": frame.flags,
    }


def pack_error(error: ImageError) -> Message:
    """Why there is no frame."""
    return {"reason": error.reason, "message": str(error)}


def unpack_frame(message: Message, slot: Slot) -> Frame:
    """The frame in a slot, or the error that a worker met.

    Raises:
        DecodeError: as the worker's `read_frame` did.
    """
    if "reason" in message:
        raise DecodeError(Reason(message["reason"]), message["message"])
    orientation = message["orientation"]
    return Frame(
        stored=slot.stored(Size(*message["stored_size"])),
        table=slot.table(),
        size_px=Size(**message["size_px"]),
        reduce=message["reduce"],
        voi=message["voi"],
        orientation=None if orientation is None else (orientation[0], orientation[1]),
        flags=tuple(map(Flag, message["flags"])),
    )
