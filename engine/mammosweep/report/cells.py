"""Values as cells of a CSV that people open in spreadsheets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mammosweep.report.words import plain, status_words

__all__ = ["cell", "cell_value"]

# What spreadsheets take for the start of a formula (OWASP, "CSV Injection"); the last four are the full-width
# forms that some of them fold to ASCII. Tab and CR count only before control characters are stripped.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def cell_value(row: Mapping[str, Any], column: str) -> object:
    """What a worklist shows of an exam's column."""
    value = row[column]
    if column == "flags":
        return " ".join(value or ())
    if column == "status":
        return status_words(value)
    # Six digits: what equal results agree to; the tables hold the rest.
    return f"{value:.6f}" if isinstance(value, float) else value


def cell(value: object) -> str:
    """A value's text, in a form that no spreadsheet runs."""
    raw = "" if value is None else str(value)
    text = plain(raw)
    dangerous = raw.startswith(_FORMULA_STARTS) or text.lstrip().startswith(_FORMULA_STARTS)
    return f"'{text}" if dangerous else text
