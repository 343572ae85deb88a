"""Which kinds of objects are read as mammograms (PS3.6 table A-1)."""

from __future__ import annotations

__all__ = [
    "FOR_PROCESSING_CLASSES",
    "IMAGE_CLASSES",
    "MAMMOGRAPHY_CLASSES",
    "TOMOSYNTHESIS_CLASSES",
    "VOUCHABLE_CLASSES",
]

MAMMOGRAPHY_FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.2"
MAMMOGRAPHY_FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.2.1"
X_RAY_FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.1"
X_RAY_FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.1.1"

MAMMOGRAPHY_CLASSES = frozenset({MAMMOGRAPHY_FOR_PRESENTATION, MAMMOGRAPHY_FOR_PROCESSING})
FOR_PROCESSING_CLASSES = frozenset({MAMMOGRAPHY_FOR_PROCESSING, X_RAY_FOR_PROCESSING})
TOMOSYNTHESIS_CLASSES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.13.1.3",  # Breast Tomosynthesis Image
        "1.2.840.10008.5.1.4.1.1.13.1.4",  # Breast Projection X-Ray Image - For Presentation
        "1.2.840.10008.5.1.4.1.1.13.1.5",  # Breast Projection X-Ray Image - For Processing
    }
)
VOUCHABLE_CLASSES = frozenset(
    {
        *(X_RAY_FOR_PRESENTATION, X_RAY_FOR_PROCESSING),
        "1.2.840.10008.5.1.4.1.1.1",  # Computed Radiography Image
        "1.2.840.10008.5.1.4.1.1.7",  # Secondary Capture Image
        "1.2.840.10008.5.1.4.1.1.7.2",  # Multi-frame Grayscale Byte Secondary Capture Image
        "1.2.840.10008.5.1.4.1.1.7.3",  # Multi-frame Grayscale Word Secondary Capture Image
    }
)
"""May hold mammograms, and anything else: read as views only where a manifest says so."""

IMAGE_CLASSES = MAMMOGRAPHY_CLASSES | TOMOSYNTHESIS_CLASSES | VOUCHABLE_CLASSES
