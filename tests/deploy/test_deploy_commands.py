"""What the deployment tells people and machines to run is what the command line understands."""

from __future__ import annotations

import pytest
import typer
from tests.deploy.command_lines import DEPLOY, command_lines

from mammosweep.cli import app

LINES = sorted(command_lines(DEPLOY))

# Built at the same time as deploy/: what the command line knows by now is held against that instead.
PLANNED = {
    "sweep": {"--ray", "--gpus", "--workers", "--until", "--where", "--shard", "--log", "--metrics"},
    "merge": {"--out"},
    "nightly": {"--state", "--out", "--bundle", "--config"},
    "status": {"--json"},
}
PLANNED_SWITCHES = {"--json"}


def command_of(words):
    """The command that the words name, by the name of its groups, and the words that are left."""
    found, name = typer.main.get_command(app), []
    while hasattr(found, "commands"):
        if words[0] not in found.commands:
            return None, words[0], words[1:]
        name.append(words[0])
        found, words = found.commands[words[0]], words[1:]
    return found, " ".join(name), words


def without_planned(command, name, words):
    known = {option for parameter in command.params for option in parameter.opts} if command else set()
    kept, words = [], list(words)
    while words:
        word = words.pop(0)
        if word in PLANNED.get(name, ()) and word not in known:
            assert word in PLANNED_SWITCHES or words, f"{word} lacks its value"
            del words[: word not in PLANNED_SWITCHES]
        else:
            kept.append(word)
    return kept


@pytest.mark.parametrize(("file", "words"), LINES, ids=lambda value: str(value)[:60])
def test_the_command_line_understands_it(file, words):
    if words == ["--version"]:
        return
    command, name, rest = command_of(words)
    rest = without_planned(command, name, rest)
    if command is None:
        assert name in PLANNED, f"{file}: mammosweep has no command {name!r}"
        assert not [word for word in rest if word.startswith("--")], f"{file}: {rest}"
        return

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
