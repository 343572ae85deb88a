"""Where images come from: a folder or a file becomes image records and exams, from headers alone.

Reading order: `source` (which files) → `header` (one file, one record) → `catalog` (all of them, in
parallel) → `exams` (records become exams). Imports stay light: many processes read headers. So names are
imported when they are first used: a process that reads headers needs no catalog.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mammosweep.archive.catalog import Catalog, index, read_catalog, write_catalog
    from mammosweep.archive.names import locate

__all__ = ["Catalog", "index", "locate", "read_catalog", "write_catalog"]


def __getattr__(name: str) -> Any:  # PEP 562
    if name not in __all__:
        raise AttributeError(f"module 'mammosweep.archive' has no attribute {name!r}")
    return getattr(import_module(f"mammosweep.archive.{'names' if name == 'locate' else 'catalog'}"), name)
