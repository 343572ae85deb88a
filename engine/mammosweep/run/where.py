"""`--where`: a small language over what the catalog knows of an exam. Nothing in it is run as code.

    study_date >= 2015-01-01 and study_date < 2016-01-01
    site = north or path ~ 'archive2/*'
    patient_key in keys.txt and not exam_id in ('1.2.3', '1.2.4')

``study_date`` compares with ``= != < <= > >=``; the texts ``exam_id``, ``patient_key``, ``path`` and
``site`` with ``= !=`` and, for shell patterns whose ``*`` also takes slashes, ``~ !~``. ``in`` takes a list
in brackets or a file with one value a line. ``site`` is the first folder of a path, empty for files that
lie in none; an exam's paths and sites are those of all its files, and one that fits is enough. An exam
without a date or key fits no comparison but ``!=`` and ``!~``. ``not`` binds strongest, then ``and``, then
``or``; brackets group.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from operator import ge, gt, le, lt
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from mammosweep.errors import ConfigError

if TYPE_CHECKING:
    from mammosweep.records import ExamRef

__all__ = ["COLUMNS", "Test", "parse_where"]

Test: TypeAlias = "Callable[[ExamRef], bool]"

DATE = "study_date"
TEXTS: Mapping[str, Callable[[ExamRef], Collection[str]]] = {
    "exam_id": lambda exam: (exam.exam_id,),
    "patient_key": lambda exam: () if exam.patient_key is None else (exam.patient_key,),
    "path": lambda exam: [image.path for image in exam.images],
    "site": lambda exam: {image.path.rpartition("/")[0].partition("/")[0] for image in exam.images},
}
COLUMNS = (DATE, *TEXTS)

ORDERS: Mapping[str, Callable[[date, date], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge}
WORDS = frozenset({"and", "or", "not", "in"})

TOKEN = re.compile(
    r"""\s*(?:
        '(?P<single>[^']*)' | "(?P<double>[^"]*)"
        | (?P<sign> <= | >= | != | !~ | == | [=<>~(),] )
        | (?P<word> [^\s'"<>=!~(),]+ )
    )""",
    re.VERBOSE,
)

MAX_DEPTH = 50
"""Of brackets and nots in each other: more is a mistake, and would exhaust Python's stack."""


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    is_value: bool  # a word or a quoted text; else a sign or one of WORDS

    def __str__(self) -> str:
        return repr(self.text) if self.text else "its end"


END = _Token("", False)


def parse_where(text: str) -> Test:
    """The test that an expression stands for.

    Raises:
        ConfigError: it is no such expression, or a file that it names cannot be read.
    """
    return _Parser(text).whole()


class _Parser:
    """Reads one expression from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._split())
        self._next = 0
        self._depth = 0

    def whole(self) -> Test:
        if not self._tokens:
            self._refuse("it is empty; leave the option out to sweep everything")
        test = self._either()
        if self._peek() is not END:
            self._refuse(f"expected 'and', 'or' or its end, found {self._peek()}")
        return test

    def _either(self) -> Test:
        tests = [self._both()]
        while self._take_if("or"):
            tests.append(self._both())
        return tests[0] if len(tests) == 1 else lambda exam: any(test(exam) for test in tests)

    def _both(self) -> Test:
        tests = [self._one()]
        while self._take_if("and"):
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda exam: all(test(exam) for test in tests)

    def _one(self) -> Test:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._refuse(f"brackets and 'not' lie more than {MAX_DEPTH} deep in each other")
        test = self._inverse() if self._take_if("not") else self._grouped_or_compared()
        self._depth -= 1
        return test

    def _inverse(self) -> Test:
        test = self._one()
        return lambda exam: not test(exam)

    def _grouped_or_compared(self) -> Test:
        if not self._take_if("("):
            return self._comparison()
        test = self._either()
        if not self._take_if(")"):
            self._refuse(f"expected ')', found {self._peek()}")
        return test

    def _comparison(self) -> Test:
        column = self._take()
        if column.text not in COLUMNS:
            self._refuse(f"there is no column {column}; expected one of {', '.join(COLUMNS)}")
        sign = self._take()
        if sign.text == "in":
            return self._membership(column.text)
        if sign.text in ("=", "=="):
            return _any_of(column.text, {self._value(column.text)})
        if sign.text == "!=":
            return _inverted(_any_of(column.text, {self._value(column.text)}))
        if sign.text in ORDERS and column.text == DATE:
            return _ordered(ORDERS[sign.text], self._value(DATE))
        if sign.text in ("~", "!~") and column.text in TEXTS:
            test = _like(column.text, str(self._value(column.text)))
            return test if sign.text == "~" else _inverted(test)
        signs = "=, !=, <, <=, >, >= or in" if column.text == DATE else "=, !=, ~, !~ or in"
        self._refuse(f"expected {signs} after {column}, found {sign}")

    def _membership(self, column: str) -> Test:
        if not self._take_if("("):
            return _any_of(column, {self._typed(column, line) for line in self._lines(self._value("file"))})
        values = {self._value(column)}
        while self._take_if(","):
            values.add(self._value(column))
        if not self._take_if(")"):
            self._refuse(f"expected ',' or ')' in a list, found {self._peek()}")
        return _any_of(column, values)

    def _lines(self, name: str) -> list[str]:
        try:
            lines = Path(name).read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            said = getattr(error, "strerror", None) or "it is no UTF-8 text"
            self._refuse(f"the file {name} cannot be read: {said}; give one value a line")
        return [line.strip() for line in lines if line.strip()]

    def _value(self, column: str) -> Any:
        token = self._take()
        if not token.is_value:
            self._refuse(f"expected a value, found {token}; put what is no plain word in quotes")
        return self._typed(column, token.text)

    def _typed(self, column: str, text: str) -> Any:
        if column != DATE:
            return text
        try:
            return date.fromisoformat(text)
        except ValueError:
            self._refuse(f"{DATE} is compared with {text!r}; expected a date such as 2015-01-31")

    def _peek(self) -> _Token:
        return self._tokens[self._next] if self._next < len(self._tokens) else END

    def _take(self) -> _Token:
        token = self._peek()
        self._next += 1
        return token

    def _take_if(self, text: str) -> bool:
        is_it = not self._peek().is_value and self._peek().text == text
        self._next += is_it
        return is_it

    def _split(self) -> list[_Token]:
        tokens, at, end = [], 0, len(self._text.rstrip())
        while at < end:
            found = TOKEN.match(self._text, at)
            if found is None:
                self._refuse(f"{self._text[at:].strip()!r} cannot be read; is a quote not closed?")
            at = found.end()
            kind, text = str(found.lastgroup), found[str(found.lastgroup)]
            is_keyword = kind == "word" and text.lower() in WORDS
            tokens.append(_Token(text.lower() if is_keyword else text, kind != "sign" and not is_keyword))
        return tokens

    def _refuse(self, why: str) -> NoReturn:
        raise ConfigError(f"--where {self._text!r}: {why}")


def _values(column: str, exam: ExamRef) -> Collection[Any]:
    if column == DATE:
        return () if exam.study_date is None else (exam.study_date,)
    return TEXTS[column](exam)


def _any_of(column: str, wanted: set[Any]) -> Test:
    return lambda exam: any(value in wanted for value in _values(column, exam))


def _like(column: str, pattern: str) -> Test:
    return lambda exam: any(fnmatchcase(value, pattern) for value in _values(column, exam))


def _ordered(order: Callable[[date, date], bool], bound: date) -> Test:
    return lambda exam: exam.study_date is not None and order(exam.study_date, bound)


def _inverted(test: Test) -> Test:
    return lambda exam: not test(exam)
