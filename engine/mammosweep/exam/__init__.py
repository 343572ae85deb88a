"""From an exam's findings to its lesions and scores. Runs on the CPU, after detection.

Read `assess.py` first, then `model.py` (the seam), `match.py`, `classify.py`, `score.py`; what the models see
is in `pairs.py`, `features.py` and `breast.py`; `booster.py` is the XGBoost behind the seam.
"""

from mammosweep.exam.assess import Assessment, ExamModels, assess
from mammosweep.exam.calibrate import Calibration
from mammosweep.exam.score import Aggregation, CategoryThresholds

__all__ = ["Aggregation", "Assessment", "Calibration", "CategoryThresholds", "ExamModels", "assess"]
