from __future__ import annotations

import hashlib
import hmac
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from mammosweep.archive.pseudonym import KEY_FILE_VARIABLE, Pseudonym, load_pseudonym
from mammosweep.config import ArchiveConfig
from mammosweep.errors import ConfigError


def test_a_pseudonym_is_the_start_of_a_keyed_hash():
    expected = hmac.new(b"key", "Ångström".encode(), hashlib.sha256).hexdigest()[:16]

    assert Pseudonym(b"key")("Ångström") == expected
    assert Pseudonym(b"other key")("Ångström") != expected


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path):
    path = tmp_path / "deep" / "site.key"
    config = ArchiveConfig(pseudonym_key_file=str(path))

    first, again = load_pseudonym(config), load_pseudonym(config)

    assert first.key == again.key
    assert len(first.key) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["site.key"]


def test_sweeps_that_start_at_once_share_one_key(tmp_path):
    config = ArchiveConfig(pseudonym_key_file=str(tmp_path / "site.key"))

    with ThreadPoolExecutor(8) as pool:
        keys = {pseudonym.key for pseudonym in pool.map(lambda _: load_pseudonym(config), range(8))}

    assert len(keys) == 1


def test_the_setting_goes_before_the_variable_and_that_before_the_users_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(tmp_path / "variable.key"))
    by_setting = load_pseudonym(ArchiveConfig(pseudonym_key_file=str(tmp_path / "setting.key")))
    by_variable = load_pseudonym(ArchiveConfig())
    monkeypatch.delenv(KEY_FILE_VARIABLE)
    by_default = load_pseudonym(ArchiveConfig())

    files = [tmp_path / "setting.key", tmp_path / "variable.key", tmp_path / "user/mammosweep/pseudonym.key"]
    assert [p.key.hex() for p in (by_setting, by_variable, by_default)] == [
        f.read_text().strip() for f in files
    ]


@pytest.mark.parametrize("text", ["", "no key at all", "abcd", "ö"])
def test_a_file_that_holds_no_key_is_refused(tmp_path, text):
    (tmp_path / "site.key").write_text(text, encoding="utf-8")

    with pytest.raises(ConfigError, match=r"site\.key"):
        load_pseudonym(ArchiveConfig(pseudonym_key_file=str(tmp_path / "site.key")))


def test_a_key_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError, match=r"set archive\.pseudonym_key_file"):
        load_pseudonym(ArchiveConfig(pseudonym_key_file=str(tmp_path / "file" / "site.key")))
