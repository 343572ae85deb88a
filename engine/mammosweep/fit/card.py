"""The model card: what a bundle was fitted on, what it reached, what it is not for."""

from __future__ import annotations

from mammosweep.fit.calcification import FittedCalcification
from mammosweep.fit.exam import FittedExam
from mammosweep.fit.outcome import Figures
from mammosweep.fit.parts import Parts
from mammosweep.fit.settings import FitSettings
from mammosweep.lesion.calcification.classify import comparison_table

__all__ = ["model_card"]


def model_card(
    settings: FitSettings,
    parts: Parts,
    fitted: FittedExam,
    calcification: FittedCalcification | None,
    figures: Figures,
) -> str:
    """The card as Markdown, with the figures on validation patients."""
    bundle, spec = settings.bundle, settings.network
    return f"""# {bundle.name} {bundle.version}

**Intended use: research. Not a medical device.** {bundle.note}

* Knows: {", ".join(bundle.lesion_types)}; reports nothing else.
* Detector: {"four-view" if spec.fusion else "single-view"} Faster R-CNN, trunk `{spec.trunk}`
  from {_start(settings)}, pyramid of {spec.channels} channels, {bundle.grid_mm} mm grid.
* {_character(settings)}
* Fitted on: {bundle.fitted_on}. {len(parts.learn)} exams taught the detector
  ({settings.detector.steps} steps of {settings.detector.exams_per_step}), {_judges(settings, parts)}.
* Validated on {len(parts.validation)} exams of {len(parts.validation_patients)} patients, unknown to the fit.

{_paragraph("Data", bundle.data)}{_paragraph("Limits", bundle.limits)}## Figures

On the validation patients ({figures.num_views} views), all four flips, 95 % intervals in brackets
(bootstrap by patient; DeLong for areas). A lesion is hit by a detection of any type whose centre lies in its
box.

{_sensitivities(figures)}
| what | figure |
|---|---|
{chr(10).join(f"| {name} | {value} |" for name, value in figures.rows)}

Within the fit, on findings judged by models that had not seen their patient: lesion malignancy AUC
{fitted.decision.auc:.3f} (malignant against all other lesions and false findings); breast AUC
{", ".join(f"{kind} {value:.3f}" for kind, value in fitted.breast_auc.items())}.
{_calcifications(calcification)}"""


def _calcifications(fitted: FittedCalcification | None) -> str:
    if fitted is None:
        return ""
    return f"""
Malignant or benign by the measurements of calcifications alone (the 15 of calcifications, the 26 of their
region, all 41), five folds by patient:

{comparison_table(fitted.comparisons)}
"""


def _paragraph(title: str, text: str) -> str:
    return f"## {title}\n\n{text.strip()}\n\n" if text.strip() else ""


def _start(settings: FitSettings) -> str:
    if settings.start.startswith("package:"):
        return f"ImageNet weights (package {settings.start.removeprefix('package:')})"
    return "a detector fitted before" if settings.start else "random weights"


def _character(settings: FitSettings) -> str:
    spec = settings.character
    if not spec.crop_px:
        return "Character (malignancy and BI-RADS words) from the detector's representation of a finding."
    return (
        "Character (malignancy and BI-RADS words) from the detector's representation and a crop of "
        f"{spec.crop_mm:g} mm at {spec.crop_mm / spec.crop_px:.2g} mm, by "
        f"{spec.trunk or 'a small trunk of our own'}."
    )


def _judges(settings: FitSettings, parts: Parts) -> str:
    if settings.split.cross_fit:
        folds = settings.split.folds
        return f"and what judges its findings learned from {folds} detectors fitted without their patient"
    return f"{len(parts.judge)} others what judges its findings"


def _sensitivities(figures: Figures) -> str:
    rates = [point.false_positives_per_image for point in figures.overall.points]
    rows = [
        f"| {name} | {curve.num_lesions} | "
        + " | ".join(f"{p.sensitivity:.3f} ({p.low:.3f}-{p.high:.3f})" for p in curve.points)
        + " |"
        for name, curve in figures.curves.items()
    ]
    head = (
        f"| sensitivity at false positives an image | lesions | {' | '.join(f'{rate:g}' for rate in rates)} |"
    )
    return "\n".join([head, f"|---|---|{'---|' * len(rates)}", *rows, ""])
