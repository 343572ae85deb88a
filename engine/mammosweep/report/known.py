"""An exam as the nights know it: when it came, how often it changed, and its latest score."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

__all__ = ["KnownExam"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownExam:
    """What is kept of an exam from night to night, after its files left the source too."""

    exam_id: str
    revision: int  # 1 upwards
    arrived_at: datetime | None  # when the night that first found it began; None: before the first night
    revised_at: datetime | None  # likewise, its latest revision
    patient_key: str | None
    study_date: date | None
    status: str
    score: float | None
    category: str | None
    bundle: str | None  # that the score is of: those of two bundles do not compare
    present: bool  # its files are still in the source
