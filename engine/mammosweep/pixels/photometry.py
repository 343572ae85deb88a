"""What a stored value means: modality rescale, padding, VOI and polarity as one table.

Policy, in order: the first VOI LUT of the sequence; else the first usable window (VOI LUT Function LINEAR,
LINEAR_EXACT or SIGMOID); else the full range that Bits Stored allows. The choice is recorded as one of
``VOI LUT 1``, ``window N FUNCTION`` (N counts from 1 in the header's order) and ``full range``. Polarity is
applied once, about the range's bounds: Presentation LUT Shape if present, else Photometric Interpretation
MONOCHROME1. Padding is black whatever the polarity.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from mammosweep.archive.attributes import floats, items, named, text
from mammosweep.errors import DecodeError, Reason
from mammosweep.pixels.lut import Lut, read_lut

__all__ = ["identity_table", "needs_full_resolution", "presentation_table"]

Table = NDArray[np.float32]
Values = NDArray[np.float64]

NUM_STORED_VALUES = 1 << 16
LINEAR, LINEAR_EXACT, SIGMOID = "LINEAR", "LINEAR_EXACT", "SIGMOID"
FUNCTIONS = (LINEAR, LINEAR_EXACT, SIGMOID)

SHAPES = {"IDENTITY": False, "INVERSE": True}
"""Presentation LUT Shape (2050,0020) of images, and whether it inverts; printers know other words."""

BRIGHT_PADDING = 0.1
"""Gray beside the padding's values from which on a blend of padding and air shows as a rim."""


def identity_table(bits: int) -> Table:
    """(65536,) gray in 0..1 of images that carry no photometry: black is 0, white the largest value."""
    values = np.arange(NUM_STORED_VALUES, dtype=np.float64)
    return np.clip(values / ((1 << bits) - 1), 0.0, 1.0).astype(np.float32)


def presentation_table(dataset: Dataset) -> tuple[Table, str]:
    """(65536,) presented gray in 0..1 for every stored value, and the name of the VOI that was chosen.

    Raises:
        DecodeError: a LUT cannot be read, no window is usable, or the rescaled range is not finite.
    """
    stored = np.arange(1 << int(dataset.BitsStored), dtype=np.float64)
    with np.errstate(over="ignore", under="ignore"):  # extreme windows saturate
        rescaled, bounds = _rescale(stored, dataset)
        gray, voi = _voi(rescaled, bounds, dataset)
    if _is_inverted(dataset):
        gray = 1.0 - gray
    low, high = _padding(dataset)
    gray[(stored >= low) & (stored <= high)] = 0.0
    table = np.full(NUM_STORED_VALUES, gray[-1], dtype=np.float32)
    table[: stored.size] = gray
    return table, voi


def needs_full_resolution(dataset: Dataset, table: Table) -> bool:
    """Whether an image must not be decoded at a lower resolution, whose pixels are means of stored values.

    Padding that would be presented bright, were it not padding, and the dark air beside it have a mean that
    is neither: it would show as a bright rim around the image.
    """
    low, high = _padding(dataset)
    beside = [value for value in (low - 1, high + 1) if low <= high and 0 <= value < 1 << dataset.BitsStored]
    return any(table[value] > BRIGHT_PADDING for value in beside)


def _rescale(stored: Values, dataset: Dataset) -> tuple[Values, tuple[float, float]]:
    """The Modality LUT where there is one, else Rescale Slope and Intercept (PS3.3 C.11.1); its bounds."""
    sequence = items(dataset, "ModalityLUTSequence")
    if sequence:
        lut = _lut(dataset, sequence[0], signed=False)
        return lut.of(stored), (0.0, float(lut.largest))
    slope, intercept = (_number(dataset, k, d) for k, d in (("RescaleSlope", 1.0), ("RescaleIntercept", 0.0)))
    rescaled = stored * slope + intercept
    low, high = float(rescaled.min()), float(rescaled.max())
    if not (np.isfinite([low, high]).all() and low < high):
        raise DecodeError(
            Reason.RESCALE_INVALID,
            "Rescale Slope (0028,1053) and Intercept (0028,1052) map the stored values to "
            f"{low:g}..{high:g}; expected a finite range",
        )
    return rescaled, (low, high)


