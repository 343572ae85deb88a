"""Plots as inline SVG: no library, no script; colours are the page's, so that they turn with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

__all__ = ["Axis", "Series", "linear", "logarithmic", "plot"]

WIDTH, HEIGHT = 440.0, 360.0
LEFT, RIGHT, TOP, BOTTOM = 54.0, 16.0, 14.0, 48.0

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis says, and where a value lies on it."""

    label: str
    ticks: tuple[tuple[float, str], ...]
    share: Callable[[float], float]  # 0 at its start, 1 at its end


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One curve or set of dots. Points that are not finite are left out."""

    name: str
    points: Sequence[Point]
    band: Sequence[tuple[float, float, float]] = ()  # x, low, high
    dots: bool = False  # dots, each with its band as a bar, and no line


def linear(label: str, low: float = 0.0, high: float = 1.0, num_steps: int = 5) -> Axis:
    """An axis of equal steps."""
    values = [low + (high - low) * i / num_steps for i in range(num_steps + 1)]
    return Axis(label, tuple((v, f"{v:.1f}") for v in values), lambda value: (value - low) / (high - low))


def logarithmic(label: str, ticks: Sequence[float]) -> Axis:
    """An axis of equal factors, from the first tick to the last."""
    low, high = math.log(ticks[0]), math.log(ticks[-1])
    return Axis(label, tuple((t, f"{t:g}") for t in ticks), lambda v: (math.log(v) - low) / (high - low))


def plot(
    title: str, about: str, x: Axis, y: Axis, series: Sequence[Series], *, diagonal: bool = False
) -> Markup:
    """Draw one plot.

    Args:
        title: what it shows, for readers who do not see it.
        about: its figures in a sentence, likewise.
        x: to the right.
        y: upwards.
        series: drawn in order; the page's colours s0, s1, ... in the same order.
        diagonal: whether to draw where x equals y.
    """
    parts = [
        Markup('<svg class="plot" role="img" viewBox="0 0 {} {}"><title>{}</title><desc>{}</desc>').format(
            f"{WIDTH:g}", f"{HEIGHT:g}", title, about
        ),
        *_grid(x, y),
    ]
    if diagonal:
        parts.append(_path("diagonal", [_place(x, y, 0.0, 0.0), _place(x, y, 1.0, 1.0)]))
    for number, one in enumerate(series):
        parts += [Markup('<g class="s{}">').format(number), *_series(x, y, one), Markup("</g>")]
    return Markup("").join([*parts, *_legend(series), Markup("</svg>")])


def _grid(x: Axis, y: Axis) -> list[Markup]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = []
    for value, text in x.ticks:
        at = _across(x, value)
        parts += [_line("grid", at, TOP, at, bottom), _text("tick middle", at, bottom + 17, text)]
    for value, text in y.ticks:
        at = _up(y, value)
        parts += [_line("grid", LEFT, at, right, at), _text("tick end", LEFT - 8, at + 4, text)]
    middle = TOP + (bottom - TOP) / 2
    parts.append(_text("axis middle", LEFT + (right - LEFT) / 2, HEIGHT - 10, x.label))
    parts.append(
        Markup('<text class="axis middle" transform="translate(15 {}) rotate(-90)">{}</text>').format(
            f"{middle:g}", y.label
        )
    )
    return parts


def _series(x: Axis, y: Axis, one: Series) -> list[Markup]:
    points = [_place(x, y, a, b) for a, b in one.points if math.isfinite(a) and math.isfinite(b)]
    band = [row for row in one.band if all(math.isfinite(v) for v in row)]
    if one.dots:
        bars = [
            _line("whisker", _across(x, a), _up(y, low), _across(x, a), _up(y, high)) for a, low, high in band
        ]
        return [*bars, *(_dot(point) for point in points)]
    parts = []
    if len(band) > 1:
        upper = [_place(x, y, a, high) for a, _, high in band]
        lower = [_place(x, y, a, low) for a, low, _ in reversed(band)]
        parts.append(_path("band", [*upper, *lower]))
    return [*parts, _path("curve", points)] if points else parts


def _legend(series: Sequence[Series]) -> list[Markup]:
    """Names at the lower right, where curves that are any good leave room."""
    if len(series) < 2:
        return []
    parts = []
    for number, one in enumerate(series):
        at = HEIGHT - BOTTOM - 14 - 18 * (len(series) - 1 - number)
        right = WIDTH - RIGHT - 10
        parts.append(
            Markup('<g class="s{}">{}{}</g>').format(
                number,
                _line("key", right - 22, at - 4, right, at - 4),
                _text("name end", right - 30, at, one.name),
            )
        )
    return parts


def _across(x: Axis, value: float) -> float:
    return LEFT + min(1.0, max(0.0, x.share(value))) * (WIDTH - LEFT - RIGHT)


def _up(y: Axis, value: float) -> float:
    return HEIGHT - BOTTOM - min(1.0, max(0.0, y.share(value))) * (HEIGHT - TOP - BOTTOM)


def _place(x: Axis, y: Axis, a: float, b: float) -> Point:
    return _across(x, a), _up(y, b)


def _path(kind: str, points: Sequence[Point]) -> Markup:
    steps = " ".join(f"{'M' if i == 0 else 'L'}{a:.1f} {b:.1f}" for i, (a, b) in enumerate(points))
    return Markup('<path class="{}" d="{}"/>').format(kind, steps + (" Z" if kind == "band" else ""))


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    ends = (f"{value:.1f}" for value in (x1, y1, x2, y2))
    return Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(kind, *ends)


def _dot(point: Point) -> Markup:
    return Markup('<circle class="dot" cx="{}" cy="{}" r="4"/>').format(f"{point[0]:.1f}", f"{point[1]:.1f}")


def _text(kind: str, x: float, y: float, text: str) -> Markup:
    return Markup('<text class="{}" x="{}" y="{}">{}</text>').format(
        kind, f"{x:.1f}", f"{y:.1f}", escape(text)
    )
