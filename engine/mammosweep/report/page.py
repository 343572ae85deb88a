"""One exam on one page, and the run's front page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from mammosweep.records import ExamOutcome, Finding, Lesion
from mammosweep.report.hanging import hang, ranked
from mammosweep.report.html import slug, write_page
from mammosweep.report.reasons import LesionReason, lesion_reasons
from mammosweep.report.words import ABSENT, bundle_caution, status_words
from mammosweep.report.worklist import ReadingOrder, bundle_of

__all__ = ["LesionRow", "write_exam_page", "write_index"]

INDEX_EXAMS = 2000
"""How many exams index.html lists: a browser opens it at once; the worklist has all."""


@dataclass(frozen=True, slots=True)
class LesionRow:
    """One lesion as the page's table shows it."""

    lesion: Lesion
    colour: str
    quadrant: str
    depth: str
    character: str
    reasons: tuple[LesionReason, ...]


def write_exam_page(folder: Path, outcome: ExamOutcome, bundle_note: str = "") -> Path:
    """Write ``folder/<slug>.html``: the four views hung, findings, scores, flags and provenance.

    Args:
        folder: ``OUT/pages``, made if it is missing.
        outcome: scored or not; views without a picture are empty frames that say why.
        bundle_note: what must be said of the bundle, e.g. what it was fitted on.

    Returns:
        The page's path.
    """
    path = folder / f"{slug(outcome.exam_id)}.html"
    write_page(
        path,
        "exam.html.j2",
        exam=outcome,
        rows=hang(outcome),
        lesions=[_lesion_row(lesion, colour) for lesion, colour in ranked(outcome.lesions)],
        caution=bundle_caution(outcome.provenance.bundle, bundle_note),
    )
    return path


def write_index(out: Path, exams: pa.Table, run: Mapping[str, object]) -> None:
    """Write index.html: what the run saw and did, then the exams in reading order.

    Args:
        out: the sweep's folder; exams link to their page where ``out/pages`` holds it.
        exams: the exams table, at least its `READING_COLUMNS`.
        run: as in run.json. Read here, each only if it is there: ``counts`` (``{"files": {"seen", "used",
            "set_aside", "rejected"}, "exams": {"seen", "scored", "flagged", "not_scored"}}``), ``seconds`` (a
            number, or seconds by stage), ``bundle``, ``bundle_note``, ``device``, ``precision``,
            ``engine_version``, ``started_at``.
    """
    order = ReadingOrder(out, exams)
    bundle = str(run.get("bundle") or bundle_of(exams))
    write_page(
        out / "index.html",
        "index.html.j2",
        rows=order.rows(0, INDEX_EXAMS),
        num_exams=len(order),
        sums=_sums(run),
        facts=_facts(run, bundle),
        caution=bundle_caution(bundle, str(run.get("bundle_note") or "")),
    )


def _lesion_row(lesion: Lesion, colour: str) -> LesionRow:
    return LesionRow(
        lesion=lesion,
        colour=colour,
        quadrant=_by_view({f.position: f.quadrant or "" for f in lesion.findings}),
        depth=_by_view({f.position: "" if f.depth is None else f"{f.depth:.2f}" for f in lesion.findings}),
        character=_by_view({f.position: _character(f) for f in lesion.findings}),
        reasons=lesion_reasons(lesion),
    )


def _character(finding: Finding) -> str:
    return ", ".join(f"{name} {word}" for name, word in finding.character.items())


def _by_view(words: Mapping[str, str]) -> str:
    """What each view says: once where all agree, else by view."""
    said = {view: word.replace("_", " ") for view, word in words.items() if word}
    if len(set(said.values())) == 1 and len(said) == len(words):
        return next(iter(said.values()))
    return "; ".join(f"{view} {word}" for view, word in said.items()) or ABSENT


def _sums(run: Mapping[str, object]) -> list[dict[str, Any]]:
    """Seen = the sum of what became of them, for files and for exams."""
    counts = run.get("counts")
    sums = []
    for what, numbers in counts.items() if isinstance(counts, Mapping) else ():
        if isinstance(numbers, Mapping) and "seen" in numbers:
            terms = [(status_words(str(k)), int(v)) for k, v in numbers.items() if k != "seen"]
            seen = int(numbers["seen"])
            adds_up = seen == sum(number for _, number in terms)
            sums.append({"what": what, "seen": seen, "terms": terms, "adds_up": adds_up})
    return sums


def _facts(run: Mapping[str, object], bundle: str) -> list[tuple[str, str]]:
    facts = {
        "Bundle": bundle,
        "Device": run.get("device"),
        "Precision": run.get("precision"),
        "Engine": run.get("engine_version"),
        "Started": run.get("started_at"),
        "Seconds": _seconds(run.get("seconds")),
    }
    return [(name, str(value)) for name, value in facts.items() if value]


def _seconds(seconds: object) -> str:
    if isinstance(seconds, Mapping):
        return ", ".join(f"{stage} {value:.1f}" for stage, value in seconds.items())
    return f"{seconds:.1f}" if isinstance(seconds, int | float) else ""
