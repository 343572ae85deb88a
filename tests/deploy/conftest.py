"""Where the deployment's files are, what they say, and the tools that judge them."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import yaml

DEPLOY = Path(__file__).parent.parent.parent / "deploy"


@pytest.fixture(scope="session")
def deploy():
    return DEPLOY


@pytest.fixture(scope="session")
def tool():
    """A validator of the dev extra, beside the interpreter or on the path."""

    def find(name):
        beside = Path(sys.executable).parent / name
        found = str(beside) if beside.exists() else shutil.which(name)
        assert found, f"{name} is not installed; pip install 'mammosweep[dev]' brings it"
        return found

    return find


@pytest.fixture(scope="session")
def manifests():
    """Every Kubernetes object, as (file name, object)."""
    found = []
    for file in sorted(DEPLOY.glob("*.yaml")):
        objects = yaml.safe_load_all(file.read_text(encoding="utf-8"))
        found += [(file.name, content) for content in objects]
    return found
