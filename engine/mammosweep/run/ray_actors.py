"""What actors do: one kind screens chunks, the other decides and commits. Ray itself is not needed here.

Both are loaded by a method and not by their constructor, because what a constructor raises is lost: Ray says
only that the actor died.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, fields
from importlib import import_module
from itertools import chain
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from time import perf_counter
from typing import Any

from mammosweep.archive.source import Source, open_source
from mammosweep.bundle import open_bundle
from mammosweep.config import SweepConfig
from mammosweep.errors import ConfigError, DeviceError, SourceError
from mammosweep.records import ExamRef, ImageStatus, ScreenedExam
from mammosweep.run import ray_pictures
from mammosweep.run.chunks import Chunk
from mammosweep.run.ledger import PARTS, TEMPORARY, Writer, commit
from mammosweep.run.ray_jobs import Decided, Screened
from mammosweep.run.screener import About, Decider, Finder

__all__ = ["DecisionActor", "Loading", "Place", "ScreeningActor", "named"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """What an actor loads."""

    loader: str  # "module:function", imported where the actor lives
    config: SweepConfig
    bundle: Path | None
    bundle_digest: str | None  # what the driver found there; None: the loader has no bundle
    hides_gpus: bool = False  # an actor that was given no GPU must not take one that it happens to see


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a run's files are; every actor must reach them under the driver's own names."""

    source_url: str
    writer: Writer
    probe: str  # a folder that the driver made below parts/
    pages: bool
    bundle_note: str


class ScreeningActor:
    """Has the networks: exams to findings, as one stream over all chunks that it is given."""

    def load(self, loading: Loading) -> About:
        """Load the networks; SweepErrors as `load_finder` has them."""
        if loading.hides_gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        _check_bundle(loading)
        self._config = loading.config
        self._finder: Finder = named(loading.loader)(loading.config, loading.bundle)
        return About(**{field.name: getattr(self._finder, field.name) for field in fields(About)})

    def begin(self, place: Place, about: About) -> About:
        """Open the source and look whether the sweep's folder is the driver's.

        Raises:
            SourceError: this node does not have the source.
            DeviceError: this node does not have the folder.
        """
        _check_place(place)
        try:
            source = open_source(place.source_url, config=self._config.archive)
        except SourceError as error:
            raise SourceError(f"on node {socket.gethostname()}: {error}") from None
        self._stream = _Stream(self._finder, source, place)
        return about

    def screen(self, chunk: Chunk) -> tuple[None, Screened]:
        """A chunk's findings. While one chunk is in the networks, the next one's files are read: call twice.

        The first of both results is small and says that the second is there.
        """
        return None, self._stream.screened(chunk)


class DecisionActor:
    """Has the models: a chunk's findings to outcomes, committed for the process that holds the lock."""

    def load(self, loading: Loading) -> None:
        """Load the models; SweepErrors as `load_decider` has them."""
        _check_bundle(loading)
        self._decide: Decider = named(loading.loader)(loading.config, loading.bundle)

    def begin(self, place: Place, _: None) -> None:
        """Look whether the sweep's folder is the driver's; DeviceError where it is not."""
        _check_place(place)
        self._place = place

    def decide(self, chunk: Chunk, screened: Screened) -> Decided:
        """Decide about every exam and commit the chunk.

        Raises:
            LedgerError: the disk refuses it.
        """
        place, start = self._place, perf_counter()
        outcomes = [
            self._decide(ray_pictures.take(place.writer.out, screened.staging, index, exam))
            for index, exam in enumerate(screened.exams)
        ]
        decided = perf_counter()
        seconds = dict(screened.seconds) | {"exam": decided - start}
        part = commit(
            place.writer,
            chunk,
            outcomes,
            seconds=seconds,
            pages=place.pages,
            bundle_note=place.bundle_note,
        )
        ray_pictures.remove(place.writer.out, chunk.id)
        used = [sum(image.status is ImageStatus.USED for image in outcome.images) for outcome in outcomes]
        return Decided(
            part=part,
            exams=tuple((outcome.status, views) for outcome, views in zip(outcomes, used, strict=True)),
            seconds=perf_counter() - decided,
        )


