"""Phantoms as the catalog knows them."""

from __future__ import annotations

import pytest

from mammosweep.archive import index
from mammosweep.config import ArchiveConfig


@pytest.fixture(scope="session")
def views_of():
    """The views of a folder's exams, in their order."""

    def views(folder):
        catalog = index(folder, config=ArchiveConfig(workers=1))
        return [view for exam in catalog.exams() for view in exam.views]

    return views
