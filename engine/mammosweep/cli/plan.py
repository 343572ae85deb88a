"""``mammosweep plan``: build compiled plans ahead of a sweep, list or verify them."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from mammosweep.cli.options import (
    DEFAULTS,
    ConfigFile,
    PlanBundle,
    overridden_settings,
    read_settings,
    sizes,
)
from mammosweep.cli.saying import UNUSABLE, said, tell
from mammosweep.config import Device, Precision
from mammosweep.errors import ConfigError

__all__ = ["plan_app"]

plan_app = typer.Typer(
    no_args_is_help=True, help="Build a bundle's compiled plans ahead of a sweep, list or verify them."
)


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

    with said(UNUSABLE):
        settings = overridden_settings(config, device, None, None).detect
        canvases = sizes("--buckets", buckets) if buckets else ()
        build_plans(
            open_bundle(bundle), replace(settings, precision=precision or settings.precision), canvases, tell
        )


@plan_app.command("list")
def plan_list(config: ConfigFile = None) -> None:
    """List the plans that are kept, and those that were refused."""
    from mammosweep.detect.plans.manage import listed_plans, sentence_of
    from mammosweep.detect.plans.store import store_folder

    with said(UNUSABLE):
        settings = read_settings(config).detect
        plans = listed_plans(settings)
    tell(f"{len(plans)} plans in {store_folder(settings.plan_store)}")
    for plan in plans:
        tell(sentence_of(plan))


@plan_app.command("verify")
def plan_verify(bundle: PlanBundle = None, config: ConfigFile = None) -> None:
    """Check that every plan is as it was built; run the bundle's own again and compare them with PyTorch."""
    from mammosweep.bundle import open_bundle
    from mammosweep.detect.plans.manage import verify_plans

    with said(UNUSABLE):
        is_sound = True
        for verdict in verify_plans(read_settings(config).detect, open_bundle(bundle)):
            tell(f"{verdict.plan.name}: {verdict.sentence}")
            is_sound = is_sound and verdict.is_sound
        if not is_sound:
            raise ConfigError("not every plan is sound; build those again, or remove their folders")
