"""The networks whose conversion is proven without a GPU, as bundles would have them."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from mammosweep.bundle.manifest import DetectorSpec
from mammosweep.config import FlipMode
from mammosweep.detect.plans.programs import DENSE, HEAD
from mammosweep.geometry import Size

__all__ = ["ALONE", "ANY", "COVERAGE", "SPECS", "Case", "all_cases", "read_coverage", "write_coverage"]

COVERAGE = Path(__file__).parent / "coverage.csv"
"""What the dry run gave, a row for each case; `make table` puts it into ARCHITECTURE.md."""

ANY = "any"  # the head knows neither flips nor canvases

RESNET50 = DetectorSpec(
    trunk="resnet50",
    channels=256,
    representation=1024,
    anchor_sizes=(32.0, 64.0, 128.0, 256.0, 512.0),
    aspect_ratios=(0.5, 1.0, 2.0),
    # From the smallest to the largest breast at 0.15 mm.
    buckets=(Size(960, 576), Size(1408, 704), Size(1600, 960), Size(2048, 1600)),
    score_floor=0.05,
    merge_iou=0.5,
    candidates_per_view=100,
    proposals_per_level=1000,
    proposals=1000,
    input_mean=(0.485, 0.456, 0.406),
    input_std=(0.229, 0.224, 0.225),
)

EFFICIENTNET_LITE0 = DetectorSpec(
    trunk="tf_efficientnet_lite0",
    channels=64,
    representation=192,
    anchor_sizes=(16.0, 32.0, 56.0, 88.0, 128.0),
    aspect_ratios=(0.5, 1.0, 2.0),
    buckets=(Size(448, 256), Size(512, 320), Size(640, 384), Size(768, 640)),  # at 0.4 mm
    score_floor=0.05,
    merge_iou=0.3,
    candidates_per_view=12,
)

ALONE = "resnet50 without fusion"

SPECS = {
    RESNET50.trunk: RESNET50,
    EFFICIENTNET_LITE0.trunk: EFFICIENTNET_LITE0,
    # As an imported checkpoint is: views keep no company. One case, for only the fusion is left out.
    ALONE: replace(RESNET50, fusion=False, buckets=RESNET50.buckets[-1:]),
}


@dataclass(frozen=True, slots=True)
class Case:
    """One plan: a part of one trunk's network; of the dense part, for one choice of looks and one canvas."""

    trunk: str  # a name in `SPECS`
    part: str
    flips: str = ANY
    bucket: str = ANY

    @property
    def size(self) -> Size:
        """The canvas of a dense case."""
        return Size(*(int(side) for side in self.bucket.split("x")))

    @property
    def is_dry_run(self) -> bool:
        """Whether the converters are asked too: canvases change the sizes in a graph, not its nodes."""
        return self.part == HEAD or self.size == SPECS[self.trunk].buckets[-1]

    def __str__(self) -> str:
        return f"{self.trunk}-{self.part}-{self.flips}-{self.bucket}"


def all_cases() -> list[Case]:
    """Both parts of every network, the dense one for every choice of looks on every canvas."""
    cases = []
    for trunk, spec in SPECS.items():
        sizes = [f"{bucket.rows}x{bucket.columns}" for bucket in spec.buckets]
        looks = [FlipMode.ALL] if trunk == ALONE else FlipMode
        cases += [Case(trunk, DENSE, flips, size) for flips, size in product(looks, sizes)]
        cases.append(Case(trunk, HEAD))
    return cases


def read_coverage() -> dict[Case, tuple[int, int]]:
    """Of each case: nodes of its graph, and nodes that are converted."""
    with COVERAGE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        Case(row["trunk"], row["part"], row["flips"], row["bucket"]): (
            int(row["nodes"]),
            int(row["converted"]),
        )
        for row in rows
    }


def write_coverage(found: dict[Case, tuple[int, int]]) -> None:
    """The table as `read_coverage` reads it."""
    with COVERAGE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["trunk", "part", "flips", "bucket", "nodes", "converted"])
        writer.writerows(
            [case.trunk, case.part, case.flips, case.bucket, *counts] for case, counts in found.items()
        )
