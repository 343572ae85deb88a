"""What every test has: a site's pseudonym key that is not the user's, and a bundle that knows phantoms."""

from __future__ import annotations

from pathlib import Path

import pytest

PHANTOM_BUNDLE = Path(__file__).parent / "bundles" / "phantom-regnetx-002"


@pytest.fixture(scope="session", autouse=True)
def _own_pseudonym_key(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAMMOSWEEP_PSEUDONYM_KEY_FILE", str(tmp_path_factory.mktemp("site") / "pseudonym.key"))
        patch.setenv("MAMMOSWEEP_BUNDLE", str(PHANTOM_BUNDLE))
        yield
