"""The model card: what a bundle was fitted on, what it reached, what it is not for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mammosweep.fit.outcome import Figures

if TYPE_CHECKING:
    from mammosweep.fit.recipe import Recipe

__all__ = ["model_card"]


def model_card(recipe: Recipe, figures: Figures) -> str:
    """The card as Markdown, with the figures on held-out phantoms."""
    rates = [point.false_positives_per_image for point in figures.overall.points]
    curves = {"all types": figures.overall, **figures.by_type}
    rows = [
        f"| {name} | {curve.num_lesions} | "
        + " | ".join(f"{p.sensitivity:.3f} ({p.low:.3f}-{p.high:.3f})" for p in curve.points)
        + " |"
        for name, curve in curves.items()
    ]
    spec = recipe.spec
    return f"""# {recipe.name} {recipe.version}

**Intended use: research, and trying mammosweep out.** Fitted on synthetic phantoms only. It has never seen
a patient's image: what it finds in real mammograms, and how it scores them, means nothing. Not a medical
device.

* Detector: four-view Faster R-CNN, trunk `{spec.trunk}` from random weights, pyramid of {spec.channels}
  channels, {recipe.grid_mm} mm grid.
* Fitted on: {recipe.num_fit} phantom exams (detector, quadrant, depth) and {recipe.num_judge} more (quadrant,
  depth, character, matching, decision), made by `mammosweep phantom`, seeds {recipe.seed} and
  {recipe.seed + 1}; {recipe.detector.steps} steps of {recipe.detector.exams_per_step} exams.
* Validation views, to check and calibrate compiled plans on: two more phantom exams, unknown to the fit and
  the figures (those on the smallest canvases of {recipe.num_validation} with lesions, seed
  {recipe.seed + 3}).
* Made by: `make bundle` (`python -m mammosweep.fit`).

## Figures

On {figures.num_exams} held-out phantom exams ({figures.num_views} views, seed {recipe.seed + 2}, drawn at
{recipe.held_out_phantom.spacing_mm} mm), all four flips. Sensitivity (95 % bootstrap interval by exam; a hit
is a detection of any type whose centre lies in the lesion's box) at false positives a view:

| type | lesions | {" | ".join(f"{rate:g}" for rate in rates)} |
|---|---|{"---|" * len(rates)}
{chr(10).join(rows)}

| what | figure |
|---|---|
| CC/MLO pairs: precision | {figures.pair_precision:.3f} |
| CC/MLO pairs: recall, of lesions found in both views | {figures.pair_recall:.3f} |
| quadrant accuracy, of lesions found with their type | {figures.quadrant_accuracy:.3f} |
| mean depth error | {figures.depth_error:.3f} |
| malignancy AUC, of lesions found | {figures.malignancy_auc:.3f} |
"""
