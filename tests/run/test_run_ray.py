"""A sweep by Ray's actors: the rows that one process gives, whatever dies on the way."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from mammosweep.config import DetectConfig, Device, FlipMode, RayConfig, SweepConfig
from mammosweep.errors import ConfigError, DeviceError
from mammosweep.phantom import PhantomConfig, Syntax, write_phantoms
from mammosweep.report.tables import TABLES, read_table
from mammosweep.run import ray_cluster
from mammosweep.run.ledger import read_parts
from mammosweep.run.local import prepare
from mammosweep.run.ray_cluster import Cluster, Node, Staffing, staffing

HERE = Path(__file__).parent
EXAM_13 = "1.2.826.0.1.3680043.8.498.13"
SCREENING, DECIDING = "ray::ScreeningActor", "ray::DecisionActor"


def rows(out):
    return {name: read_table(out, name).to_pylist() for name in TABLES}


def descendants(pid, name):
    """Processes below this one that carry an actor's name."""
    found = []
    for process in psutil.Process(pid).children(recursive=True):
        try:
            if name in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.fixture(scope="module")
def cluster():
    """A local Ray with four places, which finds the module tiny_halves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{HERE}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        patch.setenv("RAY_worker_niceness", "0")  # else actors wait for whatever the machine does besides
        config = SweepConfig(ray=RayConfig(address="local", workers=4, threads=1))
        with Cluster(config) as started:
            yield started


@pytest.fixture(scope="module")
def halves():
    """The module tiny_halves.py, which imports its neighbour."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(HERE)
        yield importlib.import_module("tiny_halves")


@pytest.fixture
def ray_sweep(tiny, halves, cluster):
    """Sweeps with the tiny screener's halves: ray_sweep(out, source, finder="load_finder", workers=1)."""

    def run(out, source, *, finder="load_finder", workers=1, chunk_exams=2):
        ray = RayConfig(address="local", gpus=0, workers=workers, min_workers=workers, threads=1)
        config = replace(tiny.settings(chunk_exams), ray=ray)
        return halves.sweep_by_ray(source, out, config, finder=finder)

    return run


@pytest.fixture(scope="module")
def swept_here(tiny, shared_archive, tmp_path_factory):
    out = tmp_path_factory.mktemp("here") / "out"
    tiny.tiny_sweep(out, shared_archive)
    return rows(out)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_actors_give_the_rows_that_one_process_gives(
    workers, ray_sweep, shared_archive, swept_here, tmp_path
):
    summary = ray_sweep(tmp_path / "out", shared_archive, workers=workers, chunk_exams=1)

    assert rows(tmp_path / "out") == swept_here
    assert summary.counts.exams == {"scored": 4, "flagged": 0, "not_scored": 0}
    assert not list((tmp_path / "out" / "parts").glob(".*"))


def test_chunks_are_taken_as_they_are_needed(tiny, halves, cluster, tmp_path):
    archive = tiny.write_archive(tmp_path / "archive", 12)
    ray = RayConfig(address="local", gpus=0, workers=1, deciders=1, threads=1)
    counting = halves.Counting()

    halves.sweep_by_ray(archive, tmp_path / "out", replace(tiny.settings(1), ray=ray), around=counting)

    # Two with the screening actor, two that wait for a decision, one that is decided, one that is held ready.
    assert (counting.taken, counting.committed) == (12, 12)
    assert counting.most_ahead <= 6


def test_an_actor_that_is_killed_costs_nothing(ray_sweep, shared_archive, swept_here, tmp_path):
    out, killed = tmp_path / "out", []

    def kill_one():
        while not list((out / "parts").glob("[!.]*")):
            time.sleep(0.05)
        (actor, *_) = descendants(os.getpid(), SCREENING)
        actor.kill()
        killed.append(actor.pid)

    killer = threading.Thread(target=kill_one)
    killer.start()
    ray_sweep(out, shared_archive, finder="load_slow_finder", chunk_exams=1)
    killer.join()

    assert killed
    assert rows(out) == swept_here


def test_an_exam_that_kills_its_actor_gets_its_reason_and_costs_no_other(
    ray_sweep, shared_archive, swept_here, tmp_path
):
    summary = ray_sweep(tmp_path / "out", shared_archive, finder="load_poisoned_finder", chunk_exams=2)

    assert summary.counts.exams == {"scored": 3, "flagged": 0, "not_scored": 1}
    found = {row["exam_id"]: row for row in rows(tmp_path / "out")["exams"]}
    assert (found[EXAM_13]["status"], found[EXAM_13]["reason"]) == ("not_scored", "worker_died")
    assert "died each time" in found[EXAM_13]["message"]
    del found[EXAM_13]
    assert list(found.values()) == [row for row in swept_here["exams"] if row["exam_id"] != EXAM_13]


def test_an_error_that_nobody_foresaw_ends_the_run_and_the_next_one_goes_on(
    ray_sweep, shared_archive, swept_here, tmp_path
):
    with pytest.raises(RuntimeError, match="nobody foresaw this"):
        ray_sweep(tmp_path / "out", shared_archive, finder="load_finder_that_raises")
    assert read_parts(tmp_path / "out") == []

    ray_sweep(tmp_path / "out", shared_archive)

    assert rows(tmp_path / "out") == swept_here


