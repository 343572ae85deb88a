"""``mammosweep nightly``: the morning's worklist."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from mammosweep.cli.options import (
    DEFAULTS,
    ConfigFile,
    LogOption,
    Manifest,
    MetricsOption,
    Source,
    UntilOption,
    overridden_settings,
)
from mammosweep.cli.saying import FAILED, UNUSABLE, said, tell
from mammosweep.config import Device
from mammosweep.run.stop import Stop, SweepStopped, on_sigterm
from mammosweep.run.terms import Terms
from mammosweep.run.watching import watching

if TYPE_CHECKING:
    from mammosweep.run.nightly import NightSummary

__all__ = ["nightly"]


def nightly(
    source: Source,
    state: Annotated[
        Path, typer.Option(help="Where the sweep and the arrivals are kept from night to night.")
    ],
    out: Annotated[
        Path, typer.Option(help="What the unit reads: OUT/current/worklist.html, .csv and .json.")
    ],
    days: Annotated[
        int,
        typer.Option(
            help="List what arrived or was revised within so many days, and since the last published night."
        ),
    ] = 1,
    read: Annotated[
        Path | None,
        typer.Option(
            help="CSV with a column exam_id, perhaps revision: exams that were read and are left out, until "
            "a late image makes a new revision."
        ),
    ] = None,
    keep: Annotated[int, typer.Option(help="Nights that stay in OUT/nights.")] = 14,
    manifest: Manifest = None,
    bundle: Annotated[
        Path | None, typer.Option(help="The model's folder; the shipped one by default.")
    ] = None,
    device: Annotated[
        Device | None, typer.Option(help="Where the networks run.", show_default=str(DEFAULTS.detect.device))
    ] = None,
    chunk_exams: Annotated[
        int | None,
        typer.Option(
            help="Exams processed and committed together.", show_default=str(DEFAULTS.run.chunk_exams)
        ),
    ] = None,
    config: ConfigFile = None,
    until: UntilOption = None,
    log: LogOption = None,
    metrics: MetricsOption = None,
) -> None:
    """Sweep what is new in SOURCE and publish the worklist for the morning.

    On it: exams that arrived or were revised since the last night, unassessed ones first with the reason,
    then by falling score, each with its patient's earlier scores. Left out, and counted: exams read, earlier
    exams of a patient with a later round, exams gone from the source. It replaces the last worklist at once
    or not at all. Exit codes: 0 published; 1 failed after work began; 2 settings, bundle, source or a folder
    unusable, or another night under way. With 1 and 2 the last worklist stays; so it does where the night
    was stopped (SIGTERM, --until), which exits with 0: the next night goes on from there.
    """
    from mammosweep.run.nightly import NightSettings, prepare_night
    from mammosweep.run.progress import silent
    from mammosweep.run.progress import watch as bar

    with said(UNUSABLE):
        settings = NightSettings(state=state, out=out, days=days, read=read, keep=keep)
        sweep_settings = overridden_settings(config, device, None, chunk_exams)
        stop = Stop.at(until)
    try:
        with (
            on_sigterm(stop),
            said(UNUSABLE),
            watching(log, metrics) as watch,
            said(UNUSABLE, watch.ended),
            nullcontext(silent) if log else bar(Console(stderr=True)) as progress,
            prepare_night(
                source,
                settings,
                manifest=manifest,
                bundle=bundle,
                config=sweep_settings,
                progress=progress,
                terms=Terms(stop=stop, tell=watch.tell),
            ) as night,
        ):
            with said(FAILED, watch.ended):
                night.sweep()
            night.check_source()
            with said(FAILED, watch.ended):
                summary = night.publish()
    except SweepStopped as stopped:
        tell(f"{stopped}; nothing was published, the last worklist stays")
        return
    _tell(summary)


def _tell(summary: NightSummary) -> None:
    from mammosweep.run.summary import count_table

    fates = summary.fates
    Console().print(count_table(summary.counts))
    tell(
        f"night {summary.night}: {sum(fates.values())} exams new or revised = {summary.listed} to be read "
        f"+ {fates['prior']} earlier + {fates['read']} read + {fates['gone']} gone"
    )
    tell(f"to be read: {summary.unassessed} unassessed, {summary.revised} revised")
    if summary.left:
        tell(
            f"{summary.left} exams left the source: if nobody removed them, see whether its storage is there"
        )
    tell(f"open {summary.page}")
