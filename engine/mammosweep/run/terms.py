"""The terms of one run, beside the settings that its results depend on."""

from __future__ import annotations

from dataclasses import dataclass, field

from mammosweep.run.events import Tell, nobody
from mammosweep.run.select import EVERYTHING, Selection
from mammosweep.run.stop import Stop

__all__ = ["Terms"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a run sweeps, when it stops, and who watches it."""

    selection: Selection = EVERYTHING
    stop: Stop = field(default_factory=Stop)
    tell: Tell = nobody
