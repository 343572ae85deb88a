"""Where images come from: a folder or a file becomes image records and exams, from headers alone.

Reading order: `source` (which files) → `header` (one file, one record) → `catalog` (all of them, in
parallel) → `exams` (records become exams). Imports stay light: many processes read headers.
"""

from __future__ import annotations

from mammosweep.archive.catalog import Catalog, index, read_catalog, write_catalog
from mammosweep.archive.names import locate

__all__ = ["Catalog", "index", "locate", "read_catalog", "write_catalog"]
