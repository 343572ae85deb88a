"""settings.toml names every option of config.py, and says what each is; `tests/test_config.py` loads it."""

from __future__ import annotations

import dataclasses
import re
import tomllib

from mammosweep.config import SweepConfig


def options(table):
    return {f"{stage}.{name}" for stage, settings in table.items() for name in settings}


def test_it_names_every_option_and_no_other(deploy):
    named = options(tomllib.loads((deploy / "settings.toml").read_text(encoding="utf-8")))
    known = options(dataclasses.asdict(SweepConfig()))

    assert not known - named, f"deploy/settings.toml lacks {sorted(known - named)}: add it, with a comment"
    assert not named - known, f"deploy/settings.toml names {sorted(named - known)}, which config.py lacks"


def test_every_option_has_a_comment(deploy):
    lines = (deploy / "settings.toml").read_text(encoding="utf-8").splitlines()
    settings = [line for line in lines if re.match(r"\w+ += ", line)]

    assert len(settings) == len(options(dataclasses.asdict(SweepConfig())))
    assert not [line for line in settings if " # " not in line]
