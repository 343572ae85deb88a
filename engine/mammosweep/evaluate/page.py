"""An evaluation on one page that holds everything itself. Jinja2's adapter here.

It loads nothing and runs no script; the content security policy forbids both.
"""

from __future__ import annotations

import base64
import hashlib
import math
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mammosweep.evaluate.calibration import Calibration
from mammosweep.evaluate.document import DEFINITIONS
from mammosweep.evaluate.estimate import Estimate
from mammosweep.evaluate.evaluation import WORKING_RATE, Evaluation, NamedFroc
from mammosweep.evaluate.roc import Roc
from mammosweep.evaluate.svg import Series, linear, logarithmic, plot

__all__ = ["page"]

NONE = "\u2013"
NOT_READ_SHOWN = 50
FROC_TICKS = (0.0625, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


def page(evaluation: Evaluation, notice: str, caution: str = "") -> str:
    """The page's HTML.

    Args:
        evaluation: what is shown; every number of it is in `as_document` too.
        notice: what must stand on every page.
        caution: what must be said of the bundle beside its figures.
    """
    template = _environment().get_template("evaluation.html.j2")
    return template.render(
        e=evaluation,
        notice=notice,
        caution=caution,
        froc_plot=_froc_plot([evaluation.curve(name) for name in ("all views", "per breast")]),
        type_plot=_froc_plot(evaluation.froc[_num_of_views(evaluation) :], banded=False),
        roc_plots=[(one, _roc_plot(one)) for one in evaluation.roc if one.points],
        calibration_plots=[(one, _calibration_plot(one)) for one in evaluation.calibration if one.bins],
        not_read=evaluation.not_read[:NOT_READ_SHOWN],
        working_rate=WORKING_RATE,
        definitions=DEFINITIONS,
    )


def _num_of_views(evaluation: Evaluation) -> int:
    """How many curves stand before those of the types."""
    return 1 + [one.name for one in evaluation.froc].index("per breast")


def _froc_plot(curves: list[NamedFroc] | tuple[NamedFroc, ...], *, banded: bool = True) -> Markup:
    series = [
        Series(
            name=f"{one.name} (n = {one.num_lesions})",
            points=[(p.false_positives_per_image, p.sensitivity) for p in one.curve],
            band=[(p.false_positives_per_image, p.low, p.high) for p in one.curve] if banded else (),
        )
        for one in curves
    ]
    said = "; ".join(
        f"{one.name}: {_figure(p.sensitivity)} at {p.false_positives_per_image:g}"
        for one in curves
        for p in one.points
    )
    return plot(
        "Free-response ROC: sensitivity against false positives per image",
        f"Sensitivity by false positives per image. {said}.",
        logarithmic("False positives per image", FROC_TICKS),
        linear("Sensitivity"),
        series,
    )


def _roc_plot(one: Roc) -> Markup:
    return plot(
        f"ROC of {one.name}: sensitivity against 1 - specificity",
        f"Area under the curve {one.area}, {one.area.num_positive} of {one.area.num} malignant.",
        linear("1 \u2212 specificity"),
        linear("Sensitivity"),
        [
            Series(
                name=one.name,
                points=[(0.0, 0.0), *((p.false_positive_rate, p.sensitivity) for p in one.points)],
                band=[(p.false_positive_rate, p.low, p.high) for p in one.points],
            )
        ],
        diagonal=True,
    )


def _calibration_plot(one: Calibration) -> Markup:
    shares = [(b.mean_probability, b.share_positive) for b in one.bins]
    return plot(
        f"Reliability of {one.name}: share that is malignant against the probability said",
        "; ".join(f"said {said:.2f}, was {share}, n = {share.num}" for said, share in shares),
        linear("Probability said"),
        linear("Share malignant"),
        [
            Series(
                name=one.name,
                points=[(said, share.value or 0.0) for said, share in shares],
                band=[(said, share.low or 0.0, share.high or 0.0) for said, share in shares],
                dots=True,
            )
        ],
        diagonal=True,
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("mammosweep.evaluate"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = resources.files("mammosweep.evaluate").joinpath("templates/style.css").read_text(encoding="utf-8")
    environment.globals.update(style=Markup(style), policy=_policy(style))
    environment.filters.update(figure=_figure, estimate=_estimate, interval=_interval, p_value=_p_value)
    return environment


def _policy(style: str) -> str:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _figure(value: float | None, digits: int = 3) -> str:
    return NONE if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def _p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else _figure(p)


def _interval(low: float | None, high: float | None, digits: int = 3) -> str:
    return f"{_figure(low, digits)} to {_figure(high, digits)}" if low is not None else ""


def _estimate(one: Estimate | None) -> Markup:
    """A figure with its interval, or the reason why there is none."""
    if one is None:
        return Markup(NONE)
    if one.value is None:
        return Markup('<span class="why">{}</span>').format(one.why)
    return Markup('{} <span class="soft">{}</span>').format(_figure(one.value), _interval(one.low, one.high))
