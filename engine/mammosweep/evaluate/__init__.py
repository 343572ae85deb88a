"""From results and truth to figures.

START HERE: `evaluation.evaluate` takes the tables of a finished sweep and a truth table, in this order:

    truth.py         the truth table              study.py        the sweep's images beside it
    lesions.py       lesions through both views   cases.py        what has a score and a truth
    froc.py          finding lesions              roc.py          telling malignant from the rest
    calibration.py   whether probabilities hold   agreement.py    links, places, categories
    subgroups.py     for whom                     hybrid.py       with a radiologist

The statistics stand by themselves, each with its source: auc, delong, kappa, estimate (Wilson), bootstrap.
`document` writes an evaluation as JSON, `page` (with `svg`) as one self-contained page.
"""

from mammosweep.evaluate.auc import auc
from mammosweep.evaluate.froc import (
    Froc,
    FrocCurve,
    FrocPoint,
    ImageDetections,
    ImageTruth,
    froc,
)

__all__ = ["Froc", "FrocCurve", "FrocPoint", "ImageDetections", "ImageTruth", "auc", "froc"]
