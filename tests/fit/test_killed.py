"""A fit that is killed, again and again, ends with the same weights as one that was not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
from safetensors.numpy import load_file

DEADLINE_S = 240


def command(annotated, small_file, out):
    table = annotated / "truth.parquet"
    return [
        sys.executable, "-m", "mammosweep.cli", "fit", str(table), "--images", str(annotated),
        "--out", str(out), "--config", str(small_file),
    ]  # fmt: skip


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, env=environment())
    assert done.returncode == 0, done.stderr
    return done.stdout


def environment():
    return {**os.environ, "OMP_NUM_THREADS": "1"}  # sums in one order


def kill_when(command, is_far_enough):
    """Start the fit and kill it as soon as it has come so far; it must not have ended before."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment()
    )
    until = time.monotonic() + DEADLINE_S
    try:
        while not is_far_enough():
            assert process.poll() is None, "the fit ended before it was to be killed"
            assert time.monotonic() < until
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def test_three_kills_change_no_weight(annotated, small_file, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run(command(annotated, small_file, whole))
    work = tmp_path / "killed.work"

    steps_of = work / "detector.csv"
    kill_when(
        command(annotated, small_file, killed),
        lambda: steps_of.exists() and len(steps_of.read_text().splitlines()) > 3,
    )
    kill_when(command(annotated, small_file, killed), lambda: (work / "found.safetensors").exists())
    kill_when(
        command(annotated, small_file, killed),
        lambda: (work / "character-without-0.checkpoint.safetensors").exists(),
    )
    run(command(annotated, small_file, killed))

    for name in ("detector.safetensors", "lesion.safetensors"):
        expected, found = load_file(whole / name), load_file(killed / name)
        assert expected.keys() == found.keys()
        for key, weights in expected.items():
            np.testing.assert_array_equal(found[key], weights, err_msg=f"{name} {key}")
    for name in ("matcher.ubj", "decision.ubj", "bundle.toml", "MODEL_CARD.md"):
        assert (whole / name).read_bytes() == (killed / name).read_bytes(), name
