"""`--metrics`: a run's numbers for Prometheus, over HTTP. prometheus_client's adapter.

Counters are this process's: a run that continues begins at 0, and `mammosweep_exams_done` says how many exams
earlier runs had committed. They rise when a chunk is committed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mammosweep.errors import ConfigError
from mammosweep.records import ExamStatus
from mammosweep.run.events import ChunkCommitted, ChunkTaken, Event, RunFinished, RunStarted
from mammosweep.run.gpu import Busy, open_gpus
from mammosweep.run.ledger import AGAIN
from mammosweep.run.part import Part

__all__ = ["Metrics", "parse_address", "serve"]

LOOPBACK = "127.0.0.1"


class Metrics(Collector):
    """What happened so far, in numbers; call it with an `Event`."""

    def __init__(self, busy: Busy | None = None) -> None:
        self._busy = busy
        self._lock = Lock()  # events come from the run, questions from the server's threads
        self._planned = self._done_before = 0
        self._outcomes: Counter[str] = Counter({str(status): 0 for status in ExamStatus})
        self._reasons: Counter[str] = Counter()
        self._views: Counter[str] = Counter({"read": 0, "screened": 0})
        self._seconds: dict[str, float] = {}
        self._in_flight: dict[str, int] = {}  # exams, by chunk
        self._finished = 0

    def __call__(self, event: Event) -> None:
        """Count an event."""
        with self._lock:
            if isinstance(event, RunStarted):
                self._planned, self._done_before = event.begun.exams, event.begun.done
            elif isinstance(event, ChunkTaken):
                self._in_flight[event.chunk_id] = event.exams
            elif isinstance(event, ChunkCommitted):
                self._count(event.part)
            elif isinstance(event, RunFinished):
                self._finished = 1

    def _count(self, part: Part) -> None:
        self._in_flight.pop(part.chunk_id.removesuffix(AGAIN), None)
        self._outcomes.update(str(exam.status) for exam in part.exams)
        self._reasons.update(exam.reason for exam in part.exams if exam.reason is not None)
        self._views["read"] += sum(exam.views_read for exam in part.exams)
        self._views["screened"] += sum(exam.views_used for exam in part.exams)
        for stage, seconds in part.seconds.items():
            self._seconds[stage] = self._seconds.get(stage, 0.0) + seconds

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        with self._lock:
            families = [*self._counters(), *self._gauges()]
        yield from families
        if self._busy is not None:
            yield _family(
                GaugeMetricFamily("mammosweep_gpu_busy_ratio", GPU_BUSY, labels=["gpu"]),
                {str(index): share for index, share in self._busy().items()},
            )

    def _counters(self) -> Iterator[Metric]:
        said = "Exams committed by this process, by outcome."
        yield _family(CounterMetricFamily("mammosweep_exams", said, labels=["outcome"]), self._outcomes)
        said = "Exams without a score committed by this process, by reason."
        yield _family(
            CounterMetricFamily("mammosweep_exams_not_scored", said, labels=["reason"]), self._reasons
        )
        said = (
            "Views of committed exams: whose pixels were asked for (read), that the detector saw (screened)."
        )
        yield _family(CounterMetricFamily("mammosweep_views", said, labels=["stage"]), self._views)
        said = "Wall seconds by stage of committed chunks; stages and processes run beside each other."
        yield _family(CounterMetricFamily("mammosweep_stage_seconds", said, labels=["stage"]), self._seconds)

    def _gauges(self) -> Iterator[Metric]:
        done = self._done_before + self._outcomes.total()
        for name, said, value in (
            ("exams_planned", "Exams that the sweep is about.", self._planned),
            ("exams_done", "Exams committed, earlier runs' included.", done),
            ("chunks_in_flight", "Chunks that were begun and are not committed.", len(self._in_flight)),
            ("exams_in_flight", "Exams of those chunks.", sum(self._in_flight.values())),
            ("run_finished", "1 once everything is done and the counts add up.", self._finished),
        ):
            yield GaugeMetricFamily(f"mammosweep_{name}", said, value=value)


GPU_BUSY = "Share of the driver's last sample period in which a kernel ran, by GPU of this machine."


def _family(
    family: CounterMetricFamily | GaugeMetricFamily, values: dict[str, float] | Counter[str]
) -> CounterMetricFamily | GaugeMetricFamily:
    for label, value in sorted(values.items()):
        family.add_metric([label], value)
    return family


@contextmanager
def serve(address: str) -> Iterator[Metrics]:
    """Answer Prometheus at ``[HOST:]PORT`` while the block lasts; without a host on this machine alone.

    Raises:
        ConfigError: the address cannot be read or is taken.
    """
    host, port = parse_address(address)
    metrics, registry = Metrics(open_gpus()), CollectorRegistry(auto_describe=True)
    registry.register(metrics)
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise ConfigError(
            f"--metrics {address}: nothing can listen there ({error.strerror or error}); give another port"
        ) from None
    try:
        yield metrics
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of ``PORT``, ``HOST:PORT`` or ``[IPV6]:PORT``.

    Raises:
        ConfigError: it is none of them.
    """
    host, _, port = text.rpartition(":")
    if not port.isascii() or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ConfigError(
            f"--metrics is {text!r}; expected a port in 1..65535 such as 9100, or host and port such as "
            "0.0.0.0:9100"
        )
    return host.strip("[]") or LOOPBACK, int(port)
