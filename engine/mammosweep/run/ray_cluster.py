"""Ray itself: started here for one sweep, or a cluster that runs already; and how many actors fit."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mammosweep.config import Device, RayConfig, SweepConfig
from mammosweep.errors import ConfigError, DeviceError

# Read when Ray is imported or started. Nothing about a hospital's machines leaves them.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray
from ray import _raylet
from ray._private import ray_constants, services
from ray._private import worker as ray_worker

__all__ = ["Cluster", "Node", "Staffing", "staffing"]

AUTO, LOCAL = "auto", "local"
AUTH_MODE, AUTH_TOKEN = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"
LOOPBACK = "127.0.0.1"

OBJECT_STORE_BYTES = 256 << 20
"""Of a local Ray. Findings of a chunk take about a megabyte, and a bounded number of chunks is on its way."""

THREADS = 4
"""CPU threads of a screening actor where nothing is said: beyond, networks of four views gain little."""


@dataclass(frozen=True, slots=True)
class Node:
    """What a machine has."""

    cpus: int
    gpus: int


@dataclass(frozen=True, slots=True)
class Staffing:
    """How many screening actors there may be, and what each gets."""

    least: int
    most: int
    threads: int
    has_gpu: bool


class Cluster:
    """Ray for as long as the ``with`` block, or until `close`."""

    def __init__(self, config: SweepConfig) -> None:
        """Connect, or start Ray on this machine.

        Raises:
            ConfigError: the cluster takes anybody who reaches it.
            DeviceError: there is no such cluster, or it does not answer.
        """
        self._environment = dict(os.environ)
        self._print = ray_worker.print_to_stdstream
        self._was_there = ray.is_initialized()
        if not self._was_there:
            with _signals_kept():
                self._start(config.ray)
        # Ray prints what happens to workers wherever it likes; a sweep's terminal and its stdout are its own.
        ray_worker.print_to_stdstream = _unsaid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def nodes(self) -> list[Node]:
        """The machines that take part."""
        nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        found = (node["Resources"] for node in nodes if node["Alive"])
        return [Node(int(node.get("CPU", 0)), int(node.get("GPU", 0))) for node in found]

    def close(self) -> None:
        """Leave the cluster, or end the one that was started."""
        ray_worker.print_to_stdstream = self._print
        if self._was_there:
            return
        self._was_there = True
        with _signals_kept():
            ray.shutdown()
        for name in (AUTH_MODE, AUTH_TOKEN, ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR):
            os.environ.pop(name, None)
            if name in self._environment:
                os.environ[name] = self._environment[name]

    def _start(self, config: RayConfig) -> None:
        address = _address(config.address)
        if address is None:
            _start_local(config)
            return
        _check_token(address)
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise DeviceError(
                f"Ray cluster {address} cannot be used ({first}); it must run, with the same Ray and Python, "
                "with the same token, and on this machine too"
            ) from None
        try:
            _check_mode(address)
        except BaseException:
            self.close()
            raise


def staffing(nodes: Sequence[Node], config: SweepConfig) -> Staffing:
    """How many screening actors these machines hold, by the settings.

    Raises:
        ConfigError: a GPU for each actor, and no GPU to be used.
        DeviceError: no machine has what one actor needs.
    """
    wanted, device = config.ray, config.detect.device
    if wanted.gpus > 0 and device is Device.CPU:
        raise ConfigError(f"ray.gpus is {wanted.gpus} and detect.device is cpu; leave one of them out")
    if wanted.gpus == 0 and device is Device.CUDA:
        raise ConfigError("ray.gpus is 0 and detect.device is cuda; leave one of them out")
    num_gpus = sum(node.gpus for node in nodes)
    may_have = device is Device.CUDA or (device is Device.AUTO and num_gpus > 0)
    if wanted.gpus > 0 or (wanted.gpus < 0 and may_have):
        return _on_gpus(nodes, wanted)
    return _on_cpus(nodes, wanted)


def _on_gpus(nodes: Sequence[Node], wanted: RayConfig) -> Staffing:
    have = [node for node in nodes if node.gpus]
    if not have:
        raise DeviceError("no node of the Ray cluster has a GPU; give --gpus 0 for CPUs")
    most = wanted.gpus if wanted.gpus > 0 else sum(node.gpus for node in have)
    most = min(most, wanted.workers or most)
    threads = wanted.threads or max(1, min(node.cpus // node.gpus for node in have))
    return _staffing(have, wanted, most, threads, has_gpu=True)


def _on_cpus(nodes: Sequence[Node], wanted: RayConfig) -> Staffing:
    largest = max((node.cpus for node in nodes), default=0)
    threads = wanted.threads or min(THREADS, largest)
    if wanted.workers and not wanted.threads:
        threads = max(1, min(largest, sum(node.cpus for node in nodes) // wanted.workers))
    most = wanted.workers or sum(node.cpus // max(1, threads) for node in nodes)
    return _staffing(nodes, wanted, most, threads, has_gpu=False)


def _staffing(
    nodes: Sequence[Node], wanted: RayConfig, most: int, threads: int, *, has_gpu: bool
) -> Staffing:
    if threads < 1 or not any(node.cpus >= threads for node in nodes):
        raise DeviceError(
            f"no node of the Ray cluster has {max(1, threads)} CPU cores for a screening actor; "
            "set ray.threads lower"
        )
    return Staffing(min(wanted.min_workers, most), most, threads, has_gpu)


def _address(wanted: str) -> str | None:
    """Where a cluster is to be found; None: start one here."""
    if wanted == LOCAL:
        return None
    if wanted != AUTO:
        return wanted
    # What `ray start` wrote down. Others' local Rays are private, and not looked for.
    found: str | None = os.environ.get("RAY_ADDRESS") or services.find_bootstrap_address(None)
    return None if found in (None, "", LOCAL) else found


def _start_local(config: RayConfig) -> None:
    """Ray on the loopback interface, with a token that this process and its children know."""
    cores = len(os.sched_getaffinity(0))
    os.environ |= {
        AUTH_MODE: "token",
        AUTH_TOKEN: secrets.token_hex(32),
        ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR: "0",  # Ray's name for: listen on loopback only
    }
    _reread_token()
    enabled, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False
    try:
        ray.init(
            address=LOCAL,
            num_cpus=max(cores, config.workers * max(1, config.threads)),
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=OBJECT_STORE_BYTES,
            _node_ip_address=LOOPBACK,
        )
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = enabled


def _check_token(address: str) -> None:
    """Refuse to go to a cluster without a token: whoever reaches it could read the archive."""
    mode = os.environ.get(AUTH_MODE, "token").lower()
    default = Path.home() / ".ray" / "auth_token"
    has_token = any(os.environ.get(name) for name in (AUTH_TOKEN, "RAY_AUTH_TOKEN_PATH")) or default.exists()
    if mode != "token" or not has_token:
        raise ConfigError(
            f"Ray cluster {address} needs token authentication and no token is set; start the cluster with "
            f"{AUTH_MODE}=token, and set {AUTH_MODE}=token and RAY_AUTH_TOKEN_PATH here"
        )
    os.environ[AUTH_MODE] = "token"
    _reread_token()


def _check_mode(address: str) -> None:
    """A cluster without authentication takes any token: ask a process of its own."""
    if ray.get(ray.remote(num_cpus=0)(_asks_for_token).remote()):
        return
    raise ConfigError(
        f"Ray cluster {address} takes anybody who reaches it; start it with {AUTH_MODE}=token on every node"
    )


def _asks_for_token() -> bool:
    import os

    return os.environ.get("RAY_AUTH_MODE", "").lower() == "token"


def _reread_token() -> None:
    """Ray keeps mode and token from when it first looked."""
    compiled: Any = _raylet
    compiled.Config.initialize("")
    compiled.AuthenticationTokenLoader.instance().reset_cache()


def _unsaid(*_: Any, **__: Any) -> None:
    """Ray's messages about its own workers: they stand in its logs, too."""


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray puts its own handler of SIGTERM in place of the sweep's."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        with suppress(TypeError):  # a handler that was not set from Python
            signal.signal(signal.SIGTERM, before)
