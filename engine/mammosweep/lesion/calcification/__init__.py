"""Characterisation of calcifications on the native crop: `features.py` measures, by `segment.py` (the single
calcifications), `cluster.py` (their 15 features) and `mass.py` (26 of the dense region); `definitions.py`
says what each feature is; `classify.py` tells malignant from benign by them.
"""

from __future__ import annotations

from mammosweep.lesion.calcification.definitions import (
    CALCIFICATION_FEATURES,
    FEATURE_NAMES,
    MASS_FEATURES,
    Feature,
)
from mammosweep.lesion.calcification.features import CalcificationMeasurement, measure, measured

__all__ = [
    "CALCIFICATION_FEATURES",
    "FEATURE_NAMES",
    "MASS_FEATURES",
    "CalcificationMeasurement",
    "Feature",
    "measure",
    "measured",
]
