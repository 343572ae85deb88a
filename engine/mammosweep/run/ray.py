"""Chunks carried out by Ray: screening actors find, decision actors match, score and commit.

Reading order: here, `ray_dispatch.py` (the loop), `ray_actors.py` (what actors do), `ray_jobs.py` (what dying
leads to), `ray_pool.py`, `ray_cluster.py`. Only files of this name import Ray.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import ray

from mammosweep.archive.source import is_for_every_process
from mammosweep.bundle import open_bundle
from mammosweep.clock import SCREEN
from mammosweep.config import SweepConfig
from mammosweep.errors import ConfigError, DeviceError
from mammosweep.run.chunks import Chunk
from mammosweep.run.executor import Work
from mammosweep.run.ledger import PARTS, TEMPORARY, Writer
from mammosweep.run.part import Part
from mammosweep.run.ray_actors import DecisionActor, Loading, Place, ScreeningActor
from mammosweep.run.ray_cluster import Cluster, Staffing, staffing
from mammosweep.run.ray_dispatch import ActorDied, Dispatch, answer
from mammosweep.run.ray_pool import Actor, Pool
from mammosweep.run.screener import About

__all__ = ["DECIDER", "FINDER", "RayExecutor"]

FINDER = "mammosweep.run.screener:load_finder"
DECIDER = "mammosweep.run.screener:load_decider"

WINDOW = 2
"""Chunks that a screening actor has at once: while one is in its networks, the next one's files are read."""


class RayExecutor:
    """See `Executor`. One screening actor is loaded when this is made: what is wrong is said at once."""

    def __init__(
        self,
        config: SweepConfig,
        bundle: Path | None = None,
        *,
        finder: str = FINDER,
        decider: str = DECIDER,
    ) -> None:
        """Connect to Ray and load the first actor.

        Args:
            config: the settings; ``ray.address`` says where.
            bundle: the model's folder, as every node knows it.
            finder: "module:function" of what an actor loads to screen, `screener.load_finder` by default.
            decider: likewise to decide, `screener.load_decider`.

        Raises:
            BundleError: the bundle is missing, damaged or does not fit.
            ConfigError: the cluster does not ask for a token, or a node has another bundle.
            DeviceError: no cluster, no room in it, or a node lacks the device.
        """
        digest = open_bundle(bundle).digest if finder == FINDER else None
        bundle = None if bundle is None else bundle.resolve()
        self._cluster = Cluster(config)
        try:
            staff = staffing(self._cluster.nodes(), config)
            loading = Loading(
                loader=finder,
                config=_of_actor(config, staff),
                bundle=bundle,
                bundle_digest=digest,
                hides_gpus=not staff.has_gpu,
            )
            self._screening = Pool(
                partial(_start_screening, loading, staff), least=staff.least, most=staff.most, window=WINDOW
            )
            self._deciding = Pool(
                partial(_start_deciding, replace(loading, loader=decider)),
                least=1,
                most=config.ray.deciders or staff.most,
                window=1,
            )
            self._about = _first_about(self._screening, config.ray.start_deadline_s)
        except BaseException:
            self._cluster.close()
            raise

    @property
    def about(self) -> About:
        """See `Executor`."""
        return self._about

    def run(self, chunks: Iterable[Chunk], work: Work) -> Iterator[Part]:
        """See `Executor`.

        Raises:
            ConfigError: the source is in this process's memory, where no actor can read it.
            SourceError: a node does not have the source.
            DeviceError: a node does not have the sweep's folder, computes otherwise than the rest, or actors
                die without end.
            LedgerError: a chunk could not be committed.
        """
        if not is_for_every_process(work.source):
            raise ConfigError(
                "the source is in this process's memory, where no actor of Ray can read it; give a folder or "
                "a URL, or leave --ray out"
            )
        out = work.ledger.out.resolve()
        probe = out / PARTS / f"{TEMPORARY}shared-{secrets.token_hex(8)}"
        probe.mkdir()
        place = Place(
            source_url=work.source.url,
            writer=Writer(out, work.ledger.run_id, work.ledger.identity),
            probe=probe.name,
            pages=work.pages,
            bundle_note=self._about.bundle_note,
        )
        try:
            with work.clock.measure(SCREEN):
                self._screening.begin(place)
                self._deciding.begin(place)
                yield from Dispatch(self._screening, self._deciding, work, self._about).parts(chunks)
        finally:
            with suppress(OSError):
                probe.rmdir()

    def close(self) -> None:
        """See `Executor`. What actors are at is lost, and done by the next run."""
        self._screening.close()
        self._deciding.close()
        self._cluster.close()


def _of_actor(config: SweepConfig, staff: Staffing) -> SweepConfig:
    """The settings with an actor's share of the cores; its results' digest is the same."""
    threads = staff.threads
    return replace(
        config,
        detect=replace(config.detect, threads=threads),
        pixels=replace(config.pixels, workers=min(config.pixels.workers or threads, threads)),
    )


def _start_screening(loading: Loading, staff: Staffing) -> Actor:
    made = ray.remote(ScreeningActor).options(
        num_cpus=staff.threads,
        num_gpus=1 if staff.has_gpu else 0,
        max_concurrency=WINDOW,
        max_restarts=0,
        max_task_retries=0,
    )
    handle: Any = made.remote()
    return Actor(handle, handle.load.remote(loading))


def _start_deciding(loading: Loading) -> Actor:
    # Without a claim to a core: screening actors may have claimed all, and a decision takes milliseconds.
    made = ray.remote(DecisionActor).options(
        num_cpus=0, max_restarts=0, max_task_retries=0, scheduling_strategy="SPREAD"
    )
    handle: Any = made.remote()
    return Actor(handle, handle.load.remote(loading))


def _first_about(pool: Pool, deadline_s: float) -> About:
    """What the first loaded actor says of itself."""
    done, _ = ray.wait([actor.loaded for actor in pool.actors], num_returns=1, timeout=deadline_s)
    if not done:
        raise DeviceError(
            f"no screening actor was loaded within {deadline_s:g} s (ray.start_deadline_s); look with `ray "
            "status` whether the cluster has room for one"
        )
    try:
        about: About = answer(done[0])
    except ActorDied as death:
        raise DeviceError(f"the first screening actor died while it was loaded: {death}") from None
    return about
