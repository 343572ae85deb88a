"""Making a bundle's folder: it appears under its name when all of it is there, and lists what it holds."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from mammosweep.bundle.load import file_digest
from mammosweep.bundle.manifest import BundleManifest, write_manifest

__all__ = ["new_bundle", "seal"]


@contextmanager
def new_bundle(out: Path) -> Iterator[Path]:
    """A folder beside ``out`` to write a bundle into; it is renamed to ``out`` at the end, or removed.

    Raises:
        OSError: the folder cannot be made, or ``out`` exists and is not empty.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f"{out.name}.", dir=out.parent))
    try:
        folder = beside / out.name
        folder.mkdir()
        yield folder
        folder.rename(out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def seal(folder: Path, manifest: BundleManifest) -> None:
    """List every file with its digest; whoever may read the folder may read them."""
    files = sorted(folder.iterdir())
    for file in files:
        file.chmod(folder.stat().st_mode & 0o666)  # safetensors writes for the owner alone
    write_manifest(folder, replace(manifest, files={file.name: file_digest(file) for file in files}))
