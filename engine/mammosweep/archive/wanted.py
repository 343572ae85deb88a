"""The attributes that are kept of a header, besides vendors' own: everything else is stepped over.

Tags and value representations are written down here (PS3.6), so that a process that reads plain headers need
not load a dictionary of all of DICOM.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["ITEM_ATTRIBUTES", "WANTED", "Attribute"]


class Attribute(NamedTuple):
    """Where an attribute stands and how it is written."""

    tag: int  # group << 16 | element
    vr: str


def _attributes(lines: str) -> dict[str, Attribute]:
    """Keyword, tag and VR of each line."""
    rows = [line.split() for line in lines.strip().splitlines()]
    return {keyword: Attribute(int(tag, 16), vr) for keyword, tag, vr in rows}


WANTED: Mapping[str, Attribute] = _attributes("""
    SpecificCharacterSet 00080005 CS
    ImageType 00080008 CS
    SOPClassUID 00080016 UI
    SOPInstanceUID 00080018 UI
    StudyDate 00080020 DA
    PresentationIntentType 00080068 CS
    Manufacturer 00080070 LO
    ManufacturerModelName 00081090 LO
    PatientID 00100020 LO
    PatientSex 00100040 CS
    BodyPartExamined 00180015 CS
    EstimatedRadiographicMagnificationFactor 00181114 DS
    ImagerPixelSpacing 00181164 DS
    ViewPosition 00185101 CS
    StudyInstanceUID 0020000D UI
    PatientOrientation 00200020 CS
    Laterality 00200060 CS
    ImageLaterality 00200062 CS
    SamplesPerPixel 00280002 US
    PhotometricInterpretation 00280004 CS
    NumberOfFrames 00280008 IS
    Rows 00280010 US
    Columns 00280011 US
    PixelSpacing 00280030 DS
    BitsAllocated 00280100 US
    BitsStored 00280101 US
    HighBit 00280102 US
    PixelRepresentation 00280103 US
    PixelPaddingValue 00280120 USorSS
    PixelPaddingRangeLimit 00280121 USorSS
    QualityControlImage 00280300 CS
    BurnedInAnnotation 00280301 CS
    PixelSpacingCalibrationType 00280A02 CS
    WindowCenter 00281050 DS
    WindowWidth 00281051 DS
    RescaleIntercept 00281052 DS
    RescaleSlope 00281053 DS
    VOILUTFunction 00281056 CS
    LossyImageCompression 00282110 CS
    ModalityLUTSequence 00283000 SQ
    VOILUTSequence 00283010 SQ
    ViewCodeSequence 00540220 SQ
    PresentationLUTShape 20500020 CS
    SharedFunctionalGroupsSequence 52009229 SQ
""")
"""Of the outermost level, by keyword."""

ITEM_ATTRIBUTES: Mapping[str, Attribute] = _attributes("""
    CodeValue 00080100 SH
    CodingSchemeDesignator 00080102 SH
    ViewModifierCodeSequence 00540222 SQ
""")
"""Of the items of code sequences."""
