"""Settings: frozen, nested by stage, checked when made; an unknown key stops the run."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from mammosweep.errors import ConfigError
from mammosweep.toml import from_table, read_toml

__all__ = [
    "ArchiveConfig",
    "DecoderChoice",
    "DetectConfig",
    "Device",
    "FlipMode",
    "PixelsConfig",
    "PlanChoice",
    "Precision",
    "RayConfig",
    "ReportConfig",
    "RunConfig",
    "SweepConfig",
    "load_config",
]


class Device(StrEnum):
    """Where the networks run."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class DecoderChoice(StrEnum):
    """Which library decodes a frame, where several can."""

    AUTO = "auto"  # the fastest that the machine has
    CPU = "cpu"  # never DALI
    DALI = "dali"  # DALI where it knows the transfer syntax, else as cpu


class FlipMode(StrEnum):
    """Which looks the detector takes at test time."""

    NONE = "none"  # the image alone
    H = "h"  # and its horizontal mirror
    HV = "hv"  # and its vertical mirror
    ALL = "all"  # and both at once


class Precision(StrEnum):
    """The number format of the detector."""

    AUTO = "auto"  # fp16 on CUDA; bf16 where the CPU computes in it; fp32 elsewhere
    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"
    INT8 = "int8"  # OpenVINO only: 8-bit convolutions, calibrated on the bundle's validation views


class PlanChoice(StrEnum):
    """Which library computes the detector's networks."""

    AUTO = "auto"  # TensorRT where plans were built for the GPU; OpenVINO on a CPU that has it; else PyTorch
    TORCH = "torch"
    OPENVINO = "openvino"
    TENSORRT = "tensorrt"


