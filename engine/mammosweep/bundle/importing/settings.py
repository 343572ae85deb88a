"""What whoever imports a checkpoint says of it: its file holds weights, not what they were fitted for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from mammosweep.bundle.manifest import STRIDE
from mammosweep.errors import ConfigError
from mammosweep.geometry import Size
from mammosweep.records import LESION_TYPES, LesionType

__all__ = ["BATCH_NORM_EPS", "MAX_BUCKETS", "ImportSettings", "Layout", "default_buckets", "lesion_types"]

BATCH_NORM_EPS = 1e-5
"""What PyTorch's batch normalisation, the trunk's, adds to the variance."""

LEVELS = 5  # of the pyramid

MAX_BUCKETS = 12
"""Each is a plan to compile, and keep, for every GPU."""

BREASTS_MM = (
    *((140, 80), (150, 100), (180, 80), (180, 115)),
    *((205, 80), (210, 100), (220, 115), (240, 100)),
    *((240, 140), (270, 130), (290, 170), (300, 240)),
)
"""Rectangles around breasts, rows by columns: close together where the demo's films and the phantoms lie (CC
125 to 190 mm by 60 to 110, MLO 190 to 220 by 70 to 115), wider apart up to a large detector's whole area."""


class Layout(StrEnum):
    """Whose names a checkpoint has."""

    TORCHVISION = "torchvision"
    DETECTRON2 = "detectron2"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportSettings:
    """How a checkpoint is to be read and run; the defaults are torchvision's own."""

    grid_mm: float
    types: tuple[LesionType, ...] = LESION_TYPES  # of the checkpoint's classes, in its order
    image_mean: tuple[float, ...] = ()  # none: the layout's own; one number stands for all channels
    image_std: tuple[float, ...] = ()
    batch_norm_eps: float = BATCH_NORM_EPS
    anchor_sizes: tuple[float, ...] = (32.0, 64.0, 128.0, 256.0, 512.0)  # network pixels, one for each level
    aspect_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    proposals_per_level: int = 1000
    proposals: int = 1000
    score_floor: float = 0.05
    merge_iou: float = 0.5
    candidates: int = 100
    buckets: tuple[Size, ...] = ()  # none: `default_buckets`
    fusion: bool = False  # four views' feature combination network is added, at its start
    stride_in_3x3: bool = False  # Detectron2: vouched for by whoever trained it
    name: str = ""  # none: the file's
    version: str = "1"
    note: str = ""

    def __post_init__(self) -> None:
        for problem, is_wrong in (self._of_the_checkpoint() | self._of_the_run()).items():
            if is_wrong:
                raise ConfigError(f"{problem}; correct the option")

    def _of_the_checkpoint(self) -> dict[str, bool]:
        sizes, types = self.anchor_sizes, self.types
        return {
            f"--types is {','.join(types)!r}; it names each of the checkpoint's types once": not types
            or len(set(types)) < len(types),
            "--image-mean and --image-std need as many numbers, std above 0": len(self.image_mean)
            != len(self.image_std)
            or min(self.image_std, default=1) <= 0,
            "--batch-norm-eps must be 0 or more": self.batch_norm_eps < 0,
            f"--anchor-sizes has {len(sizes)} numbers; it needs {LEVELS} above 0": len(sizes) != LEVELS
            or min(sizes) <= 0,
            "--aspect-ratios needs numbers above 0": min(self.aspect_ratios, default=0) <= 0,
        }

    def _of_the_run(self) -> dict[str, bool]:
        sides = [side for bucket in self.buckets for side in (bucket.rows, bucket.columns)]
        counts = (self.candidates, self.proposals, self.proposals_per_level)
        return {
            f"--grid-mm is {self.grid_mm}; it must lie in 0.05..1": not 0.05 <= self.grid_mm <= 1,
            f"--score-floor is {self.score_floor}; it must lie in [0, 1)": not 0 <= self.score_floor < 1,
            f"--merge-iou is {self.merge_iou}; it must lie in (0, 1]": not 0 < self.merge_iou <= 1,
            "--candidates, --proposals and --proposals-per-level must be 1 or more": min(counts) < 1,
            f"--buckets names {len(self.buckets)}; {MAX_BUCKETS} are the most": len(self.buckets)
            > MAX_BUCKETS,
            f"--buckets has sides that are no multiples of {STRIDE}": any(s < 1 or s % STRIDE for s in sides),
        }


def lesion_types(text: str) -> tuple[LesionType, ...]:
    """The types of a list with commas; ConfigError where one of them is none."""
    try:
        return tuple(LesionType(word) for word in text.split(","))
    except ValueError as error:
        raise ConfigError(f"--types: {error}; expected of {', '.join(LESION_TYPES)}") from None


def default_buckets(grid_mm: float) -> tuple[Size, ...]:
    """Canvases for breasts of up to 300 x 240 mm, smallest first."""
    sizes = {Size(*(math.ceil(mm / grid_mm / STRIDE) * STRIDE for mm in breast)) for breast in BREASTS_MM}
    return tuple(sorted(sizes, key=lambda size: (size.area, size.rows)))
