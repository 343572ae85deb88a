"""A run's numbers as Prometheus reads them, over real HTTP."""

from __future__ import annotations

import shutil
import socket
import subprocess
import urllib.request
from contextlib import closing

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mammosweep.errors import ConfigError
from mammosweep.run.gpu import open_gpus
from mammosweep.run.metrics import Metrics, parse_address, serve
from mammosweep.run.terms import Terms


@pytest.fixture
def port():
    """A port that was free a moment ago."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def scraped(port):
    """Every sample by name and labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    families = text_string_to_metric_families(text)
    return {
        (sample.name.removeprefix("mammosweep_"), *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def test_what_a_run_did_is_served(tiny, shared_archive, tmp_path, port):
    during = []
    with serve(str(port)) as metrics:
        tiny.tiny_sweep(
            tmp_path,
            shared_archive,
            not_scored=[".12"],
            terms=Terms(tell=metrics),
            progress=lambda tally: during.append(scraped(port)) if tally.done_now == 3 else None,
        )
        found = scraped(port)

    assert found["exams_total", "scored"] == 3
    assert found["exams_total", "not_scored"] == 1
    assert found["exams_total", "flagged"] == 0
    assert found["exams_not_scored_total", "no_usable_view"] == 1
    assert (found["views_total", "read"], found["views_total", "screened"]) == (16, 16)
    assert found["stage_seconds_total", "count"] > 0
    assert (found["exams_planned",], found["exams_done",], found["run_finished",]) == (4, 4, 1)
    assert (found["chunks_in_flight",], found["exams_in_flight",]) == (0, 0)
    assert during[0]["run_finished",] == 0
    assert during[0]["chunks_in_flight",] in (1, 2)  # the first chunk may be on its way to the disk
    assert during[0]["exams_in_flight",] == 2 * during[0]["chunks_in_flight",]


def test_a_run_that_goes_on_counts_anew_and_knows_what_was_done(tiny, archive, tmp_path, port):
    tiny.tiny_sweep(tmp_path / "out", archive)
    tiny.write_view(archive / "exam20", 20, "L CC")
    with serve(str(port)) as metrics:
        tiny.tiny_sweep(tmp_path / "out", archive, terms=Terms(tell=metrics))
        found = scraped(port)

    assert found["exams_total", "flagged"] == 1
    assert found["exams_total", "scored"] == 0
    assert (found["exams_planned",], found["exams_done",]) == (5, 5)


def test_no_patient_data_is_served(tiny, shared_archive, tmp_path, port):
    with serve(str(port)) as metrics:
        tiny.tiny_sweep(tmp_path, shared_archive, not_scored=[".12"], terms=Terms(tell=metrics))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
            text = answer.read().decode()

    assert "no_usable_view" in text
    assert not any(private in text for private in ("Secret", "PATIENT", "1.2.826"))


def test_the_server_ends_with_the_run(port):
    with serve(str(port)):
        scraped(port)

    with pytest.raises(OSError, match="refused"):
        scraped(port)


def test_without_a_host_only_this_machine_is_answered(port):
    with serve(str(port)), closing(socket.socket()) as other:
        other.bind(("127.0.0.2", port))  # free: the server does not listen at every address


def test_a_port_that_is_taken_is_said(port):
    with closing(socket.socket()) as holder:
        holder.bind(("127.0.0.1", port))
        holder.listen()
        with (
            pytest.raises(ConfigError, match=f"--metrics {port}: nothing can listen there"),
            serve(str(port)),
        ):
            pass


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("9100", ("127.0.0.1", 9100)),
        ("0.0.0.0:9100", ("0.0.0.0", 9100)),
        ("[::1]:9100", ("::1", 9100)),
        ("node7:9100", ("node7", 9100)),
    ],
)
def test_an_address_is_read(text, address):
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "x", "0", "65536", "localhost", "localhost:", "-1", "9100/metrics"])
def test_what_is_no_address_is_said(text):
    with pytest.raises(ConfigError, match=r"expected a port in 1\.\.65535 such as 9100"):
        parse_address(text)


# What NVIDIA's driver would answer: two GPUs, of which the second does not tell.
DRIVER = """
typedef struct { unsigned gpu, memory; } utilization;
int nvmlInit_v2(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
    *device = (void *)(long)(index + 1); return 0;
}
int nvmlDeviceGetUtilizationRates(void *device, utilization *busy) {
    if (device != (void *)1) return 3;  /* NVML_ERROR_NOT_SUPPORTED */
    busy->gpu = 87; busy->memory = 12; return 0;
}
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_a_gpu_that_tells_is_busy_by_as_much_as_it_says(tmp_path):
    (tmp_path / "driver.c").write_text(DRIVER)
    library = tmp_path / "libdriver.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, tmp_path / "driver.c"], check=True)

    busy = open_gpus(str(library))

    samples = [
        (sample.name, sample.labels, sample.value)
        for family in Metrics(busy).collect()
        for sample in family.samples
        if "gpu" in sample.name
    ]
    assert samples == [("mammosweep_gpu_busy_ratio", {"gpu": "0"}, 0.87)]


@pytest.mark.parametrize("library", ["libno-such-driver.so.1", "libc.so.6"])
def test_without_a_driver_nothing_is_said_of_gpus(library):
    assert open_gpus(library) is None
    assert not [family for family in Metrics(None).collect() if "gpu" in family.name]
