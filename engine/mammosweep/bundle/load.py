"""Opening a bundle: nothing is loaded whose digest is not the manifest's."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from mammosweep.bundle.manifest import MANIFEST_NAME, BundleManifest, read_manifest
from mammosweep.errors import BundleError

__all__ = [
    "CARD",
    "DECISION",
    "DETECTOR",
    "LESION",
    "MATCHER",
    "Bundle",
    "file_digest",
    "open_bundle",
    "reference_bundle_path",
]

DETECTOR = "detector.safetensors"
LESION = "lesion.safetensors"
MATCHER = "matcher.ubj"
DECISION = "decision.ubj"
CARD = "MODEL_CARD.md"
REQUIRED = (DETECTOR, LESION, MATCHER, DECISION, CARD)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle."""

    folder: Path
    manifest: BundleManifest
    digest: str  # SHA-256 of bundle.toml, which holds the digests of all other files

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.manifest.name} {self.manifest.version}"

    def file(self, name: str) -> Path:
        """The path of one of its files."""
        return self.folder / name


def open_bundle(folder: Path | None = None) -> Bundle:
    """Open a bundle, or the one that is shipped, and verify every file.

    Raises:
        BundleError: the folder is no bundle, a file is missing, or a file's SHA-256 is not the manifest's.
    """
    folder = folder or reference_bundle_path()
    manifest = read_manifest(folder)
    for name in REQUIRED:
        if name not in manifest.files:
            raise BundleError(f"bundle {folder}: {MANIFEST_NAME} lists no {name}")
    for name, expected in manifest.files.items():
        found = file_digest(folder / name)
        if found != expected:
            raise BundleError(
                f"bundle {folder}: {name} has SHA-256 {found[:12]}..., {MANIFEST_NAME} says "
                f"{expected[:12]}...; the file was changed: restore the bundle"
            )
    return Bundle(folder, manifest, file_digest(folder / MANIFEST_NAME))


def reference_bundle_path() -> Path:
    """Where the shipped bundle lies."""
    return Path(str(resources.files("mammosweep.bundle") / "reference"))


def file_digest(path: Path) -> str:
    """SHA-256 of a file in hexadecimal; BundleError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BundleError(f"bundle file {path} cannot be read: {error.strerror}") from None
