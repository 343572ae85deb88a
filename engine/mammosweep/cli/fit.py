"""``mammosweep fit``: from an annotated archive to a bundle."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mammosweep.cli.saying import UNUSABLE, said, say, tell
from mammosweep.errors import ConfigError

if TYPE_CHECKING:
    from mammosweep.fit.samples import AnnotatedArchive

__all__ = ["fit"]

SHOWN_PROBLEMS = 20


def fit(
    table: Annotated[
        Path,
        typer.Argument(
            metavar="TABLE",
            help="Boxes with attributes, CSV or Parquet: phantoms' truth.parquet, or CBIS-DDSM's.",
        ),
    ],
    images: Annotated[Path, typer.Option(help="The folder that the table's paths are relative to.")],
    out: Annotated[Path, typer.Option(help="The bundle's folder; it must not exist.")],
    config: Annotated[
        str, typer.Option(help="A fit's TOML settings, or the name of a recipe: see mammosweep fit-recipes.")
    ] = "paper-resnet50",
    work: Annotated[
        Path | None,
        typer.Option(help="Checkpoints and curves; a killed fit goes on from here. OUT.work by default."),
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Fit without the rows and images that are wrong.")
    ] = False,
) -> None:
    """Fit detector, place, character, matching and decision on an annotated archive.

    Wrong rows and images are listed before the first step. A fit that was stopped goes on where it was, and
    ends with the same weights.
    """
    from mammosweep.fit.recipe import fit_bundle
    from mammosweep.fit.samples import open_annotated
    from mammosweep.fit.settings import read_settings, recipe_path

    start = time.monotonic()
    with said(UNUSABLE):
        if out.exists():
            raise ConfigError(f"{out} exists already; give a folder that does not, or remove it")
        path = recipe_path(config)
        settings = read_settings(path)
        archive = open_annotated(
            table,
            images,
            settings.data.spacing_mm,
            allow_lossy_jpeg=settings.bundle.allow_lossy_jpeg,
        )
        _tell_problems(archive, skip_bad=skip_bad)
        figures = fit_bundle(
            settings,
            archive,
            path.parent,
            work or out.with_name(out.name + ".work"),
            out,
            lambda text: tell(f"[{time.monotonic() - start:7.1f} s] {text}"),
        )
    tell(figures.summary)
    tell(f"bundle: {out}")


def _tell_problems(archive: AnnotatedArchive, *, skip_bad: bool) -> None:
    problems = archive.problems
    for problem in problems[:SHOWN_PROBLEMS]:
        say(str(problem))
    if len(problems) > SHOWN_PROBLEMS:
        say(f"and {len(problems) - SHOWN_PROBLEMS} more")
    if problems and not skip_bad:
        raise ConfigError(
            f"the table and its images have {len(problems)} problems; mend them, or fit without those rows: "
            "--skip-bad"
        )
