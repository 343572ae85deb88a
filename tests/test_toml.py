"""Settings tables: nested, typed, every key known."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from mammosweep.errors import ConfigError
from mammosweep.geometry import Size
from mammosweep.records import LesionType
from mammosweep.toml import from_table


@dataclass(frozen=True)
class Inner:
    rate: float = 1.0
    range: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        if self.rate < 0:
            raise ValueError("rate is below 0")


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner = field(default_factory=Inner)
    sizes: tuple[Size, ...] = ()
    types: tuple[LesionType, ...] = ()
    limit: float | None = None


def test_a_table_becomes_what_its_fields_say():
    made = from_table(
        Outer,
        "",
        {"name": "a", "inner": {"rate": 2}, "sizes": [[3, 4]], "types": ["mass"], "limit": 1},
    )

    assert made == Outer("a", Inner(2.0), (Size(3, 4),), (LesionType.MASS,), 1.0)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({}, "setting name is missing"),
        ({"name": 3}, "name is 3; expected str"),
        ({"name": "a", "other": 1}, "unknown setting other; known: name, inner"),
        ({"name": "a", "inner": {"rat": 1}}, r"unknown setting inner.rat; known: rate, range"),
        ({"name": "a", "inner": {"rate": -1}}, "inner: rate is below 0"),
        ({"name": "a", "inner": {"range": [1.0]}}, r"inner.range has 1 entries; expected 2"),
        ({"name": "a", "inner": 5}, "inner is 5; expected a table"),
        ({"name": "a", "sizes": [[3]]}, r"sizes\[0\] is \[3\]; expected rows, columns"),
        ({"name": "a", "sizes": 3}, "sizes is 3; expected a list"),
        ({"name": "a", "types": ["lump"]}, r"types\[0\] is 'lump'; expected one of mass"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_does_not_fit_is_named(table, said):
    with pytest.raises(ConfigError, match=said):
        from_table(Outer, "", table)
