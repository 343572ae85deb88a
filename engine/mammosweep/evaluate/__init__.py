"""From results and truth to figures: free-response and ordinary receiver operating characteristics."""

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
