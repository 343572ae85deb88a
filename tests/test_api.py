"""The three lines of Python: what can be imported, and that importing it costs little."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import mammosweep
from mammosweep.report.tables import TABLES, write_tables


def test_every_public_name_is_there():
    for name in mammosweep.__all__:
        assert getattr(mammosweep, name) is not None

    assert dir(mammosweep) == sorted(mammosweep.__all__)


def test_a_name_that_is_not_there_is_said():
    with pytest.raises(AttributeError, match="module 'mammosweep' has no attribute 'swepe'"):
        mammosweep.swepe  # noqa: B018


@pytest.mark.parametrize(
    "module", ["mammosweep", "mammosweep.archive", "mammosweep.cli", "mammosweep.run.status"]
)
def test_importing_it_loads_no_network_library(module):
    program = f"import sys, {module}; print({{'torch', 'xgboost', 'ray', 'timm'}} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert found.stdout == "set()\n"


def test_the_package_says_that_it_is_typed():
    assert Path(mammosweep.__file__).with_name("py.typed").is_file()


@pytest.mark.parametrize("name", sorted(TABLES))
@pytest.mark.parametrize("kind", [str, Path], ids=["text", "path"])
def test_a_table_is_read_by_its_name(tmp_path, name, kind):
    write_tables(tmp_path, [])

    assert mammosweep.read_table(kind(tmp_path), name).schema == TABLES[name]


def test_a_table_that_does_not_exist_is_said(tmp_path):
    with pytest.raises(
        mammosweep.ConfigError, match="'scores'; expected one of images, findings, lesions, exams"
    ):
        mammosweep.read_table(tmp_path, "scores")


def test_a_sweep_of_nothing_fails_when_it_is_called_not_when_it_is_read(tmp_path):
    with pytest.raises(mammosweep.SourceError, match="does not exist"):
        mammosweep.sweep(tmp_path / "nowhere")


def test_a_sweep_into_a_folder_takes_text_for_paths(tmp_path):
    with pytest.raises(mammosweep.SourceError, match="does not exist"):
        mammosweep.sweep_to(str(tmp_path / "out"), str(tmp_path / "nowhere"))
