"""What a command says, and with which code it exits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from mammosweep.errors import SweepError

__all__ = ["FAILED", "INTERRUPTED", "NOT_SCORED", "UNUSABLE", "said", "say", "tell"]

FAILED, UNUSABLE, NOT_SCORED, INTERRUPTED = 1, 2, 3, 130


@contextmanager
def said(exit_code: int, logged: Callable[[BaseException], bool] = lambda error: False) -> Iterator[None]:
    """What goes wrong on purpose becomes one sentence on stderr and an exit code.

    ``logged`` is told of it first; where it gives True no sentence follows.
    """
    try:
        yield
    except (SweepError, OSError, KeyboardInterrupt) as error:
        if not logged(error):
            say(f"mammosweep: {_sentence(error)}")
        raise typer.Exit(INTERRUPTED if isinstance(error, KeyboardInterrupt) else exit_code) from None


def _sentence(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "stopped; run the same command again to continue"
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'}: {error.strerror or error}"
    return str(error)


def tell(sentence: str) -> None:
    """A sentence on stdout."""
    Console().print(sentence, highlight=False, markup=False, soft_wrap=True)


def say(sentence: str) -> None:
    """A sentence on stderr."""
    Console(stderr=True).print(sentence, highlight=False, markup=False, soft_wrap=True)
