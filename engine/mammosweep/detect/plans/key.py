"""What a plan was made from and for: all of it goes into its digest, so that a stale one is never found."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from mammosweep.bundle import Bundle
from mammosweep.bundle.load import DETECTOR, VIEWS
from mammosweep.bundle.manifest import DetectorSpec
from mammosweep.config import FlipMode, PlanChoice, Precision
from mammosweep.errors import ConfigError
from mammosweep.geometry import Size

__all__ = ["PlanKey", "digest_of", "plan_key"]

SHOWN_DIGITS = 16
ABSENT = "absent"

GRAPH_LIBRARIES = ("torch", "torchvision", "timm")
"""They decide what the networks' graphs are."""

COMPILERS = {
    PlanChoice.TENSORRT: ("torch-tensorrt", "tensorrt-cu13"),
    PlanChoice.OPENVINO: ("openvino", "nncf"),
}

SOURCES = (
    *("fusion.py", "flips.py", "network.py", "proposals.py", "detector.py"),
    *(f"plans/{name}.py" for name in ("programs", "build", "fixed_batch", "agreement")),
)
"""Of detect/: what the networks' graphs are written in, and what a plan is built and judged by. A plan of
another text, even of another comment, is another plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanKey:
    """Everything that decides what a plan is, and that it agrees with the reference."""

    kind: PlanChoice
    precision: Precision
    trunk: str
    weights: str  # SHA-256 of the bundle's detector weights
    views: str  # SHA-256 of its validation views, on which int8 is calibrated and every plan judged; or empty
    graph: str  # SHA-256 of the detector's spec and of `SOURCES`
    bucket: Size | None  # canvas; None: any
    batch: int  # exams in a call, or views where the bundle has no fusion; 0: any
    flips: FlipMode | None  # looks in a call; None: one of any
    libraries: dict[str, str]  # name -> version
    machine: dict[str, str]  # the GPU, or what the CPU computes in

    def as_json(self) -> dict[str, Any]:
        """Its fields as JSON has them."""
        return dataclasses.asdict(self) | {"bucket": None if self.bucket is None else _name_of(self.bucket)}

    @property
    def digest(self) -> str:
        """SHA-256 over all of it."""
        return digest_of(self.as_json())

    @property
    def name(self) -> str:
        """The name of the plan's folder: what can be read, and the digest's first 64 bits."""
        canvas = "any" if self.bucket is None else _name_of(self.bucket)
        return f"{self.kind}-{self.precision}-{self.trunk}-{canvas}-{self.digest[:SHOWN_DIGITS]}"


def digest_of(made_for: dict[str, Any]) -> str:
    """SHA-256 over a key's JSON, its names sorted."""
    return hashlib.sha256(json.dumps(made_for, sort_keys=True).encode()).hexdigest()


def _name_of(bucket: Size) -> str:
    return f"{bucket.rows}x{bucket.columns}"


def plan_key(
    bundle: Bundle,
    kind: PlanChoice,
    precision: Precision,
    *,
    bucket: Size | None = None,
    batch: int = 0,
    flips: FlipMode | None = None,
) -> PlanKey:
    """The key of a bundle's plan on this machine with what is installed on it.

    Raises:
        ConfigError: plans of that kind are not compiled.
    """
    if kind not in COMPILERS:
        raise ConfigError(
            f"a plan of the kind {str(kind)!r} is not compiled; expected {' or '.join(COMPILERS)}"
        )
    manifest = bundle.manifest
    return PlanKey(
        kind=kind,
        precision=precision,
        trunk=manifest.detector.trunk,
        weights=manifest.files[DETECTOR],
        views=manifest.files.get(VIEWS, ""),
        graph=_graph_digest(manifest.detector, kind),
        bucket=bucket,
        batch=batch,
        flips=flips,
        libraries=_libraries(kind),
        machine=_gpu() if kind is PlanChoice.TENSORRT else _cpu(),
    )


def _graph_digest(spec: DetectorSpec, kind: PlanChoice) -> str:
    digest = hashlib.sha256(json.dumps(dataclasses.asdict(spec), sort_keys=True).encode())
    detect = Path(__file__).parent.parent
    for name in (*SOURCES, f"plans/{kind}.py"):
        digest.update((detect / name).read_bytes())
    return digest.hexdigest()


def _libraries(kind: PlanChoice) -> dict[str, str]:
    found = {}
    for name in (*GRAPH_LIBRARIES, *COMPILERS[kind]):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = ABSENT
    return found


def _gpu() -> dict[str, str]:
    """Name, compute capability and CUDA version; "absent" where there is none, for which no plan exists."""
    if not torch.cuda.is_available():
        return {"gpu": ABSENT}
    major, minor = torch.cuda.get_device_capability()
    return {
        "gpu": torch.cuda.get_device_name(),
        "capability": f"{major}.{minor}",
        "cuda": str(torch.version.cuda),
    }


def _cpu() -> dict[str, str]:
    """What it computes in: the same plan gives other numbers where bf16 is emulated, or int8 saturates."""
    has = {
        "vnni": torch.cpu._is_vnni_supported(),
        "avx512_bf16": torch.cpu._is_avx512_bf16_supported(),
        "amx": torch.cpu._is_amx_tile_supported(),
    }
    features = [torch.backends.cpu.get_cpu_capability(), *(name for name, there in has.items() if there)]
    return {"cpu": platform.machine(), "features": " ".join(features)}
