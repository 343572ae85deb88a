"""The model card of an imported bundle: what is known of it, and what is not."""

from __future__ import annotations

from mammosweep.bundle.importing.detectron2 import DIFFERENCES
from mammosweep.bundle.importing.settings import Layout
from mammosweep.bundle.manifest import BundleManifest

__all__ = ["DETECTOR_ONLY", "import_card"]

DETECTOR_ONLY = (
    "detector only: no character or pairs of findings, places by geometry; a lesion's malignancy is its "
    "detector score, which nobody has calibrated."
)


def import_card(manifest: BundleManifest, layout: Layout, num_exams: int) -> str:
    """The card as Markdown."""
    spec = manifest.detector
    company = (
        "at its start, where it adds nothing: every view is judged as if it were alone, until it is fitted"
        if spec.fusion
        else "none: every view is judged alone"
    )
    return f"""# {manifest.name} {manifest.version}

**Intended use: research.** Imported from a checkpoint: mammosweep knows neither what it was fitted on nor
what it reaches. Not a medical device.

* Note: {manifest.note}
* Fitted on: {manifest.fitted_on}.
* Detector: Faster R-CNN, trunk `{spec.trunk}`, pyramid of {spec.channels} channels, {manifest.grid_mm} mm
  grid.
* Types, in the checkpoint's order: {", ".join(manifest.lesion_types)}.
* Four views' feature combination network: {company}.
* Categories are read off detector scores at BI-RADS's likelihoods; they give an order, not likelihoods.
* Validation views: {_views(num_exams)}

## What the checkpoint must have been fitted for

The detector sees each breast's rectangle, chest wall at the left, at {manifest.grid_mm} mm and not resized
again, with gray mapped so that 90 % of the breast's pixels lie in 0 to 1, and cut at -0.5 and 2. That gray g
enters every channel c as (g - mean[c]) / std[c], mean {_numbers(spec.input_mean)}, std
{_numbers(spec.input_std)}. A checkpoint that was fitted on images of another size, side or gray finds less,
and other things.
{_differences(layout)}"""


def _views(num: int) -> str:
    if not num:
        return "none; 8-bit plans cannot be calibrated."
    return (
        f"the pixels of {num} exams, and nothing that names them; share this bundle as you may share those."
    )


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _differences(layout: Layout) -> str:
    return f"\n{DIFFERENCES}\n" if layout is Layout.DETECTRON2 else ""
