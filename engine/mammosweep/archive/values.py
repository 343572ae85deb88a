"""A header's attributes as lists of values: plain ones as they were found, all others by pydicom."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mammosweep.archive.plain import Span
from mammosweep.archive.walk import Found, UnusualError, items_of

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["Header"]

CODE_SEQUENCES = frozenset({"ViewCodeSequence", "ViewModifierCodeSequence"})


class Header:
    """The attributes of one data set of a file that was walked."""

    __slots__ = ("_as_dataset", "_data", "_dataset", "_is_implicit", "found")

    def __init__(
        self, data: bytes, found: Found, as_dataset: Callable[[], Dataset], *, is_implicit: bool
    ) -> None:
        """Take what was found.

        Args:
            data: the file's first bytes.
            found: values, and where in them others lie.
            as_dataset: reads the same by pydicom; called when something is not plain.
            is_implicit: VRs are not written.
        """
        self.found = found
        self._data = data
        self._as_dataset = as_dataset
        self._is_implicit = is_implicit
        self._dataset: Dataset | None = None

    @property
    def dataset(self) -> Dataset:
        """The same as pydicom reads it."""
        if self._dataset is None:
            self._dataset = self._as_dataset()
        return self._dataset

    def values(self, keyword: str) -> list[Any]:
        """Every value of an attribute: text, number or item; none where it is missing or empty.

        Numbers that are written as text are given as text.

        Raises:
            UnusualError: pydicom has to be asked.
        """
        found = self.found.get(keyword)
        if isinstance(found, Span):
            return self._items(keyword, found)
        if isinstance(found, list):
            return found
        return [] if found in (None, "") else [found]

    def _items(self, keyword: str, span: Span) -> list[Header]:
        if keyword not in CODE_SEQUENCES:
            raise UnusualError
        items = items_of(self._data, span, is_implicit=self._is_implicit)
        return [self._item(keyword, index, found) for index, found in enumerate(items)]

    def _item(self, keyword: str, index: int, found: Found) -> Header:
        as_dataset = self._as_dataset  # not `self`, which would hold itself
        return Header(
            self._data,
            found,
            lambda: as_dataset()[keyword].value[index],
            is_implicit=self._is_implicit,
        )
