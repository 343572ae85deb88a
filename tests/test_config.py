"""Settings: what they may be, and what is said when they are not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from mammosweep.config import DetectConfig, FlipMode, RunConfig, SweepConfig, load_config
from mammosweep.errors import ConfigError

DEPLOYED = Path(__file__).parent.parent / "deploy" / "settings.toml"


def written(tmp_path, text):
    path = tmp_path / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_deployed_settings_name_every_option_with_its_default():
    import tomllib

    table = tomllib.loads(DEPLOYED.read_text(encoding="utf-8"))

    assert table == dataclasses.asdict(SweepConfig())
    assert load_config(DEPLOYED) == SweepConfig()


def test_what_is_not_given_keeps_its_default(tmp_path):
    config = load_config(written(tmp_path, '[detect]\nflips = "h"\n'))

    assert config == SweepConfig(detect=DetectConfig(flips=FlipMode.H))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[detekt]\n", "unknown table [detekt]"),
        ("[detect]\nflip = 'h'\n", "unknown setting detect.flip"),
        ("[detect]\nflips = 'x'\n", "detect.flips is 'x'; expected one of none, h, hv, all"),
        ("[detect]\nthreads = '2'\n", "detect.threads is '2'; expected int"),
        ("[run]\nchunk_exams = 0\n", "run.chunk_exams is 0"),
        ("[run]\nchunk_exams = true\n", "run.chunk_exams is True; expected int"),
        ("[archive]\nmin_spacing_mm = 1\n", "archive.min_spacing_mm is 1.0"),
        ("not toml", "settings file"),
        ("run = 3\n", "unknown table [run]"),
    ],
    ids=lambda value: str(value).split("\n")[0],
)
def test_a_wrong_setting_stops_the_run_with_one_sentence(tmp_path, text, said):
    with pytest.raises(ConfigError) as caught:
        load_config(written(tmp_path, text))

    assert said in str(caught.value)
    assert "\n" not in str(caught.value).strip()


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.toml"):
        load_config(tmp_path / "absent.toml")


def test_the_digest_changes_with_what_can_change_a_score_only():
    plain = SweepConfig()

    assert SweepConfig(run=RunConfig(chunk_exams=3)).digest == plain.digest
    assert SweepConfig(detect=DetectConfig(threads=1)).digest == plain.digest
    assert SweepConfig(detect=DetectConfig(flips=FlipMode.NONE)).digest != plain.digest
