"""The decoder seam: one file in, stored pixels and their presentation table out.

A `Frame` keeps stored values as they are and says what they mean in a table: rescale, padding, VOI and
polarity are functions of a stored value alone, so one table lookup applies them all.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.encaps import generate_frames
from pydicom.uid import UID

from mammosweep.config import PixelsConfig
from mammosweep.errors import DecodeError, Flag, Reason
from mammosweep.geometry import Size
from mammosweep.pixels import cpu
from mammosweep.pixels.photometry import identity_table, presentation_table
from mammosweep.records import View

__all__ = ["Decoder", "Frame", "decode"]


@dataclass(frozen=True, slots=True)
class Frame:
    """One image's stored pixels and what they mean."""

    stored: NDArray[np.uint16] = field(repr=False)  # (rows, columns), as in the file
    table: NDArray[np.float32] = field(
        repr=False
    )  # (65536,) stored value -> presented gray, 0 dark, 1 bright
    voi: str = "full range"  # which of the header's presentations was chosen
    flags: tuple[Flag, ...] = ()


class Decoder(Protocol):
    """Decodes one frame's bytes of one transfer syntax."""

    def __call__(
        self, data: bytes, size: Size, bits_allocated: int
    ) -> NDArray[np.uint16] | NDArray[np.uint8]:
        """(rows, columns) stored values; DecodeError when the bytes do not hold them."""


def decode(path: Path, view: View, config: PixelsConfig) -> Frame:
    """Read and decode one view.

    Raises:
        DecodeError: the file vanished or changed, or its pixels are missing, damaged, of another size
            than the header says, larger than ``pixels.max_megapixels``, or all alike.
    """
    if view.size_px.area > config.max_megapixels * 1e6:
        raise DecodeError(
            Reason.SIZE_TOO_LARGE,
            f"the frame has {view.size_px.rows} x {view.size_px.columns} pixels; at most "
            f"{config.max_megapixels:g} megapixels are decoded (pixels.max_megapixels)",
        )
    frame = _raster(path, view) if view.transfer_syntax.startswith("image/") else _dicom(path, view)
    if frame.stored.min() == frame.stored.max():
        raise DecodeError(
            Reason.BLANK_IMAGE,
            f"every pixel has the stored value {frame.stored.flat[0]}; expected a mammogram",
        )
    return frame


def _dicom(path: Path, view: View) -> Frame:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's warnings quote header values
        try:
            dataset = pydicom.dcmread(path, force=True)
        except FileNotFoundError:
            raise DecodeError(
                Reason.FILE_MISSING, "the file was there when indexed and is gone now"
            ) from None
        except OSError as error:
            raise DecodeError(Reason.READ_FAILED, f"the file cannot be read: {error.strerror}") from None
        except Exception as error:  # pydicom raises what the bytes provoke
            raise DecodeError(
                Reason.HEADER_MALFORMED, f"the header cannot be parsed ({type(error).__name__})"
            ) from None
        if dataset.get("SOPInstanceUID") != view.sop_instance_uid:
            raise DecodeError(Reason.FILE_CHANGED, "the file holds another instance than when it was indexed")
        stored, flags = _stored(dataset, view)
        table, voi = presentation_table(dataset)
    return Frame(stored, table, voi, flags)


def _stored(dataset: Dataset, view: View) -> tuple[NDArray[np.uint16], tuple[Flag, ...]]:
    decoder = cpu.DECODERS.get(UID(view.transfer_syntax))
    if decoder is None:
        raise DecodeError(
            Reason.TRANSFER_SYNTAX, f"no decoder for transfer syntax {view.transfer_syntax} on this machine"
        )
    stored = decoder(_frame_bytes(dataset, view), view.size_px, int(dataset.BitsAllocated))
    if stored.shape != (view.size_px.rows, view.size_px.columns):
        raise DecodeError(
            Reason.SIZE_MISMATCH,
            f"the compressed image is {' x '.join(map(str, stored.shape))}; Rows x Columns says "
            f"{view.size_px.rows} x {view.size_px.columns}",
        )
    mask = (1 << int(dataset.BitsStored)) - 1
    if int(stored.max()) > mask:
        return (stored & mask).astype(np.uint16), (Flag.STRAY_BITS_MASKED,)
    return np.require(stored, np.uint16, ["C", "W"]), ()  # PyTorch takes writable arrays only


def _frame_bytes(dataset: Dataset, view: View) -> bytes:
    if "PixelData" not in dataset or not dataset.PixelData:
        raise DecodeError(Reason.NO_PIXEL_DATA, "Pixel Data (7FE0,0010) is missing or empty")
    if not UID(view.transfer_syntax).is_encapsulated:
        return bytes(dataset.PixelData)
    try:
        frames = list(generate_frames(dataset.PixelData, number_of_frames=1))
    except Exception as error:  # pydicom raises ValueError, struct.error and others on broken fragments
        raise DecodeError(
            Reason.FRAGMENTS_INVALID, f"the encapsulated fragments cannot be read ({type(error).__name__})"
        ) from None
    if len(frames) != 1 or not frames[0]:
        raise DecodeError(Reason.FRAGMENTS_INVALID, f"Pixel Data holds {len(frames)} frames; expected 1")
    return frames[0]


def _raster(path: Path, view: View) -> Frame:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DecodeError(Reason.FILE_MISSING, "the file was there when indexed and is gone now") from None
    except OSError as error:
        raise DecodeError(Reason.READ_FAILED, f"the file cannot be read: {error.strerror}") from None
    pixels = cpu.decode_raster(data, view.transfer_syntax)
    if pixels.shape != (view.size_px.rows, view.size_px.columns):
        raise DecodeError(
            Reason.SIZE_MISMATCH,
            f"the image is {' x '.join(map(str, pixels.shape))}; its header said "
            f"{view.size_px.rows} x {view.size_px.columns} when indexed",
        )
    return Frame(np.require(pixels, np.uint16, ["C", "W"]), identity_table(_bits_used(pixels)))


def _bits_used(pixels: NDArray[np.uint16] | NDArray[np.uint8]) -> int:
    """The fewest bits that hold its values: exports keep 12 bit values in 16 bit files and do not say so."""
    return max(int(pixels.max()).bit_length(), 8)
