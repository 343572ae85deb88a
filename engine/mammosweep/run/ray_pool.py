"""Actors of one kind: as many as there is work for, between bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import ray

from mammosweep.run.ray_actors import Place
from mammosweep.run.ray_jobs import Job

__all__ = ["Actor", "Pool"]

IDLE_S = 30.0
"""How long an actor beyond the least may have nothing to do: starting another takes about as long."""


@dataclass(slots=True, eq=False)
class Actor:
    """One actor, what it is at, and what it answered when it was loaded."""

    handle: Any
    loaded: Any  # reference to what `load` returns
    began: Any = None  # reference to what `begin` returns; it is awaited once
    is_ready: bool = False
    jobs: list[Job] = field(default_factory=list)  # in the order in which they were given
    idle_since: float = field(default_factory=monotonic)


class Pool:
    """Starts actors, says which is free, and ends those without work."""

    def __init__(self, start: Callable[[], Actor], *, least: int, most: int, window: int) -> None:
        """Start the least number of actors.

        Args:
            start: makes an actor that is loading.
            least: actors that always stay.
            most: actors at any time.
            window: jobs that an actor is given at once.
        """
        self.actors: list[Actor] = []
        self._start, self._least, self._most, self._window = start, least, most, window
        self._place: Place | None = None
        for _ in range(least):
            self._add()

    @property
    def starting(self) -> list[Actor]:
        """Actors that are not ready yet."""
        return [actor for actor in self.actors if not actor.is_ready]

    @property
    def num_ready(self) -> int:
        """Actors that work, or could."""
        return len(self.actors) - len(self.starting)

    def begin(self, place: Place) -> None:
        """Tell every actor, and those to come, where the run's files are."""
        self._place = place
        for actor in self.actors:
            self._begin(actor, place)

    def free(self, *, alone: bool) -> Actor | None:
        """The actor with the fewest jobs that can take one more.

        Args:
            alone: one that has nothing else to do.
        """
        window = 1 if alone else self._window
        free = [
            actor
            for actor in self.actors
            if actor.is_ready and len(actor.jobs) < window and not any(j.is_suspect for j in actor.jobs)
        ]
        return min(free, key=lambda actor: len(actor.jobs), default=None)

    def scale(self, *, is_wanting: bool) -> None:
        """Add actors where work waits, and end those that have had none for a while.

        At most as many start at a time as work already: a small archive does not start a whole cluster.
        """
        missing = self._least - len(self.actors)
        if is_wanting:
            room, growth = self._most - len(self.actors), max(1, self.num_ready) - len(self.starting)
            missing = max(missing, min(room, growth))
        for _ in range(missing):
            self._add()
        if not is_wanting:
            self._end_idle()

    def release(self, actor: Actor, job: Job) -> None:
        """A job is done."""
        actor.jobs.remove(job)
        actor.idle_since = monotonic()

    def drop(self, actor: Actor) -> None:
        """End an actor, dead already or not to be trusted."""
        if actor in self.actors:
            self.actors.remove(actor)
            ray.kill(actor.handle)

    def close(self) -> None:
        """End all actors."""
        for actor in list(self.actors):
            self.drop(actor)

    def _end_idle(self) -> None:
        too_long = monotonic() - IDLE_S
        idle = [a for a in self.actors if a.is_ready and not a.jobs and a.idle_since < too_long]
        for actor in idle[: max(0, len(self.actors) - self._least)]:
            self.drop(actor)

    def _add(self) -> None:
        actor = self._start()
        self.actors.append(actor)
        if self._place is not None:
            self._begin(actor, self._place)

    def _begin(self, actor: Actor, place: Place) -> None:
        # Its answer to `load` is an argument, so that it begins once it is loaded.
        actor.is_ready, actor.began = False, actor.handle.begin.remote(place, actor.loaded)