def _voi(values: Values, bounds: tuple[float, float], dataset: Dataset) -> tuple[Values, str]:
    sequence = items(dataset, "VOILUTSequence")
    if sequence:
        lut = _lut(dataset, sequence[0], signed=bounds[0] < 0)
        return lut.of(values) / lut.largest, "VOI LUT 1"
    windows = list(zip(floats(dataset, "WindowCenter"), floats(dataset, "WindowWidth"), strict=False))
    if not windows:
        low, high = bounds
        return np.clip((values - low) / (high - low), 0.0, 1.0), "full range"
    function = _function(dataset)
    for number, (center, width) in enumerate(windows, start=1):
        if _is_usable(center, width, function):
            return _window(values, center, width, function), f"window {number} {function}"
    raise DecodeError(
        Reason.WINDOW_INVALID,
        f"none of {len(windows)} windows is usable: Window Width (0028,1051) must be above 0, and at least 1 "
        "where VOI LUT Function (0028,1056) is LINEAR",
    )


def _function(dataset: Dataset) -> str:
    function = text(dataset, "VOILUTFunction").upper() or LINEAR
    if function not in FUNCTIONS:
        raise DecodeError(
            Reason.WINDOW_INVALID,
            f"VOI LUT Function (0028,1056) is a word that is not defined; expected {', '.join(FUNCTIONS)}",
        )
    return function


def _is_usable(center: float, width: float, function: str) -> bool:
    """C.11.2.1.2.1: a LINEAR window is at least 1 wide; C.11.2.1.3: the others are wider than 0."""
    return bool(np.isfinite([center, width]).all()) and (width >= 1 if function == LINEAR else width > 0)


def _window(values: Values, center: float, width: float, function: str) -> Values:
    """LINEAR, LINEAR_EXACT and SIGMOID of PS3.3 C.11.2.1.2 and C.11.2.1.3, with output range 0..1."""
    if function == SIGMOID:
        return 1.0 / (1.0 + np.exp(np.clip(-4.0 * ((values - center) / width), -700.0, 700.0)))
    if function == LINEAR_EXACT:
        return np.clip((values - center) / width + 0.5, 0.0, 1.0)
    if width == 1:  # a step (C.11.2.1.2.1, note 4)
        return (values > center - 0.5).astype(np.float64)
    return np.clip((values - (center - 0.5)) / (width - 1.0) + 0.5, 0.0, 1.0)


def _lut(dataset: Dataset, item: Dataset, *, signed: bool) -> Lut:
    return read_lut(item, big_endian=_is_big_endian(dataset), signed=signed)


def _is_big_endian(dataset: Dataset) -> bool:
    """How the file is written: LUT Data of VR OW come from pydicom as they stand in it."""
    meta = getattr(dataset, "file_meta", None)
    syntax = meta.get("TransferSyntaxUID") if meta is not None else None
    if syntax:
        return str(syntax) == "1.2.840.10008.1.2.2"
    return dataset.original_encoding[1] is False


def _is_inverted(dataset: Dataset) -> bool:
    shape = text(dataset, "PresentationLUTShape").upper()
    is_monochrome1 = text(dataset, "PhotometricInterpretation") == "MONOCHROME1"
    return SHAPES.get(shape, is_monochrome1)


def _padding(dataset: Dataset) -> tuple[int, int]:
    """Pixel Padding Value, or the range from it to Pixel Padding Range Limit (PS3.3 C.7.5.1.1.2).

    First and last stored value; the last is the smaller one where there is no padding.
    """
    if not floats(dataset, "PixelPaddingValue"):
        return 0, -1
    value = _number(dataset, "PixelPaddingValue", 0.0)
    limit = _number(dataset, "PixelPaddingRangeLimit", value)
    # Written as SS, values above 32,767 read as negative; the pixels are unsigned.
    low, high = sorted(int(v) % NUM_STORED_VALUES for v in (value, limit))
    return low, high


def _number(dataset: Dataset, keyword: str, default: float) -> float:
    values = floats(dataset, keyword) or [default]
    if len(values) > 1 or not np.isfinite(values[0]):
        raise DecodeError(Reason.HEADER_MALFORMED, f"{named(keyword)} is not one finite number")
    return values[0]
