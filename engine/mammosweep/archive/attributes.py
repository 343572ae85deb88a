"""Attributes as typed values, or an error that names the attribute and never its free text."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias, overload

from mammosweep.archive.plain import PADDING
from mammosweep.archive.values import Header
from mammosweep.archive.walk import UnusualError
from mammosweep.errors import HeaderError, Reason

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["Attributes", "as_dataset", "floats", "integer", "items", "named", "shown", "text", "words"]

Attributes: TypeAlias = "Header | Dataset"
"""A data set, or an item of a sequence in one."""


@cache
def named(keyword: str) -> str:
    """An attribute's name and tag.

    >>> named("Rows")
    'Rows (0028,0010)'
    """
    from pydicom.datadict import dictionary_description, tag_for_keyword  # of all of DICOM

    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    return f"{dictionary_description(tag)} ({tag >> 16:04X},{tag & 0xFFFF:04X})"


def shown(value: str, known: Collection[str]) -> str:
    """A header's word for a message: only words that cannot be a patient's are repeated."""
    if not value:
        return "empty"
    return repr(value) if value in known else "a word that is not defined"


def as_dataset(attributes: Attributes) -> Dataset:
    """The same as pydicom reads it."""
    return attributes.dataset if isinstance(attributes, Header) else attributes


def words(dataset: Attributes, keyword: str) -> list[str]:
    """Every value as text, stripped; an empty list where the attribute is missing or empty."""
    return [str(value).strip(PADDING) for value in _values(dataset, keyword)]


def text(dataset: Attributes, keyword: str) -> str:
    """The only value as text, several joined by backslashes; empty where it is missing or empty."""
    if type(dataset) is Header:
        found = dataset.found.get(keyword, "")
        if type(found) is str:  # as most are
            return found
    return "\\".join(words(dataset, keyword))


def floats(dataset: Attributes, keyword: str) -> list[float]:
    """Every value as a number; not-a-number and infinity come through.

    Raises:
        HeaderError: HEADER_MALFORMED, a value is no number.
    """
    try:
        if type(dataset) is Header:
            found = dataset.found.get(keyword, "")
            if type(found) is str:
                return [float(found)] if found else []
        return [float(value) for value in _values(dataset, keyword)]
    except (TypeError, ValueError, OverflowError):
        raise _malformed(keyword, "numbers") from None


def integer(dataset: Attributes, keyword: str) -> int | None:
    """The only value as a whole number; None where the attribute is missing or empty.

    Raises:
        HeaderError: HEADER_MALFORMED, there are several values, or it is no whole number.
    """
    if type(dataset) is Header:
        found = dataset.found.get(keyword)
        if found is None or type(found) is int:
            return found
    values = _values(dataset, keyword)
    if not values:
        return None
    try:
        (value,) = map(float, values)
        if value.is_integer():
            return int(value)
    except (TypeError, ValueError, OverflowError):
        pass
    raise _malformed(keyword, "one whole number")


@overload
def items(dataset: Dataset, keyword: str) -> list[Dataset]: ...


@overload
def items(dataset: Attributes, keyword: str) -> list[Attributes]: ...


def items(dataset: Attributes, keyword: str) -> list[Any]:
    """The items of a sequence; an empty list where it is missing or empty."""
    if type(dataset) is Header and keyword not in dataset.found:
        return []
    found = _values(dataset, keyword)
    if not found or isinstance(found[0], Header):
        return found
    from pydicom.dataset import Dataset

    if not all(isinstance(item, Dataset) for item in found):
        raise _malformed(keyword, "a sequence of items")
    return found


def _values(dataset: Attributes, keyword: str) -> list[Any]:
    if isinstance(dataset, Header):
        try:
            return dataset.values(keyword)
        except UnusualError:
            dataset = dataset.dataset
    return _values_by_pydicom(dataset, keyword)


def _values_by_pydicom(dataset: Dataset, keyword: str) -> list[Any]:
    from pydicom.multival import MultiValue

    try:
        value = dataset.get(keyword)
    except Exception:  # pydicom converts on access and raises whatever the bytes provoke
        raise _malformed(keyword, "a value of its kind") from None
    if value is None or value in ("", b""):
        return []
    if isinstance(value, MultiValue | list | tuple) or keyword.endswith("Sequence"):
        return _listed(value, keyword)
    return [value]


def _listed(value: Any, keyword: str) -> list[Any]:
    try:
        return list(value)
    except TypeError:
        raise _malformed(keyword, "a sequence of items") from None


def _malformed(keyword: str, expected: str) -> HeaderError:
    return HeaderError(Reason.HEADER_MALFORMED, f"{named(keyword)} cannot be read; expected {expected}")
