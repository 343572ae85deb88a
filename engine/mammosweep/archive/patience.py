"""Waiting for storage only so long: what hangs is left behind, and the sweep goes on.

A read that hangs in the kernel or in a storage's library cannot be stopped. So it is done by a helper, a
daemon thread that each reading thread keeps for itself; a helper that hangs is left to its fate and replaced.
It holds its thread until the storage answers, but neither a sweep nor the end of a process waits for it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import TIMEOUT_MAX, Lock
from time import monotonic
from typing import Generic, TypeVar

from mammosweep.errors import HeaderError, Reason

__all__ = ["MAX_LEFT_BEHIND", "each_within", "num_left_behind", "within"]

MAX_LEFT_BEHIND = 64
"""Helpers of one process that may hang at a time: a few megabytes. Beyond, storage is taken for dead."""

Item = TypeVar("Item")
T = TypeVar("T")


def within(seconds: float, work: Callable[[], T], *, tries: int = 2) -> T:
    """Do the work, in another thread, but wait no longer than this for each try.

    What it raises is raised here, at the first try. Work that timed out may still end later, so it must
    leave nothing behind that the next try or the caller would stumble over: it opens and closes its own file.

    Raises:
        HeaderError: READ_TIMEOUT: no try ended in time, or too many others hang already.
    """
    (result,) = each_within(seconds, lambda _: work(), [None], tries=tries)
    if isinstance(result, HeaderError):
        raise result
    return result


def each_within(
    seconds: float, work: Callable[[Item], T], items: Sequence[Item], *, tries: int = 2
) -> list[T | HeaderError]:
    """Do the work for each item as `within` does; what hangs has the error in its place.

    Cheaper than as many calls: two threads hand over once, not for every item.
    """
    results: list[T | HeaderError] = []
    num_tried = 0
    while rest := items[len(results) :]:
        if (helper := _own_helper()) is None:
            return results + [_too_many_hang()] * len(rest)
        turn = _Turn(work, rest)
        helper.begin(turn)
        try:
            is_done = turn.wait(seconds)
        except BaseException:  # Ctrl-C
            _leave_behind(helper, turn)
            raise
        found = turn.results[: len(rest)]
        results += found
        if is_done:
            turn.reraise()
            return results
        _leave_behind(helper, turn)
        num_tried = 1 if found else num_tried + 1
        if num_tried == tries and len(results) < len(items):
            results.append(_timeout(seconds, tries))
            num_tried = 0
    return results


def num_left_behind() -> int:
    """How many helpers hang at the moment."""
    return len(_left_behind)


def _timeout(seconds: float, tries: int) -> HeaderError:
    times = "once" if tries == 1 else f"{tries} times"
    return HeaderError(
        Reason.READ_TIMEOUT,
        f"the storage was asked {times} and did not answer within {seconds:g} s (read_deadline_s); check it "
        "and run again",
    )


def _too_many_hang() -> HeaderError:
    return HeaderError(
        Reason.READ_TIMEOUT, f"not read: {MAX_LEFT_BEHIND} other reads hang; check the storage and run again"
    )


class _Turn(Generic[Item, T]):
    """Items that a helper works through, one after the other, while its owner waits for the last."""

    def __init__(self, work: Callable[[Item], T], items: Sequence[Item]) -> None:
        self.results: list[T] = []
        self._work = work
        self._items = items
        self._error: BaseException | None = None
        self._began_at = monotonic()  # with the item that is being worked on
        self._is_given_up = False
        self._over = Lock()
        self._over.acquire()

    def run(self) -> None:
        """What the helper does: all items, up to the first that raises."""
        try:
            for item in self._items:
                if self._is_given_up:
                    return
                self._began_at = monotonic()
                self.results.append(self._work(item))
        except BaseException as error:  # the owner's to judge
            self._error = error
        finally:
            self._over.release()

    def wait(self, seconds: float) -> bool:
        """Wait for the end; False as soon as one item has taken longer than this."""
        while (left := self._began_at + seconds - monotonic()) > 0:
            if self._over.acquire(timeout=min(left, TIMEOUT_MAX)):
                return True
        return False

    def give_up(self) -> None:
        """Let the helper begin with no further item."""
        self._is_given_up = True

    def reraise(self) -> None:
        """Raise what the work raised, if it did."""
        if self._error is None:
            return
        try:
            raise self._error
        finally:
            self._error = None  # it refers to this frame, and so to itself


class _Helper:
    """A thread that takes one turn after the other for the thread that owns this."""

    def __init__(self) -> None:
        self.turns: SimpleQueue[_Turn | None] = SimpleQueue()  # type: ignore[type-arg]
        # The thread knows the queue, not the helper, so that it ends when the helper's owner does.
        threading.Thread(target=_serve, args=(self.turns,), name="mammosweep-reader", daemon=True).start()

    def begin(self, turn: _Turn[Item, T]) -> None:
        self.turns.put(turn)

    def __del__(self) -> None:
        self.turns.put(None)


def _serve(turns: SimpleQueue[_Turn | None]) -> None:  # type: ignore[type-arg]
    while (turn := turns.get()) is not None:
        turn.run()
        del turn  # nothing of its files is kept until the next
    _left_behind.discard(id(turns))


_own = threading.local()
_left_behind: set[int] = set()  # by the identity of their queue, which lives as long as their thread
os.register_at_fork(after_in_child=lambda: _own.__dict__.clear())  # a fork has no other threads


def _own_helper() -> _Helper | None:
    """The calling thread's; None where it would take a new one, and too many hang already."""
    helper: _Helper | None = getattr(_own, "helper", None)
    if helper is None and len(_left_behind) < MAX_LEFT_BEHIND:
        helper = _own.helper = _Helper()
    return helper


def _leave_behind(helper: _Helper, turn: _Turn[Item, T]) -> None:
    turn.give_up()
    _left_behind.add(id(helper.turns))  # before its thread can end, which takes it out again
    helper.turns.put(None)
    _own.helper = None
