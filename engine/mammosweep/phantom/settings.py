"""What a phantom is made with. Millimetres are in the plane of the detector."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mammosweep.errors import ConfigError

__all__ = ["PhantomConfig"]

MIN_DETECTOR_MM = (230.0, 150.0)
"""The largest breast (190 mm high, 110 mm deep), its pectoral muscle and its label still fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomConfig:
    """How exams are drawn and stored."""

    spacing_mm: float = 0.1
    bits_stored: int = 12
    detector_mm: tuple[float, float] = (240.0, 180.0)  # height, width
    lesion_rate: float = 0.65  # share of the exams that hold one to three lesions
    border_rate: float = 0.2  # share of the views with bright strips along edges, as on scanned films
    monochrome1: bool = False  # store inverted: MONOCHROME1 with Presentation LUT Shape INVERSE
    patient_prefix: str = "PHANTOM"

    def __post_init__(self) -> None:
        _require(
            0.04 <= self.spacing_mm <= 0.4,
            f"phantom spacing_mm is {self.spacing_mm}; it must lie in 0.04..0.4, as a mammogram's pixels do",
        )
        _require(
            10 <= self.bits_stored <= 14,
            f"phantom bits_stored is {self.bits_stored}; it must lie in 10..14",
        )
        _require(
            all(side >= least for side, least in zip(self.detector_mm, MIN_DETECTOR_MM, strict=True)),
            f"phantom detector_mm is {self.detector_mm}; height and width must be at least {MIN_DETECTOR_MM}",
        )
        for name, rate in (("lesion_rate", self.lesion_rate), ("border_rate", self.border_rate)):
            _require(0.0 <= rate <= 1.0, f"phantom {name} is {rate}; it must lie in [0, 1]")

    @property
    def size_px(self) -> tuple[int, int]:
        """Rows and columns."""
        height, width = self.detector_mm
        return math.floor(height / self.spacing_mm + 0.5), math.floor(width / self.spacing_mm + 0.5)

    @property
    def max_value(self) -> int:
        """The largest stored value."""
        return int(2**self.bits_stored - 1)


def _require(truth: bool, message: str) -> None:
    if not truth:
        raise ConfigError(message)
