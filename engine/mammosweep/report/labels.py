"""Where the names of findings stand on a film: near their box, off every box, off each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter

__all__ = ["Rect", "place_labels"]


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle on a film, in its pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Its bottom edge."""
        return self.y + self.height

    def overlap(self, other: Rect) -> float:
        """The area that both cover."""
        across = min(self.right, other.right) - max(self.x, other.x)
        down = min(self.bottom, other.bottom) - max(self.y, other.y)
        return max(across, 0.0) * max(down, 0.0)

    def gap(self, other: Rect) -> float:
        """The distance between the two; 0 where they touch."""
        across = max(self.x - other.right, other.x - self.right, 0.0)
        down = max(self.y - other.bottom, other.y - self.bottom, 0.0)
        return float((across**2 + down**2) ** 0.5)


# Weights of an overlapped area: a label over a label cannot be read, one over a box hides pixels.
_OVER_LABEL, _OVER_BOX = 2.0, 1.0
# How many label heights away a place is looked for, above and below the box.
_REACH = 14


def place_labels(
    boxes: Sequence[Rect], widths: Sequence[float], height: float, film: Rect, taken: Sequence[Rect] = ()
) -> list[Rect]:
    """Give each box's label its place.

    Greedy, in the order given: each label goes to the nearest place that covers nothing; where there is none,
    to the one that covers least.

    Args:
        boxes: one a finding, the most important first.
        widths: of their labels.
        height: of every label.
        film: labels stay within it.
        taken: what else must stay legible.
    """
    placed: list[Rect] = []
    for box, width in zip(boxes, widths, strict=True):
        candidates = [_within(place, film) for place in _places(box, width, height)]
        # In steps of a label's height: of equally near places the first named wins, above and left aligned.
        steps = [round(box.gap(place) / height) for place in candidates]
        near = [place for _, place in sorted(zip(steps, candidates, strict=True), key=itemgetter(0))]
        placed.append(_best(near, boxes, [*placed, *taken]))
    return placed


def _places(box: Rect, width: float, height: float) -> Iterator[Rect]:
    pad = height * 0.2
    columns = (
        box.x,
        box.right - width,
        box.x + (box.width - width) / 2,
        box.right + pad,
        box.x - width - pad,
    )
    for step in range(_REACH):
        for x in columns:
            yield Rect(x, box.y - height - pad - step * height, width, height)
            yield Rect(x, box.bottom + pad + step * height, width, height)
    for x in columns[-2:]:
        yield Rect(x, box.y + (box.height - height) / 2, width, height)
        yield Rect(x, box.y, width, height)


def _within(place: Rect, film: Rect) -> Rect:
    x = max(film.x, min(place.x, film.right - place.width))
    y = max(film.y, min(place.y, film.bottom - place.height))
    return Rect(x, y, place.width, place.height)


def _best(candidates: Sequence[Rect], boxes: Sequence[Rect], labels: Sequence[Rect]) -> Rect:
    """The first that covers nothing, else the one that covers least."""
    least, chosen = float("inf"), candidates[0]
    for place in candidates:
        cost = _OVER_LABEL * _covered(place, labels) + _OVER_BOX * _covered(place, boxes)
        if cost < least:
            least, chosen = cost, place
        if not cost:
            break
    return chosen


def _covered(place: Rect, others: Sequence[Rect]) -> float:
    return sum(place.overlap(other) for other in others)
