"""What `bundle.toml` says: how the networks are built, what they know, and the digests of all files."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import tomli_w

from mammosweep.errors import BundleError, ConfigError
from mammosweep.geometry import Size
from mammosweep.records import LesionType
from mammosweep.toml import from_table

__all__ = ["MANIFEST_NAME", "BundleManifest", "DetectorSpec", "FlipMerge", "read_manifest", "write_manifest"]

MANIFEST_NAME = "bundle.toml"
SCHEMA_VERSION = 1
STRIDE = 32  # of the trunk's coarsest level: bucket sides are multiples of it


STRIDES = (4, 8, 16, 32, 64)


class FlipMerge(StrEnum):
    """How candidates on which flipped looks agree become one."""

    SUPPRESSION = "suppression"  # the strongest box stands for all
    WEIGHTED = "weighted"  # their mean, weighted by score (weighted box fusion, Solovyev et al. 2021)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorSpec:
    """How the detector is built, and how its boxes are kept."""

    trunk: str  # a timm model with features at strides 4, 8, 16, 32
    channels: int  # of every pyramid level
    representation: int  # width D of the box head, and of a finding's embedding
    anchor_sizes: tuple[float, ...]  # network pixels, one for each level: 5 begin at stride 4, 4 at stride 8
    aspect_ratios: tuple[float, ...]
    buckets: tuple[Size, ...]  # canvases in network pixels, smallest first
    score_floor: float  # weaker candidates are dropped
    merge_iou: float  # boxes of one type that overlap more are one candidate
    candidates_per_view: int
    proposals_per_level: int = 250  # strongest anchors that each pyramid level passes on
    proposals: int = 60  # regions a view that the box head judges
    proposal_iou: float = 0.7  # proposals of one level that overlap more are one
    input_mean: tuple[float, ...] = (0.0,)  # one for each channel of the trunk's input: gray g enters
    input_std: tuple[float, ...] = (1.0,)  # channel c as (g - mean[c]) / std[c]
    fusion: bool = True  # views of an exam hear of each other; False: each view is on its own
    flip_merge: FlipMerge = FlipMerge.SUPPRESSION
    merge_types: bool = False  # candidates of different types that overlap are one, of the surest's type

    @property
    def strides(self) -> tuple[int, ...]:
        """Of the pyramid's levels, finest first; the last is pooled from the one before."""
        return STRIDES[-len(self.anchor_sizes) :]


@dataclass(frozen=True, slots=True, kw_only=True)
class CharacterSpec:
    """How the character network is built, and the words that it tells apart."""

    crop_mm: float = 0.0  # side of the crop that it sees beside the detector's embedding; 0: it sees none
    crop_px: int = 0
    trunk: str = ""  # a timm model for the crop; empty: a small one of our own
    shape: tuple[str, ...] = ("round", "oval", "irregular")
    margin: tuple[str, ...] = ("circumscribed", "indistinct", "spiculated")
    morphology: tuple[str, ...] = ("round", "fine_pleomorphic", "fine_linear")
    distribution: tuple[str, ...] = ("clustered", "segmental", "linear")
    second_look: bool = False  # it also tells lesions from what the detector took for one

    def __post_init__(self) -> None:
        if (self.crop_mm > 0) is not (self.crop_px > 0) or self.crop_mm < 0:
            raise ValueError(
                f"character.crop_mm is {self.crop_mm} and crop_px {self.crop_px}; expected both, or 0"
            )
        if self.detail_mm is not None and not 0.03 <= self.detail_mm <= 1.0:
            raise ValueError(
                f"character's crop of {self.crop_mm} mm in {self.crop_px} pixels has pixels of "
                f"{self.detail_mm:g} mm; expected 0.03..1"
            )

    @property
    def words(self) -> dict[str, tuple[str, ...]]:
        """Attribute -> its words, those that are told apart."""
        every = {name: getattr(self, name) for name in ("shape", "margin", "morphology", "distribution")}
        return {name: words for name, words in every.items() if words}

    @property
    def detail_mm(self) -> float | None:
        """Side of a crop's pixel; None where no crop is cut."""
        return self.crop_mm / self.crop_px if self.crop_px else None


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleManifest:
    """Everything a bundle says about itself."""

    name: str
    version: str
    fitted_on: str
    note: str  # shown on every page: what the model is and is not
    lesion_types: tuple[LesionType, ...]  # what it was fitted for; nothing else is ever reported
    grid_mm: float
    allow_for_processing: bool
    allow_lossy_jpeg: bool = False  # 8 bit, set aside otherwise: small calcifications may be lost in it
    detector: DetectorSpec
    character: CharacterSpec = field(default_factory=CharacterSpec)
    measure_calcifications: bool = False  # on the images' own pixels
    decision_calibration: tuple[float, float] = (1.0, 0.0)  # slope and intercept on the decision's log-odds
    rescore_weight: float = 0.0  # see exam/rescore.py
    match_threshold: float
    aggregation: str  # see exam/score.py
    category_thresholds: tuple[float, ...]  # ascending probabilities, see exam/score.py
    files: dict[str, str]  # name -> SHA-256

    @property
    def detail_mm(self) -> float | None:
        """The finest grid that is needed of a breast; 0: the image's own; None: only ``grid_mm``."""
        return 0.0 if self.measure_calcifications else self.character.detail_mm


