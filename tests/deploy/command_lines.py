"""Every ``mammosweep`` command line in deploy/, as a shell, systemd, Kubernetes or a reader would run it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parent.parent.parent / "deploy"

# A command's word, as far as the next thing of the shell's.
COMMAND = re.compile(r"(?<!-n )(?<![\w.:-])(?:[\w./-]*/)?mammosweep ((?:[a-z]|--)[^\n|;&<>)#`]*)")
IN_IMAGE = re.compile(r"mammosweep:[\d.]+ ([a-z][^\n|;&<>)#`]*)")
SENTENCE = re.compile(r"^\s*#.*|\b(?:echo|say|fail) \".*", re.MULTILINE)
QUOTED = re.compile(r"`(mammosweep [^`]*)`")
FENCE = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def command_lines(deploy: Path) -> Iterator[tuple[str, list[str]]]:
    """Every command line, as (file name, words after ``mammosweep``)."""
    for file in sorted(path for path in deploy.rglob("*") if path.is_file()):
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".yaml":
            for content in yaml.safe_load_all(text):
                yield from ((file.name, words) for words in _of_manifest(content))
        else:
            yield from ((file.name, words) for words in _of_text(file, text))


def _of_text(file: Path, text: str) -> Iterator[list[str]]:
    if file.suffix == ".md":
        text = "\n".join(FENCE.findall(text))
    elif file.suffix == ".sh":
        text = SENTENCE.sub("", text)
    elif file.suffix == ".service":
        text = "\n".join(line for line in text.splitlines() if line.startswith("ExecStart="))
    elif file.suffix == ".toml":
        text = "\n".join(QUOTED.findall(text))
    elif file.name != "Containerfile":
        return
    joined = re.sub(r"\\\n#?\s*", "", text)
    for pattern in (IN_IMAGE,) if file.name == "Containerfile" else (COMMAND, IN_IMAGE):
        for words in pattern.findall(joined):
            yield [word for word in shlex.split(words) if word != "$@"]


def _of_manifest(node: Any) -> Iterator[list[str]]:
    if isinstance(node, list):
        for child in node:
            yield from _of_manifest(child)
    elif isinstance(node, dict):
        if isinstance(entrypoint := node.get("entrypoint"), str):
            yield shlex.split(entrypoint.removeprefix("exec "))[1:]
        if "/mammosweep:" in str(node.get("image")) and "args" in node:
            yield node["args"]
        for child in node.values():
            yield from _of_manifest(child)
