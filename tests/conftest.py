"""What every test has: a site's pseudonym key that is not the user's."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def _own_pseudonym_key(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAMMOSWEEP_PSEUDONYM_KEY_FILE", str(tmp_path_factory.mktemp("site") / "pseudonym.key"))
        yield