def read_manifest(folder: Path) -> BundleManifest:
    """Read and check ``folder/bundle.toml``.

    Raises:
        BundleError: missing, unreadable, of another schema version, or with missing or wrong values.
    """
    path = folder / MANIFEST_NAME
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BundleError(f"bundle {folder}: {MANIFEST_NAME} cannot be read: {error}") from None
    if table.pop("schema_version", None) != SCHEMA_VERSION:
        raise BundleError(f"bundle {folder}: {MANIFEST_NAME} is not of schema version {SCHEMA_VERSION}")
    try:
        manifest = _manifest(table)
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise BundleError(f"bundle {folder}: {MANIFEST_NAME} has a missing or wrong value: {error}") from None
    return _checked(folder, manifest)


def _manifest(table: dict[str, Any]) -> BundleManifest:
    detector = dict(table.pop("detector"))
    detector["buckets"] = tuple(Size(*b) for b in detector["buckets"])
    for name in ("anchor_sizes", "aspect_ratios", "input_mean", "input_std"):
        if name in detector:
            detector[name] = tuple(float(v) for v in detector[name])
    if "flip_merge" in detector:
        detector["flip_merge"] = FlipMerge(detector["flip_merge"])
    if "character" in table:
        table["character"] = from_table(CharacterSpec, "character", table["character"])
    if "decision_calibration" in table:
        slope, intercept = table["decision_calibration"]
        table["decision_calibration"] = (float(slope), float(intercept))
    table["lesion_types"] = tuple(LesionType(t) for t in table["lesion_types"])
    table["category_thresholds"] = tuple(float(v) for v in table["category_thresholds"])
    return BundleManifest(detector=DetectorSpec(**detector), **table)


def _checked(folder: Path, manifest: BundleManifest) -> BundleManifest:
    spec = manifest.detector
    areas = [b.area for b in spec.buckets]
    problems = {
        "grid_mm must lie in 0.05..1": not 0.05 <= manifest.grid_mm <= 1,
        "allow_for_processing and allow_lossy_jpeg must be true or false": not (
            isinstance(manifest.allow_for_processing, bool) and isinstance(manifest.allow_lossy_jpeg, bool)
        ),
        "lesion_types must not be empty": not manifest.lesion_types,
        "detector.anchor_sizes needs one size for each of 5 levels, or of 4": len(spec.anchor_sizes)
        not in (4, 5),
        f"detector.buckets must be multiples of {STRIDE}, smallest first": not areas
        or areas != sorted(areas)
        or any(b.rows % STRIDE or b.columns % STRIDE for b in spec.buckets),
        "detector.input_mean and input_std need one number for each channel, std above 0": not spec.input_mean
        or len(spec.input_mean) != len(spec.input_std)
        or min(spec.input_std) <= 0,
        "detector.proposals_per_level, proposals and candidates_per_view must be 1 or more": min(
            spec.proposals_per_level, spec.proposals, spec.candidates_per_view
        )
        < 1,
        "detector.score_floor must lie in [0, 1)": not 0 <= spec.score_floor < 1,
        "match_threshold must lie in 0..1": not 0 <= manifest.match_threshold <= 1,
    }
    wrong = [text for text, is_wrong in problems.items() if is_wrong]
    if wrong:
        raise BundleError(f"bundle {folder}: {MANIFEST_NAME}: {'; '.join(wrong)}")
    return manifest


def write_manifest(folder: Path, manifest: BundleManifest) -> None:
    """Write ``folder/bundle.toml``."""
    table = {"schema_version": SCHEMA_VERSION} | dataclasses.asdict(manifest)
    table["lesion_types"] = [str(t) for t in manifest.lesion_types]
    table["detector"]["flip_merge"] = str(manifest.detector.flip_merge)
    table["detector"]["buckets"] = [[b.rows, b.columns] for b in manifest.detector.buckets]
    scalars = {k: v for k, v in table.items() if not isinstance(v, dict)}
    tables = {k: v for k, v in table.items() if isinstance(v, dict)}
    (folder / MANIFEST_NAME).write_text(tomli_w.dumps(scalars | tables), encoding="utf-8")
