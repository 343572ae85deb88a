"""From an exam's findings to its lesions and scores. Runs on the CPU, after detection.

Read `assess.py` first, then `model.py` (the seam), `match.py`, `classify.py`, `score.py`; `booster.py` is
the XGBoost behind the seam.
"""

from mammosweep.exam.assess import Assessment, ExamModels, assess
from mammosweep.exam.score import Aggregation, CategoryThresholds

__all__ = ["Aggregation", "Assessment", "CategoryThresholds", "ExamModels", "assess"]