def test_no_log_of_ray_names_a_patient(tiny, ray_sweep, shared_archive, tmp_path):
    import ray

    ray_sweep(tmp_path / "out", shared_archive)

    session = Path(ray.nodes()[0]["ObjectStoreSocketName"]).parents[1]
    logs = [path for path in session.rglob("*") if path.suffix in (".log", ".out", ".err")]
    texts = b"".join(path.read_bytes() for path in logs)
    assert texts
    for word in (tiny.NAME, tiny.NAME.split("^")[0], "PATIENT-1"):
        assert word.encode() not in texts


def test_a_driver_that_is_killed_leaves_no_actor(shared_archive, tmp_path):
    out = tmp_path / "out"
    said = tmp_path / "said.txt"  # a pipe would stay open as long as Ray's own agents, a minute
    command = [sys.executable, str(HERE / "tiny_halves.py"), str(shared_archive), str(out)]
    with said.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file) as driver:
        while not list((out / "parts").glob("[!.]*")):
            assert driver.poll() is None, said.read_text()
            time.sleep(0.05)
        actors = [*descendants(driver.pid, SCREENING), *descendants(driver.pid, DECIDING)]
        assert len(actors) == 2
        driver.kill()

        _, alive = psutil.wait_procs(actors, timeout=30)
        assert alive == []
    assert said.read_text() == ""  # nothing of Ray's own


def test_the_pipeline_gives_the_same_rows_and_pages_by_actors(cluster, tmp_path):
    source = tmp_path / "archive"
    write_phantoms(source, exams=2, seed=3, syntaxes=[Syntax.EXPLICIT], config=PhantomConfig(spacing_mm=0.4))
    here = SweepConfig(detect=DetectConfig(flips=FlipMode.NONE, threads=1))
    there = replace(here, ray=RayConfig(address="local", gpus=0, workers=1, threads=1))
    for name, config in (("here", here), ("there", there)):
        with prepare(tmp_path / name, source, config=config) as ready:
            ready.run()

    assert rows(tmp_path / "here") == rows(tmp_path / "there")
    assert pages(tmp_path / "here") == pages(tmp_path / "there")
    assert len(pages(tmp_path / "here")) == 2


def pages(out):
    return {path.name: path.read_bytes() for path in (out / "pages").glob("*.html")}


@pytest.mark.parametrize(
    ("nodes", "wanted", "device", "expected"),
    [
        ([Node(8, 0)], RayConfig(), Device.AUTO, Staffing(1, 2, 4, has_gpu=False)),
        ([Node(2, 0)], RayConfig(), Device.AUTO, Staffing(1, 1, 2, has_gpu=False)),
        ([Node(8, 0)], RayConfig(workers=8), Device.CPU, Staffing(1, 8, 1, has_gpu=False)),
        ([Node(8, 0)], RayConfig(workers=2, min_workers=9), Device.CPU, Staffing(2, 2, 4, has_gpu=False)),
        ([Node(16, 4), Node(8, 0)], RayConfig(), Device.AUTO, Staffing(1, 4, 4, has_gpu=True)),
        ([Node(16, 4)], RayConfig(gpus=2), Device.CUDA, Staffing(1, 2, 8 // 2, has_gpu=True)),
        ([Node(16, 4)], RayConfig(gpus=0), Device.AUTO, Staffing(1, 4, 4, has_gpu=False)),
        ([Node(16, 4)], RayConfig(threads=8), Device.CPU, Staffing(1, 2, 8, has_gpu=False)),
    ],
)
def test_as_many_actors_as_fit(nodes, wanted, device, expected):
    config = SweepConfig(ray=wanted, detect=DetectConfig(device=device))

    assert staffing(nodes, config) == expected


@pytest.mark.parametrize(
    ("nodes", "wanted", "device", "kind", "said"),
    [
        ([Node(4, 0)], RayConfig(gpus=2), Device.AUTO, DeviceError, "no node of the Ray cluster has a GPU"),
        ([Node(4, 0)], RayConfig(), Device.CUDA, DeviceError, "no node of the Ray cluster has a GPU"),
        ([Node(4, 1)], RayConfig(gpus=1), Device.CPU, ConfigError, "ray.gpus is 1 and detect.device is cpu"),
        (
            [Node(4, 1)],
            RayConfig(gpus=0),
            Device.CUDA,
            ConfigError,
            "ray.gpus is 0 and detect.device is cuda",
        ),
        ([Node(4, 0)], RayConfig(threads=8), Device.AUTO, DeviceError, "has 8 CPU cores"),
        ([], RayConfig(), Device.AUTO, DeviceError, "has 1 CPU cores"),
    ],
)
def test_what_cannot_be_staffed_is_said_before_work(nodes, wanted, device, kind, said):
    with pytest.raises(kind, match=said):
        staffing(nodes, SweepConfig(ray=wanted, detect=DetectConfig(device=device)))


@pytest.mark.parametrize("mode", [None, "disabled", "token"])
def test_a_cluster_is_not_gone_to_without_a_token(mode, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    if mode is not None:
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
    monkeypatch.setattr(ray_cluster.ray, "is_initialized", lambda: False)  # whatever other tests hold

    with pytest.raises(ConfigError, match=r"10\.0\.0\.1:6379 needs token authentication"):
        Cluster(SweepConfig(ray=RayConfig(address="10.0.0.1:6379")))


def test_ray_client_is_refused():
    with pytest.raises(ConfigError, match="Ray's client is not used"):
        RayConfig(address="ray://head:10001")


def test_sigterm_means_after_ray_what_it_meant_before(cluster):
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
