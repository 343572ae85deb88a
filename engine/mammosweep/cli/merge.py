"""``mammosweep merge``: finished shards become one sweep's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from mammosweep.cli.saying import FAILED, UNUSABLE, said, tell

__all__ = ["merge"]


def merge(
    shards: Annotated[
        list[Path], typer.Argument(metavar="OUT1 OUT2 ...", help="The --out folders of all shards, finished.")
    ],
    out: Annotated[Path, typer.Option(help="Where the one sweep goes.")],
) -> None:
    """Merge the folders of a sweep's shards: tables, worklist, pages and run.json as of one sweep.

    All shards 1/n to n/n are needed, swept from the same source, with the same bundle and settings. The
    source must be within reach. Files are linked where the file system can, copied where not. Exit codes:
    0 merged and the counts add up; 1 failed after work began; 2 the folders do not belong together.
    """
    from mammosweep.run.merge import merging
    from mammosweep.run.summary import count_table

    with said(UNUSABLE), merging(shards, out) as ready, said(FAILED):
        summary = ready.run()
    Console().print(count_table(summary.counts))
    tell(f"results: open {out / 'index.html'}")
