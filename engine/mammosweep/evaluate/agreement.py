"""Where the engine's other words meet the truth: links of the two views, places, and categories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mammosweep.evaluate.bootstrap import mean_by_group
from mammosweep.evaluate.estimate import Estimate, absent, wilson
from mammosweep.evaluate.kappa import Weights, agreement_weights, contingency, kappa
from mammosweep.evaluate.lesions import BOTH, Breast, BreastLesion
from mammosweep.evaluate.study import Found, ReadImage

__all__ = ["CategoryAgreement", "Pairing", "Place", "categories", "pairing", "place"]

CATEGORIES = ("1", "2", "3", "4", "5")
"""BI-RADS categories that can be compared: 0 is an unfinished reading, 6 a proven cancer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """How well CC findings are linked with MLO findings of the same lesion; Wilson's intervals."""

    precision: Estimate  # links whose findings hit one lesion, of links of which one finding hits a lesion
    precision_of_all: Estimate  # the same of all links, those between two false marks too
    recall_of_found: Estimate  # lesions linked right, of those found in both views
    recall_of_annotated: Estimate  # lesions linked right, of those annotated in both views


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Quadrant and depth of the best finding on each annotated view of a lesion."""

    quadrant_accuracy: Estimate
    depth_error: Estimate  # mean absolute, 0 nipple to 1 pectoralis major; interval by patient


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryAgreement:
    """The engine's category of found lesions against a reader's assessment; 4A, 4B and 4C are 4."""

    kappa: Estimate
    kappa_linear: Estimate
    kappa_quadratic: Estimate
    categories: tuple[str, ...]
    table: tuple[tuple[int, ...], ...]  # row: the engine's, column: the reader's
    num_left_out: int  # found lesions whose assessment is none of the categories


def pairing(found: Sequence[Breast]) -> Pairing:
    """Compare links with the truth's lesion ids.

    A link is judged where both its views are evaluated and hit lesions can be told apart by name: a finding
    on a lesion without an id leaves its link out.
    """
    right = touching = links = 0
    for breast in found:
        for cc, mlo in _links(breast):
            hits = [_names(one, image) for one, image in (cc, mlo)]
            if any(None in names for names in hits):
                continue
            links += 1
            touching += bool(hits[0] or hits[1])
            right += bool(hits[0] & hits[1])
    both = [one for breast in found for one in breast.lesions if one.first.linked and one.views() == BOTH]
    linked = sum(_is_linked(lesion) for lesion in both)
    return Pairing(
        precision=wilson(right, touching),
        precision_of_all=wilson(right, links),
        recall_of_found=wilson(linked, sum(one.views(hit=True) == BOTH for one in both)),
        recall_of_annotated=wilson(linked, len(both)),
    )


def place(found: Sequence[Breast], num_bootstraps: int = 1000, seed: int = 0) -> Place:
    """Compare quadrants and depths, view by view, where the truth has them and the view was hit."""
    sightings = [s for breast in found for lesion in breast.lesions for s in lesion.sightings if s.found]
    quadrants = [
        s.found[0].quadrant == s.mark.quadrant for s in sightings if s.mark.quadrant and s.found[0].quadrant
    ]
    depths = [
        (abs(s.found[0].depth - s.mark.depth), s.image.group)
        for s in sightings
        if s.mark.depth is not None and s.found[0].depth is not None
    ]
    why = "the truth has none, or nothing was found"
    error = mean_by_group([e for e, _ in depths], [g for _, g in depths], num_bootstraps, seed)
    return Place(
        quadrant_accuracy=wilson(sum(quadrants), len(quadrants)) if quadrants else absent(why, 0),
        depth_error=error if depths else absent(why, 0),
    )


def categories(found: Sequence[Breast]) -> CategoryAgreement | None:
    """Compare categories; None where the truth has no assessment."""
    lesions = [one for breast in found for one in breast.lesions if one.engine and one.first.assessment]
    if not any(one.first.assessment for breast in found for one in breast.lesions):
        return None
    pairs = [(one.engine.category[:1], one.first.assessment or "") for one in lesions if one.engine]
    kept = [(a, b) for a, b in pairs if a in CATEGORIES and b in CATEGORIES]
    table = contingency([a for a, _ in kept], [b for _, b in kept], CATEGORIES)

    def weighted(weights: Weights) -> Estimate:
        return kappa(table, agreement_weights(len(CATEGORIES), weights))

    return CategoryAgreement(
        kappa=weighted(Weights.NONE),
        kappa_linear=weighted(Weights.LINEAR),
        kappa_quadratic=weighted(Weights.QUADRATIC),
        categories=CATEGORIES,
        table=tuple(tuple(int(count) for count in row) for row in table),
        num_left_out=len(pairs) - len(kept),
    )


def _links(breast: Breast) -> list[tuple[tuple[Found, ReadImage], tuple[Found, ReadImage]]]:
    """Findings that are one lesion to the engine, where both their views are evaluated."""
    by_lesion: dict[str, list[tuple[Found, ReadImage]]] = {}
    for image in breast.images:
        for one in image.found:
            if one.lesion.is_pair:
                by_lesion.setdefault(one.lesion.key[1], []).append((one, image))
    return [(pair[0], pair[1]) for pair in by_lesion.values() if len(pair) == 2]


def _names(one: Found, image: ReadImage) -> set[str | None]:
    """The lesions that a finding hits, None standing for one without an id."""
    row = image.hits[image.found.index(one)]
    return {
        mark.lesion_id if mark.linked else None for mark, hit in zip(image.truths, row, strict=True) if hit
    }


def _is_linked(lesion: BreastLesion) -> bool:
    """Whether one of the engine's pairs hits it in both views."""
    pairs = [{f.lesion.key for f in s.found if f.lesion.is_pair} for s in lesion.sightings]
    return bool(set.intersection(*pairs))
