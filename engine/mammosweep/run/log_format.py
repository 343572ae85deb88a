"""The choices of `--log`, apart from what writes it, so that the command line loads nothing for them."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["LogFormat"]


class LogFormat(StrEnum):
    """How lines are written."""

    JSON = "json"
    TEXT = "text"
