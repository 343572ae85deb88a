"""Everything that decides what a fitted bundle is: one TOML file, a table for each part."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from mammosweep.bundle.manifest import CharacterSpec, DetectorSpec
from mammosweep.errors import ConfigError
from mammosweep.exam.score import Aggregation
from mammosweep.fit.detector import DetectorFit
from mammosweep.fit.lesion import CharacterFit, PlaceFit
from mammosweep.records import LESION_TYPES, LesionType
from mammosweep.toml import from_table, read_toml

__all__ = [
    "BundleSettings",
    "DataSettings",
    "ExamSettings",
    "FitSettings",
    "SplitSettings",
    "read_settings",
    "recipe_path",
]

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleSettings:
    """What the bundle says of itself."""

    name: str
    version: str
    note: str  # shown on every page: what the model is and is not
    fitted_on: str
    data: str = ""  # the model card's paragraph on the images: whence, licence, attribution
    limits: str = ""  # the model card's paragraph on what it does not know
    lesion_types: tuple[LesionType, ...] = LESION_TYPES
    grid_mm: float
    allow_lossy_jpeg: bool = False
    allow_for_processing: bool = False
    measure_calcifications: bool = False
    keep_views: bool = True  # two validation exams go along; False where images may not be passed on


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSettings:
    """What the table and the headers leave open."""

    spacing_mm: str = ""  # of images whose header does not say it, as a manifest has it: "0.29 x 0.17"


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitSettings:
    """How patients are told apart. A patient goes by the smallest exam id of his exams."""

    validation: float = 0.2  # share that is never learned from; the figures are made on it
    validation_patients: str = ""  # or a file that lists them, one a line, beside the settings
    judge: float = (
        0.3  # share of the others that the detector does not see: what judges findings learns there
    )
    folds: int = (
        3  # what judges findings is judged, for thresholds and calibration, by models without their patient
    )
    cross_fit: bool = False  # judge everybody, by detectors fitted without them: where patients are few
    salt: str = ""  # another one splits otherwise

    def __post_init__(self) -> None:
        for name in ("validation", "judge"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"split.{name} is {getattr(self, name)}; it must lie in [0, 1)")
        if self.folds < 2:
            raise ConfigError(f"split.folds is {self.folds}; it must be 2 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamSettings:
    """How lesions become an exam's score."""

    aggregation: Aggregation = Aggregation.MAX
    rescore_weight: float = 0.0  # of what the rest of the exam says of a finding, see exam/rescore.py

    def __post_init__(self) -> None:
        if self.rescore_weight < 0:
            raise ConfigError(f"exam.rescore_weight is {self.rescore_weight}; it must be 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSettings:
    """All of it."""

    bundle: BundleSettings
    network: DetectorSpec
    detector: DetectorFit
    cross_fit_steps: int = 0  # of the detectors that are fitted without a fold; 0: as many as the bundle's
    start: str = ""  # what the detector begins from, see `fit.pretrained`
    trunk_start: str = ""  # what the character's crop trunk begins from, likewise
    data: DataSettings = field(default_factory=DataSettings)
    split: SplitSettings = field(default_factory=SplitSettings)
    place: PlaceFit = field(default_factory=PlaceFit)
    character: CharacterSpec = field(default_factory=CharacterSpec)
    character_fit: CharacterFit = field(default_factory=CharacterFit)
    exam: ExamSettings = field(default_factory=ExamSettings)
    seed: int = 0

    def digest(self, *parts: str) -> str:
        """SHA-256 over some of it and what all stages depend on: a checkpoint belongs to one recipe.

        Args:
            parts: names of the fields that a stage depends on; what the bundle says of itself is none.
        """
        table = dataclasses.asdict(self)
        told = {name: table[name] for name in (*parts, "data", "split", "seed")}
        told |= {name: table["bundle"][name] for name in ("grid_mm", "lesion_types")}
        return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()


def read_settings(path: Path) -> FitSettings:
    """Read a fit's settings.

    Raises:
        ConfigError: the file cannot be read, or a key or value in it is wrong.
    """
    return from_table(FitSettings, "", read_toml(path))


def recipe_path(name: str) -> Path:
    """A settings file: a path as given, or a recipe that is shipped.

    Raises:
        ConfigError: neither is there.
    """
    shipped = {file.stem: file for file in sorted(RECIPES.glob("*.toml"))}
    if name in shipped:
        return shipped[name]
    if not Path(name).is_file():
        raise ConfigError(f"settings {name} are not there; give a TOML file, or one of {', '.join(shipped)}")
    return Path(name)
