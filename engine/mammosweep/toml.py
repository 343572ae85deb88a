"""From TOML tables to frozen dataclasses: every key known, every value of its field's type."""

from __future__ import annotations

import dataclasses
import tomllib
import types
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from mammosweep.errors import ConfigError

__all__ = ["from_table", "read_toml"]

T = TypeVar("T")


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a settings file; ConfigError where it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"settings file {path}: {error}; give a readable TOML file") from None


def from_table(kind: type[T], name: str, table: dict[str, Any]) -> T:
    """A dataclass of a TOML table; fields that are dataclasses are tables within it.

    Args:
        kind: the dataclass; the fields that the table leaves out need a default.
        name: what the table is called in sentences; empty for the file as a whole.
        table: keys and values as tomllib gives them.

    Raises:
        ConfigError: an unknown key, a value of the wrong type, a field without default that is not given, or
            what the dataclass itself refuses.
    """
    hints = get_type_hints(kind)
    prefix = f"{name}." if name else ""
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in hints:
            raise ConfigError(f"unknown setting {prefix}{key}; known: {', '.join(hints)}")
        values[key] = _typed(hints[key], f"{prefix}{key}", value)
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        is_needed = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if is_needed and field.name not in values:
            raise ConfigError(f"setting {prefix}{field.name} is missing")
    try:
        return kind(**values)
    except ValueError as error:
        raise ConfigError(f"{name or 'settings'}: {error}") from None


def _typed(kind: Any, name: str, value: Any) -> Any:
    if get_origin(kind) in (types.UnionType, Union):  # X | None: None is what is not given
        (kind,) = (option for option in get_args(kind) if option is not types.NoneType)
    if get_origin(kind) is tuple:
        return _tuple(get_args(kind), name, value)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _nested(kind, name, value)
    if issubclass(kind, StrEnum):
        try:
            return kind(value)
        except ValueError:
            raise ConfigError(f"{name} is {value!r}; expected one of {', '.join(kind)}") from None
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ConfigError(f"{name} is {value!r}; expected {kind.__name__}")
    return value


def _nested(kind: type, name: str, value: Any) -> Any:
    if isinstance(value, list):  # a small record as a list, such as a canvas of [rows, columns]
        names = [field.name for field in dataclasses.fields(kind)]
        if len(value) != len(names):
            raise ConfigError(f"{name} is {value!r}; expected {', '.join(names)}")
        value = dict(zip(names, value, strict=True))
    if not isinstance(value, dict):
        raise ConfigError(f"{name} is {value!r}; expected a table")
    return from_table(kind, name, value)


def _tuple(kinds: tuple[Any, ...], name: str, value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise ConfigError(f"{name} is {value!r}; expected a list")
    each = kinds[:1] * len(value) if len(kinds) == 2 and kinds[1] is Ellipsis else kinds
    if len(each) != len(value):
        raise ConfigError(f"{name} has {len(value)} entries; expected {len(each)}")
    return tuple(_typed(kind, f"{name}[{i}]", v) for i, (kind, v) in enumerate(zip(each, value, strict=True)))
