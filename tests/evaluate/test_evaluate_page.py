from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import pytest

from mammosweep.evaluate.document import DEFINITIONS, SCHEMA_VERSION, as_document, as_json
from mammosweep.evaluate.evaluation import Settings, evaluate
from mammosweep.evaluate.hybrid import Readers
from mammosweep.evaluate.page import page
from mammosweep.evaluate.svg import Series, linear, logarithmic, plot


@pytest.fixture
def evaluation(clinic):
    rows = tuple({"exam_id": f"E{i}", "r<1>": 0.7 if i % 2 == 0 else 0.3 + 0.01 * i} for i in range(48))
    clinic.true("gone<b> L CC", "1", (1, 1, 2, 2))
    return evaluate(
        clinic.tables,
        clinic.truth(unlisted_clean=True),
        Settings(num_bootstraps=60),
        readers=Readers(by_breast=False, names=("r<1>",), rows=rows),
    )


def numbers(value):
    if isinstance(value, dict):
        return {number for item in value.values() for number in numbers(item)}
    if isinstance(value, list):
        return {number for item in value for number in numbers(item)}
    return {value} if isinstance(value, int | float) and not isinstance(value, bool) else set()


def test_every_figure_in_the_pages_tables_is_in_the_document(evaluation):
    html = page(evaluation, "Research use only.")
    known = {f"{number:.{digits}f}" for number in numbers(as_document(evaluation)) for digits in (0, 1, 2, 3)}
    known |= {f"{1 - evaluation.hybrid.weight:.2f}"}

    cells = re.findall(r"<(td|dd)[^>]*>(.*?)</\1>", html, re.DOTALL)
    shown = [re.sub(r"<[^>]+>", " ", text) for tag, text in cells if tag == "td" or text.isdigit()]
    found = {
        number for text in shown for number in re.findall(r"(?<![\w.])\d+\.\d+|(?<![\w.])\d+(?![\w.])", text)
    }

    # "fewer than 10 malignant lesions" names the least number of cases.
    assert found - known - {"10"} == {"0.001"} & found
    assert len(found) > 100


def test_the_document_has_its_version_its_words_and_only_finite_numbers(evaluation):
    document = json.loads(as_json(evaluation))

    assert document["schema_version"] == SCHEMA_VERSION
    assert document["definitions"] == DEFINITIONS
    assert document["counts"]["exams"] == 48
    assert [one["name"] for one in document["froc"]] == ["all views", "CC", "MLO", "per breast", "mass"]
    assert [one["name"] for one in document["roc"]] == ["lesions", "breasts", "exams"]
    assert document["calibration"][0]["bins"][0].keys() >= {"from", "to", "share_positive"}
    # All lesions that were found were found above every score: -inf has no form in JSON.
    assert document["froc"][0]["points"][-1]["score_above"] is None


def test_the_page_loads_nothing_and_runs_nothing(evaluation):
    html = page(evaluation, "Research use only.")

    assert "default-src 'none'" in html.replace("&#39;", "'")
    assert not re.findall(r"<script|<link|<img|src=|href=|style=|url\(|@import", html)


def test_what_tables_say_is_escaped(evaluation):
    html = page(evaluation, "Research use only.", "Fitted on <phantoms>.")

    assert "gone<b>" not in html
    assert "gone&lt;b&gt; L CC" in html
    assert "r&lt;1&gt;" in html
    assert "Fitted on &lt;phantoms&gt;." in html


def test_every_plot_says_what_it_shows_to_who_does_not_see_it(evaluation):
    html = page(evaluation, "Research use only.")

    plots = [ET.fromstring(text) for text in re.findall(r"<svg.*?</svg>", html, re.DOTALL)]
    assert len(plots) == 8
    for one in plots:
        assert one.get("role") == "img"
        title, about = (one.find(name).text for name in ("title", "desc"))
        assert title
        assert re.search(r"\d", about)


def test_a_curve_runs_from_the_axes_start_to_their_end_and_rate_one_halves_a_log_axis():
    drawn = ET.fromstring(
        plot(
            "t", "d", logarithmic("x", [0.25, 1.0, 4.0]), linear("y"),
            [Series(name="s", points=[(0.25, 0.0), (1.0, 0.5), (4.0, 1.0), (2.0, float("nan"))])],
        )
    )  # fmt: skip

    (curve,) = [path.get("d") for path in drawn.iter("path")]
    (x1, y1), (x2, y2), (x3, y3) = [tuple(map(float, step.split())) for step in re.split("[ML]", curve)[1:]]
    assert x1 < x2 < x3
    assert (x2, y2) == pytest.approx(((x1 + x3) / 2, (y1 + y3) / 2))
    assert y1 > y3


def test_a_sweep_without_cases_has_a_page_of_reasons(desk):
    desk.exam("A").clean("A L CC")

    found = evaluate(desk.tables, desk.truth(), Settings(num_bootstraps=10))
    html = page(found, "Research use only.")

    assert "0 positive and 1 negative cases" in html
    assert "the truth says it of no lesion" in html
    assert not re.findall(r"\b(nan|inf|None)\b", html)
