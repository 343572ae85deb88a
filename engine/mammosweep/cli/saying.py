"""What a command says, and with which code it exits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from mammosweep.errors import SweepError

__all__ = ["FAILED", "INTERRUPTED", "NOT_SCORED", "UNUSABLE", "said", "say", "tell"]

FAILED, UNUSABLE, NOT_SCORED, INTERRUPTED = 1, 2, 3, 130


@contextmanager
def said(exit_code: int) -> Iterator[None]:
    """What goes wrong on purpose becomes one sentence on stderr and an exit code."""
    try:
        yield
    except SweepError as error:
        say(f"mammosweep: {error}")
        raise typer.Exit(exit_code) from None
    except OSError as error:
        say(f"mammosweep: {error.filename or 'a file'}: {error.strerror or error}")
        raise typer.Exit(exit_code) from None
    except KeyboardInterrupt:
        say("mammosweep: stopped; run the same command again to continue")
        raise typer.Exit(INTERRUPTED) from None


def tell(sentence: str) -> None:
    """A sentence on stdout."""
    Console().print(sentence, highlight=False, markup=False, soft_wrap=True)


def say(sentence: str) -> None:
    """A sentence on stderr."""
    Console(stderr=True).print(sentence, highlight=False, markup=False, soft_wrap=True)
