"""A DICOM file's header, without the values nobody asked for.

Plain headers are walked here; pydicom reads all others, and whatever is not plain of these.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from mammosweep.archive.parsed import Element, ParsedFile, pixels_at
from mammosweep.archive.values import Header
from mammosweep.archive.walk import NeedsMoreError, UnusualError, Walk, walk

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["parse", "quiet"]

DICOM_MARK = slice(128, 132)
MORE_BYTES = 4  # times as many, each time a header goes on behind those at hand
MAX_WALKED_BYTES = 256 << 10  # a longer header holds private data, over which pydicom jumps


@contextmanager
def quiet() -> Iterator[None]:
    """Keep pydicom's warnings off screen and log: they quote header values."""
    logger = logging.getLogger("pydicom")
    was_disabled, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = was_disabled


def parse(stream: BinaryIO, size: int, head: bytes) -> ParsedFile:
    """Read a header up to the pixels.

    Args:
        stream: the whole file, `size` bytes.
        size: of the file, in bytes.
        head: its first bytes, with the File Meta Information.

    Raises:
        HeaderError: the header cannot be parsed, or the file ends where that cannot be told from damage.
    """
    if head[DICOM_MARK] == b"DICM":
        try:
            return _plain(stream, size, head)
        except UnusualError:
            pass
    from mammosweep.archive.by_pydicom import parse_by_pydicom

    stream.seek(0)
    return parse_by_pydicom(stream, size, head)


def _plain(stream: BinaryIO, size: int, head: bytes) -> ParsedFile:
    found, data = _walked(stream, head)
    element = Element(*found.pixels)
    before_pixels = data[: found.start_of_pixels]
    return ParsedFile(
        header=Header(data, found.found, lambda: _as_dataset(before_pixels), is_implicit=found.is_implicit),
        transfer_syntax=found.transfer_syntax,
        sop_class_of_file=found.class_of_file,
        pixels=pixels_at(stream, size, element, is_implicit=found.is_implicit, is_little=True),
        num_private=found.num_private,
        torn="",
    )


def _walked(stream: BinaryIO, data: bytes) -> tuple[Walk, bytes]:
    while True:
        try:
            return walk(data), data
        except NeedsMoreError:
            if len(data) * MORE_BYTES > MAX_WALKED_BYTES:
                raise
            stream.seek(len(data))
            more = stream.read(len(data) * (MORE_BYTES - 1))
            if not more:
                raise
            data += more


def _as_dataset(before_pixels: bytes) -> Dataset:
    from mammosweep.archive.by_pydicom import dataset_of

    return dataset_of(before_pixels)
