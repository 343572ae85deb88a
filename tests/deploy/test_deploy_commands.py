"""What the deployment tells people and machines to run is what the command line understands."""

from __future__ import annotations

import pytest
import typer
from tests.deploy.command_lines import DEPLOY, command_lines

from mammosweep.cli import app

LINES = sorted(command_lines(DEPLOY))


def command_of(words):
    """The command that the words name, by the name of its groups, and the words that are left."""
    found, name = typer.main.get_command(app), []
    while hasattr(found, "commands"):
        if words[0] not in found.commands:
            return None, words[0], words[1:]
        name.append(words[0])
        found, words = found.commands[words[0]], words[1:]
    return found, " ".join(name), words


@pytest.mark.parametrize(("file", "words"), LINES, ids=lambda value: str(value)[:60])
def test_the_command_line_understands_it(file, words):
    if words == ["--version"]:
        return
    command, name, rest = command_of(words)
    assert command is not None, f"{file}: mammosweep has no command {name!r}"

    parser = command.make_parser(command.context_class(command, info_name=name))
    given, left, _ = parser.parse_args(rest)

    assert not left
    missing = [p.name for p in command.params if p.required and given.get(p.name) is None]
    assert not missing, f"{file}: mammosweep {name} lacks {missing}"


def test_the_command_lines_are_found_where_they_are():
    files = {file for file, _ in LINES}

    assert files >= {
        "Containerfile",
        "RUNBOOK.md",
        "kuberay-job.yaml",
        "mammosweep-nightly.service",
        "nightly-cronjob.yaml",
        "smoke.sh",
    }
    assert sum(words[0] == "sweep" for _, words in LINES) >= 6
