"""Who watches a run from the command line: a log on stderr, a server of metrics, both or neither."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from mammosweep.errors import SweepError
from mammosweep.run.events import Event, RunFailed, RunStopped, Tell
from mammosweep.run.log_format import LogFormat
from mammosweep.run.stop import SweepStopped

__all__ = ["Watch", "watching"]


class Watch:
    """Passes a run's events on to whoever watches."""

    def __init__(self, log: LogFormat | None) -> None:
        self.speaks_json = log is LogFormat.JSON
        self.watchers: list[Tell] = []
        self._is_over = False
        if log is not None:
            from mammosweep.run.log import Log

            self.watchers.append(Log(log, sys.stderr))

    def tell(self, event: Event) -> None:
        """Pass an event on."""
        for watcher in self.watchers:
            watcher(event)

    def ended(self, error: BaseException) -> bool:
        """Say once how the run ended early; True where nothing else is to be written beside the log."""
        if not self._is_over:
            self._is_over = True
            self.tell(_ending(error))
        return self.speaks_json


@contextmanager
def watching(log: LogFormat | None, metrics: str | None) -> Iterator[Watch]:
    """Those who watch a run, while the block lasts.

    Args:
        log: how to log; None: not.
        metrics: where to serve them, see `metrics.parse_address`; None: nowhere.

    Raises:
        ConfigError: metrics cannot be served there.
    """
    watch = Watch(log)
    with ExitStack() as stack:
        if metrics is not None:
            from mammosweep.run.metrics import serve

            watch.watchers.append(stack.enter_context(serve(metrics)))
        try:
            yield watch
        except BaseException as error:
            watch.ended(error)
            raise


def _ending(error: BaseException) -> Event:
    if isinstance(error, SweepStopped):
        return RunStopped(error.why, error.exams, error.done)
    if isinstance(error, KeyboardInterrupt):
        return RunFailed("KeyboardInterrupt", "stopped; run the same command again to continue")
    # Only what is raised on purpose keeps patients out of its text: see errors.py.
    return RunFailed(type(error).__name__, str(error) if isinstance(error, SweepError) else "")
