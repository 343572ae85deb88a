"""Arguments and options that several commands share, and how their texts are read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mammosweep.config import Device, FlipMode, SweepConfig, load_config
from mammosweep.errors import ConfigError
from mammosweep.run.log_format import LogFormat

if TYPE_CHECKING:
    from mammosweep.geometry import Size

__all__ = [
    "DEFAULTS",
    "BundlePath",
    "ConfigFile",
    "LogOption",
    "Manifest",
    "MetricsOption",
    "PlanBundle",
    "ShardOption",
    "Source",
    "UntilOption",
    "WhereOption",
    "numbers",
    "overridden_settings",
    "read_settings",
    "sizes",
    "with_ray",
]

DEFAULTS = SweepConfig()

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
WhereOption = Annotated[
    str | None,
    typer.Option(
        help="Only exams that fit: study_date (= != < <= > >=), exam_id, patient_key, path and site, the "
        "first folder of a path (= != ~ !~); in (A, B) or in FILE; and, or, not, brackets. "
        'Example: "study_date >= 2015-01-01 and site = north".',
    ),
]
ShardOption = Annotated[
    str | None,
    typer.Option(
        help="Only share i of n, as i/n: the same exams on every machine. Each share needs an --out of its "
        "own; 'mammosweep merge' makes one of them. Index once and sweep the catalog."
    ),
]
UntilOption = Annotated[
    str | None,
    typer.Option(
        help="Take no new chunk from then on, as SIGTERM does: a time such as 06:00, or an ISO date and time."
    ),
]
LogOption = Annotated[
    LogFormat | None,
    typer.Option("--log", help="Lines on stderr in place of the progress bar, without patient data."),
]
MetricsOption = Annotated[
    str | None,
    typer.Option(
        "--metrics",
        metavar="[HOST:]PORT",
        help="Serve Prometheus metrics there while the sweep runs; on this machine alone unless a host is "
        "given.",
    ),
]


def overridden_settings(
    file: Path | None, device: Device | None, flips: FlipMode | None, chunk_exams: int | None
) -> SweepConfig:
    """The settings file's values, overridden by the command line's."""
    config = read_settings(file)
    detect = {name: value for name, value in (("device", device), ("flips", flips)) if value is not None}
    run = config.run if chunk_exams is None else replace(config.run, chunk_exams=chunk_exams)
    return replace(config, detect=replace(config.detect, **detect), run=run)  # type: ignore[arg-type]


def with_ray(config: SweepConfig, address: str | None, gpus: int | None, workers: int | None) -> SweepConfig:
    """The settings with the command line's actors."""
    options = (("address", address), ("gpus", gpus), ("workers", workers))
    given = {name: value for name, value in options if value is not None}
    ray = replace(config.ray, **given)  # type: ignore[arg-type]
    if not ray.address and (gpus is not None or workers is not None):
        raise ConfigError("--gpus and --workers are for Ray's actors; give --ray too")
    return replace(config, ray=ray)


def numbers(option: str, text: str) -> tuple[float, ...]:
    """The numbers of a list with commas; none of an empty one."""
    try:
        return tuple(float(part) for part in text.split(",") if text)
    except ValueError:
        raise ConfigError(f"{option} is {text!r}; expected numbers with commas between them") from None


def sizes(option: str, text: str) -> tuple[Size, ...]:
    """The sizes of a list such as 640x384,1024x640."""
    from mammosweep.geometry import Size

    try:
        sides = [[int(side) for side in part.split("x")] for part in text.split(",") if text]
        return tuple(Size(rows, columns) for rows, columns in sides)
    except ValueError:
        raise ConfigError(f"{option} is {text!r}; expected sizes such as 640x384,1024x640") from None


def read_settings(file: Path | None) -> SweepConfig:
    """The settings file's values, or the defaults."""
    return load_config(file) if file else DEFAULTS
