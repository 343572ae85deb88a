"""Which kinds of objects are read as mammograms (PS3.6 table A-1)."""

from __future__ import annotations

from pydicom import uid
from pydicom.uid import UID

__all__ = [
    "FOR_PROCESSING_CLASSES",
    "IMAGE_CLASSES",
    "MAMMOGRAPHY_CLASSES",
    "TOMOSYNTHESIS_CLASSES",
    "VOUCHABLE_CLASSES",
]

MAMMOGRAPHY_CLASSES: frozenset[UID] = frozenset(
    {
        uid.DigitalMammographyXRayImageStorageForPresentation,
        uid.DigitalMammographyXRayImageStorageForProcessing,
    }
)
FOR_PROCESSING_CLASSES: frozenset[UID] = frozenset(
    {uid.DigitalMammographyXRayImageStorageForProcessing, uid.DigitalXRayImageStorageForProcessing}
)
TOMOSYNTHESIS_CLASSES: frozenset[UID] = frozenset(
    {
        uid.BreastTomosynthesisImageStorage,
        uid.BreastProjectionXRayImageStorageForPresentation,
        uid.BreastProjectionXRayImageStorageForProcessing,
    }
)
VOUCHABLE_CLASSES: frozenset[UID] = frozenset(
    {
        *(uid.SecondaryCaptureImageStorage, uid.MultiFrameGrayscaleByteSecondaryCaptureImageStorage),
        uid.MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
        *(uid.ComputedRadiographyImageStorage, uid.DigitalXRayImageStorageForPresentation),
        uid.DigitalXRayImageStorageForProcessing,
    }
)
"""May hold mammograms, and anything else: read as views only where a manifest says so."""

IMAGE_CLASSES: frozenset[UID] = MAMMOGRAPHY_CLASSES | TOMOSYNTHESIS_CLASSES | VOUCHABLE_CLASSES
