"""What a stored value means: modality rescale, padding, VOI and polarity as one table.

Policy, in order: the first VOI LUT of the sequence; else the first usable window (VOI LUT Function LINEAR,
LINEAR_EXACT or SIGMOID); else the full range that Bits Stored allows. Polarity is applied once, about the
range's bounds: Presentation LUT Shape if present, else Photometric Interpretation MONOCHROME1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.multival import MultiValue

from mammosweep.errors import DecodeError, Reason

__all__ = ["identity_table", "presentation_table"]

Table = NDArray[np.float32]
NUM_STORED_VALUES = 1 << 16


def identity_table(bits: int) -> Table:
    """(65536,) gray in 0..1 of images that carry no photometry: black is 0, white the largest value."""
    values = np.arange(NUM_STORED_VALUES, dtype=np.float64)
    return np.clip(values / ((1 << bits) - 1), 0.0, 1.0).astype(np.float32)


def presentation_table(dataset: Dataset) -> tuple[Table, str]:
    """(65536,) presented gray in 0..1 for every stored value, and the name of the VOI that was chosen.

    Raises:
        DecodeError: a LUT cannot be read, or the rescaled range is not finite.
    """
    bits = int(dataset.BitsStored)
    stored = np.arange(1 << bits, dtype=np.float64)
    rescaled = _rescale(stored, dataset)
    gray, voi = _voi(rescaled, dataset)
    if _is_inverted(dataset):
        gray = 1.0 - gray
    gray[_padding(stored, dataset)] = 0.0
    table = np.full(NUM_STORED_VALUES, gray[-1], dtype=np.float32)
    table[: stored.size] = gray
    return table, voi


def _rescale(stored: NDArray[np.float64], dataset: Dataset) -> NDArray[np.float64]:
    """The Modality LUT where there is one, else Rescale Slope and Intercept (PS3.3 C.11.1)."""
    sequence = dataset.get("ModalityLUTSequence")
    if sequence:
        return _lut(stored, sequence[0])[0]
    slope = float(dataset.get("RescaleSlope", 1) or 1)
    intercept = float(dataset.get("RescaleIntercept", 0) or 0)
    rescaled = stored * slope + intercept
    if not np.isfinite(rescaled).all():
        raise DecodeError(
            Reason.RESCALE_INVALID, "Rescale Slope and Intercept give values that are not finite"
        )
    return rescaled


def _voi(values: NDArray[np.float64], dataset: Dataset) -> tuple[NDArray[np.float64], str]:
    sequence = dataset.get("VOILUTSequence")
    if sequence:
        mapped, largest = _lut(values, sequence[0])
        return mapped / largest, "VOI LUT 1"
    for index, (center, width) in enumerate(zip(*_windows(dataset), strict=False), start=1):
        function = str(dataset.get("VOILUTFunction", "LINEAR") or "LINEAR")
        if width > 0 and np.isfinite([center, width]).all():
            return _window(values, center, width, function), f"window {index} {function}"
    low, high = sorted((values[0], values[-1]))
    return (values - low) / (high - low), "full range"


def _windows(dataset: Dataset) -> tuple[list[float], list[float]]:
    return _floats(dataset.get("WindowCenter")), _floats(dataset.get("WindowWidth"))


def _floats(value: object) -> list[float]:
    if value is None or value == "":
        return []
    return [float(v) for v in (value if isinstance(value, MultiValue | list) else [value])]  # type: ignore[arg-type]


def _window(values: NDArray[np.float64], center: float, width: float, function: str) -> NDArray[np.float64]:
    """LINEAR, LINEAR_EXACT and SIGMOID of PS3.3 C.11.2.1.2 and C.11.2.1.3, with output range 0..1."""
    if function == "SIGMOID":
        return 1.0 / (1.0 + np.exp(-4.0 * (values - center) / width))
    if function == "LINEAR_EXACT":
        return np.clip((values - center) / width + 0.5, 0.0, 1.0)
    # A LINEAR window of width 1 is a step at center - 0.5 (C.11.2.1.2.1).
    if width <= 1:
        return (values > center - 0.5).astype(np.float64)
    return np.clip((values - (center - 0.5)) / (width - 1.0) + 0.5, 0.0, 1.0)


def _lut(values: NDArray[np.float64], item: Dataset) -> tuple[NDArray[np.float64], int]:
    """What a Modality or VOI LUT maps values to, and the largest value that it can give.

    Its descriptor is number of entries, first value mapped, bits per entry (PS3.3 C.11.1.1.1, C.11.2.1.1).
    """
    try:
        entries, first, bits = (int(v) for v in item.LUTDescriptor)
        raw = item.LUTData
        data = np.frombuffer(raw, "<u2") if isinstance(raw, bytes) else np.asarray(raw)
    except (AttributeError, TypeError, ValueError):
        raise DecodeError(Reason.LUT_INVALID, "a LUT's descriptor or data cannot be read") from None
    entries = entries or NUM_STORED_VALUES  # 0 stands for 65,536
    if data.size < entries or not 8 <= bits <= 16:
        raise DecodeError(
            Reason.LUT_INVALID,
            f"LUT Descriptor (0028,3002) says {entries} entries of {bits} bits; LUT Data holds {data.size}",
        )
    position = np.clip(values - first, 0, entries - 1).astype(np.int64)
    return data[position].astype(np.float64), (1 << bits) - 1


def _is_inverted(dataset: Dataset) -> bool:
    shape = str(dataset.get("PresentationLUTShape", "") or "")
    if shape:
        return shape == "INVERSE"
    return str(dataset.get("PhotometricInterpretation", "")) == "MONOCHROME1"


def _padding(stored: NDArray[np.float64], dataset: Dataset) -> NDArray[np.bool_]:
    """Pixel Padding Value, or the range from it to Pixel Padding Range Limit (PS3.3 C.7.5.1.1.2)."""
    value = dataset.get("PixelPaddingValue")
    if value is None:
        return np.zeros(stored.shape, dtype=np.bool_)
    limit = dataset.get("PixelPaddingRangeLimit", value)
    low, high = sorted((int(value), int(limit)))
    return (stored >= low) & (stored <= high)