def _require(truth: bool, message: str) -> None:
    if not truth:
        raise ConfigError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveConfig:
    """How files are found and headers read."""

    workers: int = 0  # header-reading processes; 0: one per core
    max_file_mib: int = 2048  # larger files are rejected unread
    min_spacing_mm: float = 0.02  # finest plausible pixel in the object plane
    max_spacing_mm: float = 0.5  # coarsest: a screening detector's pixel is 0.05 to 0.1 mm
    max_rows_columns: int = 16384  # no mammography detector or film scanner comes near
    pseudonym_key_file: str = ""  # empty: mammosweep/pseudonym.key in the user's configuration folder
    read_deadline_s: float = 120.0  # seconds that storage may take for one header, twice

    def __post_init__(self) -> None:
        _require(self.workers >= 0, f"archive.workers is {self.workers}; it must be 0 (one per core) or more")
        for name in ("max_file_mib", "read_deadline_s"):
            _require(getattr(self, name) > 0, f"archive.{name} is {getattr(self, name)}; it must be positive")
        _require(
            0 < self.min_spacing_mm < self.max_spacing_mm,
            f"archive.min_spacing_mm is {self.min_spacing_mm} and max_spacing_mm {self.max_spacing_mm}; "
            "they must be positive and in that order",
        )
        _require(
            0 < self.max_rows_columns <= 65535,
            f"archive.max_rows_columns is {self.max_rows_columns}; it must lie in 1..65535",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelsConfig:
    """How pixels are read, decoded and normalised."""

    max_megapixels: float = 64.0  # frames larger than this are rejected before anything is allocated
    reduced_resolution: bool = True  # leave out wavelet levels finer than the network's grid
    decoder: DecoderChoice = DecoderChoice.AUTO
    isolate: bool = True  # decode in worker processes, which bad files may take down
    workers: int = 0  # such processes; 0: one per core
    memory_mib: int = 1024  # what a worker may allocate for one image, beyond what it starts with
    deadline_s: float = 60.0  # seconds a worker may take for one image
    read_deadline_s: float = 120.0  # seconds that storage may take for one file, twice

    def __post_init__(self) -> None:
        for name in ("max_megapixels", "memory_mib", "deadline_s", "read_deadline_s"):
            _require(getattr(self, name) > 0, f"pixels.{name} is {getattr(self, name)}; it must be positive")
        _require(self.workers >= 0, f"pixels.workers is {self.workers}; it must be 0 (one per core) or more")
        for name in ("reduced_resolution", "isolate"):
            _require(
                isinstance(getattr(self, name), bool),
                f"pixels.{name} is {getattr(self, name)!r}; it must be true or false",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectConfig:
    """How the detector is run."""

    device: Device = Device.AUTO
    precision: Precision = Precision.AUTO
    flips: FlipMode = FlipMode.ALL
    plan: PlanChoice = PlanChoice.AUTO
    batch_exams: int = 0  # exams of one bucket that go through the networks together; 0: as memory allows
    plan_store: str = ""  # where plans are kept; empty: mammosweep/plans in the user's cache folder
    threads: int = 0  # CPU threads of the networks; 0: what PyTorch chooses

    def __post_init__(self) -> None:
        _require(
            self.threads >= 0, f"detect.threads is {self.threads}; it must be 0 (PyTorch's choice) or more"
        )
        _require(
            self.batch_exams >= 0,
            f"detect.batch_exams is {self.batch_exams}; it must be 0 (as memory allows) or more",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportConfig:
    """What is written besides the tables."""

    pages: bool = True  # an HTML page with pictures for every exam; off for large archives

    def __post_init__(self) -> None:
        _require(isinstance(self.pages, bool), f"report.pages is {self.pages!r}; it must be true or false")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """How the sweep is cut up."""

    chunk_exams: int = 8  # exams processed and committed together

    def __post_init__(self) -> None:
        _require(self.chunk_exams >= 1, f"run.chunk_exams is {self.chunk_exams}; it must be 1 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class RayConfig:
    """Where and by how many actors a sweep is carried out; none of it changes a result."""

    address: str = ""  # empty: in this process; "local", "auto", or HOST:PORT of a cluster's head
    gpus: int = -1  # screening actors with a GPU each; 0: on CPUs; -1: as many as the cluster has GPUs
    workers: int = 0  # the most screening actors; 0: as many as fit
    min_workers: int = 1  # screening actors that stay even where there is nothing to do
    threads: int = 0  # CPU threads of a screening actor, for networks and decoding; 0: its share of the cores
    deciders: int = 0  # the most actors that match, score and commit; 0: one for every screening actor
    start_deadline_s: float = 600.0  # seconds in which the first actor must have found a place and loaded

    def __post_init__(self) -> None:
        _require(
            self.gpus >= -1,
            f"ray.gpus is {self.gpus}; it must be 0 (CPUs) or more, or -1 (all there are)",
        )
        for name in ("workers", "threads", "deciders"):
            _require(
                getattr(self, name) >= 0,
                f"ray.{name} is {getattr(self, name)}; it must be 0 (chosen) or more",
            )
        _require(self.min_workers >= 1, f"ray.min_workers is {self.min_workers}; it must be 1 or more")
        _require(
            self.start_deadline_s > 0,
            f"ray.start_deadline_s is {self.start_deadline_s}; it must be positive",
        )
        _require(
            not self.address.startswith("ray://"),
            f"ray.address is {self.address!r}; Ray's client is not used: start the sweep on a node of the "
            "cluster and give HOST:PORT of its head, or auto",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepConfig:
    """Every setting of a sweep, by stage."""

    archive: ArchiveConfig = field(default_factory=ArchiveConfig)
    pixels: PixelsConfig = field(default_factory=PixelsConfig)
    detect: DetectConfig = field(default_factory=DetectConfig)
    report: ReportConfig = field(default_factory=ReportConfig)
    run: RunConfig = field(default_factory=RunConfig)
    ray: RayConfig = field(default_factory=RayConfig)

    @property
    def digest(self) -> str:
        """SHA-256 over the settings that can change a result (not: how the work is cut up or shown)."""
        detect = dataclasses.asdict(self.detect)
        for how in ("threads", "batch_exams", "plan_store"):
            del detect[how]
        pixels = dataclasses.asdict(self.pixels)
        for how in ("isolate", "workers", "memory_mib", "deadline_s", "read_deadline_s"):
            del pixels[how]
        settings = {"pixels": pixels, "detect": detect}
        text = json.dumps(settings, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def load_config(path: Path) -> SweepConfig:
    """Read a TOML file with one table per stage.

    Raises:
        ConfigError: the file cannot be read or holds an unknown key, a wrong type or a value out of range.
    """
    tables = read_toml(path)
    known = [f.name for f in dataclasses.fields(SweepConfig)]
    for name, table in tables.items():
        if name not in known or not isinstance(table, dict):
            raise ConfigError(f"settings file {path}: unknown table [{name}]; known: {', '.join(known)}")
    return from_table(SweepConfig, "", tables)
