"""``mammosweep evaluate``: a finished sweep against its truth."""

from __future__ import annotations

import math
from enum import StrEnum
from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from mammosweep.cli.saying import FAILED, UNUSABLE, said, tell

if TYPE_CHECKING:
    from mammosweep.evaluate.evaluation import Evaluation
    from mammosweep.evaluate.froc import FrocPoint

__all__ = ["Unlisted", "evaluate"]

TABLES = ("images", "findings", "lesions", "exams")


class Unlisted(StrEnum):
    """What an image that the truth does not name is."""

    CLEAN = "clean"
    IGNORE = "ignore"


def evaluate(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The --out folder of a finished sweep.")],
    truth: Annotated[
        Path,
        typer.Option(
            help="Boxes with attributes, CSV or Parquet: phantoms' truth.parquet, or CBIS-DDSM's columns. "
            "A row without a box names an image without a lesion."
        ),
    ],
    page: Annotated[Path | None, typer.Option(help="The page to write (.html), with plots.")] = None,
    json: Annotated[Path | None, typer.Option(help="The file to write every figure to.")] = None,
    radiologists: Annotated[
        Path | None,
        typer.Option(
            help="CSV or Parquet with exam_id or patient, perhaps side, and a column of probabilities for "
            "each reader: adds the hybrid of reader and engine."
        ),
    ] = None,
    weight: Annotated[float, typer.Option(help="Of the reader in the hybrid, 0 to 1.")] = 0.5,
    subgroups: Annotated[
        Path | None,
        typer.Option(
            help="CSV or Parquet with exam_id and any of density, vendor, age, where truth lacks them."
        ),
    ] = None,
    unlisted: Annotated[
        Unlisted | None,
        typer.Option(
            help="Images that the truth does not name: without a lesion (clean), or left out (ignore).",
            show_default="clean for phantoms' columns, ignore for CBIS-DDSM's",
        ),
    ] = None,
    iou: Annotated[
        float | None,
        typer.Option(
            help="The least overlap (intersection over union) of a hit.", show_default="centre in the box"
        ),
    ] = None,
    bootstraps: Annotated[int, typer.Option(help="Samples behind each bootstrap interval.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
) -> None:
    """Say how well a finished sweep agrees with its truth.

    FROC by view and per breast, ROC with DeLong's intervals, cut-offs, calibration, links of the views,
    places, subgroups, and the hybrid with radiologists. Exit codes: 0 done; 1 a file could not be written;
    2 the sweep or a table is unusable.
    """
    from mammosweep.evaluate import evaluation as steps
    from mammosweep.evaluate.hybrid import read_readers
    from mammosweep.evaluate.subgroups import read_about
    from mammosweep.evaluate.truth import read_truth
    from mammosweep.report.tables import read_table

    with said(UNUSABLE):
        settings = steps.Settings(iou=iou, num_bootstraps=bootstraps, seed=seed, weight=weight)
        found = steps.evaluate(
            {name: read_table(out, name).to_pylist() for name in TABLES},
            read_truth(truth, None if unlisted is None else unlisted is Unlisted.CLEAN),
            settings,
            readers=read_readers(radiologists) if radiologists else None,
            about=read_about(subgroups) if subgroups else None,
        )
    with said(FAILED):
        _write(found, page, json, _bundle_note(out))
    for table in _tables(found):
        Console().print(table)
    for path in filter(None, (page, json)):
        tell(f"written: {path}")


def _bundle_note(out: Path) -> str:
    """What the sweep was told to say of its bundle."""
    try:
        run = loads((out / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(run.get("bundle_note") or "") if isinstance(run, dict) else ""


def _write(found: Evaluation, page: Path | None, json: Path | None, note: str) -> None:
    from mammosweep.evaluate.document import as_json
    from mammosweep.evaluate.page import page as page_of
    from mammosweep.report.atomic import write_text
    from mammosweep.report.words import NOTICE, bundle_caution

    if json:
        write_text(json, as_json(found))
    if page:
        write_text(page, page_of(found, NOTICE, bundle_caution(found.bundle, note)))


def _tables(found: Evaluation) -> list[Table]:
    counts = found.counts
    table = _table(
        f"{found.bundle}: {counts.exams} exams, {counts.images} images, {counts.lesions} lesions",
        ["sensitivity at", *(f"{p.false_positives_per_image:g}" for p in found.froc[0].points)],
    )
    for curve in found.froc:
        cells = [_cell(point) for point in curve.points]
        table.add_row(f"{curve.name}\nn = {curve.num_lesions}", *cells)
    return [table, _figures(found), *_left_out(found)]


def _cell(point: FrocPoint) -> str:
    if math.isnan(point.sensitivity):
        return "none"
    return f"{point.sensitivity:.3f}\n{point.low:.3f}-{point.high:.3f}"


def _figures(found: Evaluation) -> Table:
    table = _table("", ["figure", "n", "value (95 % interval)"])
    rows = [(f"AUC, {one.name}", one.area) for one in found.roc]
    rows += [(f"Brier score, {one.name}", one.brier) for one in found.calibration]
    rows += [
        ("link precision", found.pairing.precision),
        ("link recall, found in both views", found.pairing.recall_of_found),
        ("link recall, annotated in both views", found.pairing.recall_of_annotated),
        ("quadrant accuracy", found.place.quadrant_accuracy),
        ("depth error", found.place.depth_error),
    ]
    if found.categories:
        rows.append(("category, quadratic kappa", found.categories.kappa_quadratic))
    if found.hybrid:
        rows += [(f"AUC, {row.reader}", row.alone) for row in found.hybrid.rows]
        rows += [(f"AUC, hybrid with {row.reader}", row.hybrid) for row in found.hybrid.rows]
    for name, one in rows:
        table.add_row(name, str(one.num), str(one))
    return table


def _left_out(found: Evaluation) -> list[Table]:
    counts = found.counts
    rows = [(f"of the truth: {reason}", number) for reason, number in counts.images_not_read.items()]
    rows += [("of the sweep, not in the truth", counts.images_unlisted)] if counts.images_unlisted else []
    if not rows:
        return []
    table = _table("", ["images left out", "n"])
    for name, number in rows:
        table.add_row(name, str(number))
    return [table]


def _table(title: str, columns: list[str]) -> Table:
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for name in columns:
        table.add_column(name)
    return table
