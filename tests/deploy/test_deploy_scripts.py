"""The scripts and the container file, judged by shellcheck and hadolint, and the offline install, done."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mammosweep.version import __version__

SCRIPTS = ("smoke.sh", "wheelhouse.sh", "install-offline.sh")


def run(*command, timeout_s=240, **more):
    return subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        **more,
    )


@pytest.mark.parametrize("name", SCRIPTS)
def test_shellcheck_finds_nothing(deploy, tool, name):
    said = run(tool("shellcheck"), "--severity=style", deploy / name)

    assert (said.returncode, said.stdout) == (0, "")


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_says_what_it_takes(deploy, name):
    said = run(deploy / name, "--help")

    assert said.returncode == 0
    assert f"{name} [--" in said.stdout
    assert "#" not in said.stdout


@pytest.mark.timeout(900)  # some 40 s of a processor, whatever else the machine does
def test_the_smoke_test_passes_and_names_the_page(deploy, tmp_path):
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    said = run(deploy / "smoke.sh", tmp_path / "smoke", env=os.environ | {"PATH": path}, timeout_s=840)

    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.splitlines()[-1] == f"smoke: ok; {tmp_path}/smoke/first/index.html shows the results"


def test_the_smoke_test_fails_where_mammosweep_does(deploy, tmp_path):
    false = tmp_path / "bin" / "mammosweep"
    false.parent.mkdir()
    false.write_text("#!/bin/sh\nexit 1\n")
    false.chmod(0o755)

    said = run(deploy / "smoke.sh", tmp_path / "smoke", env={"PATH": f"{false.parent}:/usr/bin:/bin"})

    assert said.returncode == 1
    assert "smoke: exit code 1, expected 0: mammosweep bundle verify" in said.stderr


def test_hadolint_finds_nothing(deploy, tool):
    said = run(tool("hadolint"), "--failure-threshold", "style", deploy / "Containerfile")

    assert (said.returncode, said.stdout) == (0, "")


def test_the_image_is_confined_and_of_this_version(deploy):
    text = (deploy / "Containerfile").read_text(encoding="utf-8")

    assert re.findall(r"^USER (.*)", text, re.MULTILINE) == ["64000:64000"]
    assert 'ENTRYPOINT ["mammosweep"]' in text
    assert f"ARG VERSION={__version__}\n" in text
    # Whatever is installed comes from the wheelhouse: the step has no network even where the build has one.
    assert "RUN --network=none /wheelhouse/install-offline.sh" in text
    assert "pip install" not in text
    # The image that is kept holds the environment alone, not the wheelhouse.
    assert re.findall(r"^COPY (.*)", text, re.MULTILINE) == [
        ". /wheelhouse",
        "--from=installed /opt/mammosweep /opt/mammosweep",
    ]


@pytest.fixture(scope="module")
def wheelhouse(deploy, tmp_path_factory):
    """mammosweep's own wheel and two small ones that constraints.txt pins; needs a package index."""
    folder = tmp_path_factory.mktemp("carried") / "wheelhouse"
    made = run(
        deploy / "wheelhouse.sh", "--python", sys.executable, "--only", "click", "--only", "idna", folder
    )
    assert made.returncode == 0, made.stderr
    return folder


def test_a_wheelhouse_holds_pinned_wheels_with_their_hashes(wheelhouse, deploy):
    lines = (wheelhouse / "requirements.txt").read_text().splitlines()
    pins = (deploy.parent / "constraints.txt").read_text().splitlines()

    names = [line.split(" --hash=sha256:")[0] for line in lines]
    assert names[2] == f"mammosweep=={__version__}"
    assert set(names[:2]) == {pin for pin in pins if pin.startswith(("click==", "idna=="))}
    assert all(len(line.split("sha256:")[1]) == 64 for line in lines)
    carried = {path.relative_to(wheelhouse) for path in wheelhouse.rglob("*")}
    assert carried > {path.relative_to(deploy) for path in deploy.rglob("*")}


def test_it_installs_where_there_is_no_index(wheelhouse, tmp_path):
    digest = run("sha256sum", wheelhouse / "SHA256SUMS").stdout.split()[0]
    nowhere = {"PATH": "/usr/bin:/bin", "PIP_INDEX_URL": "http://127.0.0.1:9/", "HOME": str(tmp_path)}

    done = run(
        *(
            wheelhouse / "install-offline.sh",
            "--python",
            sys.executable,
            "--digest",
            digest,
            tmp_path / "env",
        ),
        env=nowhere,
    )

    assert done.returncode == 0, done.stderr
    found = run(
        *(tmp_path / "env" / "bin" / "python", "-c"),
        "import mammosweep.version, click; print(mammosweep.version.__version__)",
    )
    assert found.stdout.strip() == __version__, found.stderr
    assert (tmp_path / "env" / "share" / "mammosweep" / "RUNBOOK.md").is_file()


def changed_file(house):
    (house / "settings.toml").write_text("[detect]\nflips = 'none'\n")


def changed_wheel_and_sums(house):
    """Someone who can write the folder can write its sums, too; the wheel's hash still stands in its way."""
    (wheel,) = (house / "wheels").glob("idna-*")
    wheel.write_bytes(wheel.read_bytes() + b"x")
    (house / "SHA256SUMS").unlink()
    sums = subprocess.run("find . -type f | xargs sha256sum", shell=True, cwd=house, capture_output=True)
    (house / "SHA256SUMS").write_bytes(sums.stdout)


def of_another_python(house):
    changed = (house / "made-for.txt").read_text().replace("python=3.", "python=4.")
    (house / "made-for.txt").write_text(changed)
    sums = (house / "SHA256SUMS").read_text().splitlines()
    (house / "SHA256SUMS").write_text("\n".join(line for line in sums if "made-for" not in line) + "\n")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (changed_file, "files are not as they were when the wheelhouse was made"),
        (changed_wheel_and_sums, "DO NOT MATCH THE HASHES"),
        (of_another_python, "the wheelhouse is made for 4."),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_was_changed_on_the_way_is_refused_and_nothing_is_left(wheelhouse, tmp_path, change, said):
    house = shutil.copytree(wheelhouse, tmp_path / "house")
    change(house)

    done = run(house / "install-offline.sh", "--python", sys.executable, tmp_path / "env")

    assert done.returncode != 0
    assert said in done.stderr
    assert not (tmp_path / "env").exists()


def test_another_digest_is_refused(wheelhouse, tmp_path):
    done = run(
        *(
            wheelhouse / "install-offline.sh",
            "--python",
            sys.executable,
            "--digest",
            "0" * 64,
            tmp_path / "env",
        )
    )

    assert done.returncode == 2
    assert "the wheelhouse was changed on its way" in done.stderr
