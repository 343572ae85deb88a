"""Opening a bundle: nothing is loaded whose digest is not the manifest's."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from mammosweep.bundle.manifest import MANIFEST_NAME, BundleManifest, read_manifest
from mammosweep.errors import BundleError

__all__ = [
    "AFTER_DETECTION",
    "BREAST",
    "BUNDLE_VARIABLE",
    "CALCIFICATION",
    "CARD",
    "DECISION",
    "DETECTOR",
    "LESION",
    "MATCHER",
    "REQUIRED",
    "RESCORE",
    "VIEWS",
    "Bundle",
    "check_unchanged",
    "file_digest",
    "open_bundle",
    "reference_bundle_path",
]

DETECTOR = "detector.safetensors"
LESION = "lesion.safetensors"
MATCHER = "matcher.ubj"
DECISION = "decision.ubj"
BREAST = "breast.ubj"  # where the aggregation is learned
RESCORE = "rescore.ubj"  # where findings' scores are moved by the rest of the exam
CALCIFICATION = "calcification_trees_both.ubj"  # where calcifications are measured
CARD = "MODEL_CARD.md"
VIEWS = "views.safetensors"  # optional, see views.py

REQUIRED = (DETECTOR, CARD)

BUNDLE_VARIABLE = "MAMMOSWEEP_BUNDLE"
"""Names a site's own bundle in the environment; a command's --bundle comes first."""

AFTER_DETECTION = (LESION, MATCHER, DECISION)
"""What judges findings. A bundle has all of it or, being a detector only, none: then findings have no
character, geometry alone tells their place, each is a lesion of its own, and a lesion's malignancy is its
detector score."""


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

    @property
    def is_detector_only(self) -> bool:
        """Whether nothing in it judges findings."""
        return not set(AFTER_DETECTION) & set(self.manifest.files)

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
    _require_files(folder, manifest)
    for name, expected in manifest.files.items():
        found = file_digest(folder / name)
        if found != expected:
            raise BundleError(
                f"bundle {folder}: {name} has SHA-256 {found[:12]}..., {MANIFEST_NAME} says "
                f"{expected[:12]}...; the file was changed: restore the bundle"
            )
    return Bundle(folder, manifest, file_digest(folder / MANIFEST_NAME))


def check_unchanged(bundle: Bundle) -> None:
    """Verify again, once everything was loaded: what was verified first is what was loaded.

    Raises:
        BundleError: somebody wrote to the folder in between.
    """
    if open_bundle(bundle.folder).digest != bundle.digest:
        raise BundleError(f"bundle {bundle.folder} was changed while it was loaded; run the command again")


def _require_files(folder: Path, manifest: BundleManifest) -> None:
    for name in REQUIRED:
        if name not in manifest.files:
            raise BundleError(f"bundle {folder}: {MANIFEST_NAME} lists no {name}")
    missing = [name for name in AFTER_DETECTION if name not in manifest.files]
    if 0 < len(missing) < len(AFTER_DETECTION):
        raise BundleError(
            f"bundle {folder}: {MANIFEST_NAME} lists no {' and no '.join(missing)}; a bundle has all of "
            f"{', '.join(AFTER_DETECTION)}, or none where it is a detector only: restore the bundle"
        )


def reference_bundle_path() -> Path:
    """Where the bundle lies that is taken when none is named: the shipped one, or a site's own."""
    own = os.environ.get(BUNDLE_VARIABLE)
    return Path(own) if own else Path(str(resources.files("mammosweep.bundle") / "reference"))


def file_digest(path: Path) -> str:
    """SHA-256 of a file in hexadecimal; BundleError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BundleError(f"bundle file {path} cannot be read: {error.strerror}") from None
