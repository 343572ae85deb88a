"""What the checks look at: one file's header with what the manifest and the settings say."""

from __future__ import annotations

from dataclasses import dataclass

from mammosweep.archive.attributes import Attributes
from mammosweep.archive.manifest import ManifestRow
from mammosweep.archive.parsed import ParsedFile
from mammosweep.config import ArchiveConfig

__all__ = ["HeaderCase"]


@dataclass(frozen=True, slots=True)
class HeaderCase:
    """One DICOM file under examination."""

    file: ParsedFile
    row: ManifestRow  # one that says nothing where the manifest has none
    config: ArchiveConfig

    @property
    def header(self) -> Attributes:
        """Its attributes."""
        return self.file.header

    @property
    def is_vouched_for(self) -> bool:
        """Whether the manifest says itself which view this is."""
        return self.row.laterality is not None and self.row.view is not None
