"""The systemd units, judged by systemd itself."""

from __future__ import annotations

import configparser
import shutil
import subprocess

import pytest

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def unit(path):
    """A unit's sections; where a key stands twice, as Environment does, its values one a line."""

    class Both(dict):
        def __setitem__(self, key, value):
            if isinstance(value, list) and isinstance(self.get(key), list):
                self[key].extend(value)
            else:
                super().__setitem__(key, value)

    parser = configparser.RawConfigParser(strict=False, dict_type=Both, interpolation=None)
    parser.optionxform = str
    parser.read_string(path.read_text(encoding="utf-8"))
    return parser


@pytest.fixture
def service(deploy):
    return unit(deploy / "systemd" / "mammosweep-nightly.service")["Service"]


@needs_systemd
@pytest.mark.parametrize("name", ["mammosweep-nightly.service", "mammosweep-nightly.timer"])
def test_systemd_understands_the_unit(deploy, tmp_path, name):
    for file in (deploy / "systemd").glob("mammosweep-nightly.*"):
        # What is not installed here stands in the way of nothing else that is checked.
        text = file.read_text(encoding="utf-8").replace("/opt/mammosweep/bin/mammosweep", "/bin/true")
        (tmp_path / file.name).write_text(text, encoding="utf-8")

    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / name], capture_output=True, text=True, timeout=60
    )

    assert (said.returncode, said.stderr) == (0, "")


@needs_systemd
def test_systemd_finds_the_service_confined(deploy):
    said = subprocess.run(
        [
            *("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=15"),
            deploy / "systemd" / "mammosweep-nightly.service",
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert said.returncode == 0, said.stdout.splitlines()[-1]


def test_a_stop_reaches_the_sweep_alone_and_waits_for_the_chunk(service):
    assert service["KillMode"] == "mixed"
    assert service["TimeoutStopSec"] == "15min"
    assert "KillSignal" not in service


def test_the_service_sees_no_network_and_writes_only_where_it_must(service):
    assert service["PrivateNetwork"] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["ReadOnlyPaths"] in service["ExecStart"]
    written = service["ReadWritePaths"]
    words = service["ExecStart"].split()
    for option in ("--state", "--out"):
        assert words[words.index(option) + 1].startswith(f"{written}/")


def test_the_plan_store_and_the_key_are_the_users_alone(service):
    assert service["CacheDirectoryMode"] == service["StateDirectoryMode"] == "0700"
