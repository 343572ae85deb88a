"""``python -m mammosweep.fit --work RUNS --out BUNDLE``: fit the phantom bundle."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

from mammosweep.fit.recipe import Recipe, fit_phantom_bundle


def main() -> None:
    """Fit with the recipe's defaults; fewer steps and exams for a trial."""
    parser = argparse.ArgumentParser(prog="python -m mammosweep.fit", description=__doc__)
    parser.add_argument(
        "--work", type=Path, required=True, help="phantoms and checkpoints; a fit goes on from here"
    )
    parser.add_argument("--out", type=Path, required=True, help="the bundle's folder")
    parser.add_argument("--steps", type=int, default=Recipe().detector.steps, help="detector steps")
    parser.add_argument("--exams", type=int, default=Recipe().num_fit, help="phantom exams to fit on")
    given = parser.parse_args()
    recipe = replace(Recipe(), num_fit=given.exams, detector=replace(Recipe().detector, steps=given.steps))
    start = time.monotonic()
    given.work.mkdir(parents=True, exist_ok=True)
    figures = fit_phantom_bundle(
        recipe,
        given.work,
        given.out,
        lambda text: print(f"[{time.monotonic() - start:7.1f} s] {text}", flush=True),
    )
    print((given.out / "MODEL_CARD.md").read_text(encoding="utf-8") if figures else "")


if __name__ == "__main__":
    main()