def named(loader: str) -> Callable[..., Any]:
    """The function that "module:function" names."""
    module, _, function = loader.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), function)
    return found


def _check_bundle(loading: Loading) -> None:
    if loading.bundle_digest is None or open_bundle(loading.bundle).digest == loading.bundle_digest:
        return
    raise ConfigError(
        f"the bundle on node {socket.gethostname()} is another than the driver's; install the same release "
        "on every node, or give a --bundle that all of them mount"
    )


def _check_place(place: Place) -> None:
    parts = place.writer.out / PARTS
    trial = parts / f"{TEMPORARY}trial-{secrets.token_hex(4)}"  # a folder, as whatever a killed run leaves
    try:
        (parts / place.probe).stat()
        trial.mkdir()
        trial.rmdir()
    except OSError as error:
        raise DeviceError(
            f"node {socket.gethostname()} cannot use {place.writer.out} ({error.strerror}): every node "
            "commits there; give an --out on storage that all mount at the same path and may write to"
        ) from None


@dataclass(slots=True, eq=False)
class _Order:
    """A chunk that a thread waits for."""

    chunk: Chunk
    staging: str
    done: list[ScreenedExam]
    screened: Future[Screened]


class _Stream:
    """Runs chunks through the finder one behind the other.

    The finder reads ahead of its networks, so what it is given must not end with each chunk; and it must end
    where no further chunk waits, because only then does it give its last exams.
    """

    def __init__(self, finder: Finder, source: Source, place: Place) -> None:
        self._finder, self._source, self._place = finder, source, place
        self._orders: SimpleQueue[_Order] = SimpleQueue()
        self._counted = finder.clock.snapshot()
        Thread(target=self._serve, name="screen", daemon=True).start()

    def screened(self, chunk: Chunk) -> Screened:
        """Wait for a chunk's findings; may be called by several threads."""
        staging = ray_pictures.staging_name(chunk.id, secrets.token_hex(4)) if self._place.pages else ""
        order = _Order(chunk, staging, [], Future())
        self._orders.put(order)
        return order.screened.result()

    def _serve(self) -> None:
        while True:
            self._run(self._orders.get())

    def _run(self, first: _Order) -> None:
        taken: deque[_Order] = deque()
        exams = chain.from_iterable(self._taken(first, taken))
        try:
            with closing(self._finder.find(exams, self._source)) as found:  # type: ignore[type-var]
                for exam in found:
                    self._note(exam, taken)
        except BaseException as error:  # the threads that wait raise it, and so the run ends
            for order in taken:
                order.screened.set_exception(error)

    def _taken(self, first: _Order, taken: deque[_Order]) -> Iterator[tuple[ExamRef, ...]]:
        order: _Order | None = first
        while order is not None:
            taken.append(order)
            yield order.chunk.exams
            try:
                order = self._orders.get_nowait()
            except Empty:
                order = None

    def _note(self, exam: ScreenedExam, taken: deque[_Order]) -> None:
        order = taken[0]
        if order.staging:
            exam = ray_pictures.write(self._place.writer.out, order.staging, len(order.done), exam)
        else:
            exam = ray_pictures.without_pictures(exam)
        order.done.append(exam)
        if len(order.done) < len(order.chunk.exams):
            return
        taken.popleft()
        order.screened.set_result(
            Screened(exams=tuple(order.done), seconds=self._seconds(), staging=order.staging)
        )

    def _seconds(self) -> dict[str, float]:
        """By stage, since the last chunk."""
        before, self._counted = self._counted, self._finder.clock.snapshot()
        return {stage: total - before.get(stage, 0.0) for stage, total in self._counted.items()}
