"""Which view it is: SOP class, side, projection and millimetres, never guessed from pixels.

Each `read_` function gives the value or raises the HeaderError that says why there is none. What the
manifest gives overrides the header.
"""

from __future__ import annotations

import math

from mammosweep.archive.attributes import Attributes, floats, items, named, shown, text, words
from mammosweep.archive.case import HeaderCase
from mammosweep.archive.identity import syntax_name
from mammosweep.archive.sop_classes import FOR_PROCESSING_CLASSES, MAMMOGRAPHY_CLASSES, VOUCHABLE_CLASSES
from mammosweep.archive.vendors import profile_of, side_and_view
from mammosweep.config import ArchiveConfig
from mammosweep.errors import HeaderError, Reason
from mammosweep.records import Laterality, Position

__all__ = [
    "check_policy",
    "check_sop_class",
    "check_spacing",
    "is_for_processing",
    "is_vendor_unknown",
    "read_laterality",
    "read_spacing",
    "read_view",
]

# CID 4014, View for Mammography: SNOMED CT, and the SNOMED RT codes that came before.
VIEW_CODES = {
    "399162004": Position.CC,
    "R-10242": Position.CC,
    "399368009": Position.MLO,
    "R-10226": Position.MLO,
}
CODING_SCHEMES = frozenset({"SCT", "SRT", "SNM3", "99SDM"})
OTHER_CODES = {
    "399260004": "ML",
    "R-10224": "ML",
    "399352003": "LM",
    "R-10228": "LM",
    "399099002": "LMO",
    "R-10230": "LMO",
    "399265009": "XCCL",
    "Y-X1770": "XCCL",
    "399192008": "XCCM",
    "Y-X1771": "XCCM",
    "399196006": "FB",
    "R-10244": "FB",
    "399188001": "SIO",
    "R-102D0": "SIO",
}
# View Position (0018,5101) as vendors write it, besides CC and MLO: words that may be repeated in a message.
OTHER_VIEWS = frozenset(
    {
        *OTHER_CODES.values(),
        "XCC",
        "ISO",
        "CV",
        "CVRL",
        "AT",
        "TAN",
        "RL",
        "RM",
        "RCC",
        "LCC",
        "LLO",
        "SPECIMEN",
    }
)
SIDES = frozenset({"L", "R", "B"})
POSITIONS = frozenset(map(str, Position))
TEST_OBJECT_WORDS = ("FLATFIELD", "FLAT FIELD", "FLAT_FIELD", "PHANTOM", "QUALITY")


def check_sop_class(case: HeaderCase) -> None:
    """A digital mammogram; other radiographs only where the manifest says which view they are."""
    found = text(case.header, "SOPClassUID")
    if found in MAMMOGRAPHY_CLASSES or (found in VOUCHABLE_CLASSES and case.is_vouched_for):
        return
    help_out = "; name its laterality and view in a manifest" if found in VOUCHABLE_CLASSES else ""
    raise HeaderError(
        Reason.SOP_CLASS,
        f"{named('SOPClassUID')} is {syntax_name(found)}; expected Digital Mammography X-Ray Image{help_out}",
    )


def is_for_processing(case: HeaderCase) -> bool:
    """Whether the pixels are the detector's, not meant to be looked at."""
    intent = text(case.header, "PresentationIntentType")
    return intent == "FOR PROCESSING" or text(case.header, "SOPClassUID") in FOR_PROCESSING_CLASSES


def check_policy(case: HeaderCase) -> None:
    """An image of a woman's breast, not of a test object."""
    position = text(case.header, "ViewPosition").upper()
    body_part = text(case.header, "BodyPartExamined").upper()
    if text(case.header, "QualityControlImage") == "YES":
        raise _test_object(named("QualityControlImage"))
    if position == "QC" or any(word in position for word in TEST_OBJECT_WORDS):
        raise _test_object(named("ViewPosition"))
    if body_part == "PHANTOM":
        raise _test_object(named("BodyPartExamined"))
    if text(case.header, "PatientSex") == "M":
        raise HeaderError(
            Reason.NON_SCREENING, f"{named('PatientSex')} is 'M'; screening models are not fitted on men"
        )


def _test_object(where: str) -> HeaderError:
    return HeaderError(
        Reason.QUALITY_CONTROL, f"{where} says that this is a quality control image, not a patient"
    )


def read_laterality(case: HeaderCase) -> Laterality:
    """The manifest's; else Image Laterality, Laterality and Frame Laterality, which must agree."""
    if case.row.laterality is not None:
        return case.row.laterality
    found = _sides(case.header)
    values = set(found.values())
    if "B" in values:
        raise HeaderError(
            Reason.BOTH_BREASTS, f"{named(next(iter(found)))} is 'B', both breasts; expected 'L' or 'R'"
        )
    if values == {"L", "R"}:
        raise HeaderError(
            Reason.LATERALITY_CONFLICT,
            ", but ".join(f"{named(keyword)} is {side!r}" for keyword, side in found.items())
            + "; say which is right in a manifest",
        )
    if values not in ({"L"}, {"R"}):
        where = f"{named('ImageLaterality')} and {named('Laterality')}"
        raise HeaderError(Reason.LATERALITY_MISSING, f"{where} do not say 'L' or 'R'; give it in a manifest")
    return Laterality(values.pop())


def _sides(dataset: Attributes) -> dict[str, str]:
    """Attribute to side, in order of precedence; 'U' (unpaired) and undefined words say nothing."""
    sides = {keyword: text(dataset, keyword) for keyword in ("ImageLaterality", "Laterality")}
    for group in items(dataset, "SharedFunctionalGroupsSequence"):
        for anatomy in items(group, "FrameAnatomySequence"):
            sides["FrameLaterality"] = text(anatomy, "FrameLaterality")
    return {keyword: side for keyword, side in sides.items() if side in SIDES}


def read_view(case: HeaderCase) -> Position:
    """The manifest's; else the View Code Sequence without modifiers; else View Position; the vendor's."""
    if case.row.view is not None:
        return case.row.view
    coded = items(case.header, "ViewCodeSequence")[:1]
    for item in coded:
        _check_modifiers(item)
    code = text(coded[0], "CodeValue") if coded else ""
    if code:
        return _coded_view(code, text(coded[0], "CodingSchemeDesignator"))
    position = text(case.header, "ViewPosition").upper()
    if not position:
        return _vendors_view(case)
    if position not in POSITIONS:
        raise HeaderError(
            Reason.VIEW_UNSUPPORTED,
            f"{named('ViewPosition')} is {shown(position, OTHER_VIEWS)}; expected 'CC' or 'MLO'",
        )
    return Position(position)


def _vendors_view(case: HeaderCase) -> Position:
    """As the machine's own attribute says, provided that it is of the same breast."""
    found = side_and_view(case.header)
    if found is None:
        raise HeaderError(
            Reason.VIEW_MISSING,
            f"{named('ViewCodeSequence')} and {named('ViewPosition')} are empty; give the view in a manifest",
        )
    side, position = found
    if side is not read_laterality(case):
        raise HeaderError(
            Reason.LATERALITY_CONFLICT,
            f"the machine's own attribute says {side}{position}, of the other breast than "
            f"{named('ImageLaterality')}; say which is right in a manifest",
        )
    return position


def is_vendor_unknown(case: HeaderCase) -> bool:
    """Whether the standard alone says what the image is: no profile of its machine, and no manifest."""
    return case.file.pixels is not None and not case.is_vouched_for and profile_of(case.header) is None


def _check_modifiers(item: Attributes) -> None:
    num = len(items(item, "ViewModifierCodeSequence"))
    if num:
        raise HeaderError(
            Reason.EXTRA_VIEW,
            f"{named('ViewModifierCodeSequence')} has {num} items: an extra view, such as spot or magnified; "
            "expected a plain CC or MLO",
        )


def _coded_view(code: str, scheme: str) -> Position:
    if scheme in CODING_SCHEMES and code in VIEW_CODES:
        return VIEW_CODES[code]
    known = OTHER_CODES.get(code, "none that is known")
    raise HeaderError(
        Reason.VIEW_UNSUPPORTED, f"{named('ViewCodeSequence')} names the view {known}; expected CC or MLO"
    )


def read_spacing(case: HeaderCase) -> tuple[float, float]:
    """(row, column) millimetres in the object plane.

    The manifest's; else Imager Pixel Spacing divided by the magnification factor (PS3.3 C.8.7.4); else Pixel
    Spacing, where its calibration type declares it corrected (PS3.3 10.7.1.3).
    """
    if case.row.spacing_mm is not None:
        return case.row.spacing_mm
    keyword, factor = "ImagerPixelSpacing", _magnification(case.header)
    if not words(case.header, keyword):
        keyword, factor = "PixelSpacing", 1.0
        if not words(case.header, keyword) or not text(case.header, "PixelSpacingCalibrationType"):
            raise HeaderError(
                Reason.SPACING_MISSING,
                f"{named('ImagerPixelSpacing')} is missing, and no calibrated {named('PixelSpacing')} stands "
                "in for it; give spacing_mm in a manifest",
            )
    values = _numbers(case.header, keyword)
    if len(values) != 2 or not all(math.isfinite(v) and v > 0 for v in values):
        raise HeaderError(
            Reason.SPACING_IMPLAUSIBLE, f"{named(keyword)} is not two positive numbers of millimetres"
        )
    return values[0] / factor, values[1] / factor


def _magnification(dataset: Attributes) -> float:
    keyword = "EstimatedRadiographicMagnificationFactor"
    values = _numbers(dataset, keyword) or [1.0]
    if len(values) > 1 or not math.isfinite(values[0]) or values[0] <= 0:
        raise HeaderError(Reason.SPACING_IMPLAUSIBLE, f"{named(keyword)} is no positive number")
    return values[0]


def _numbers(dataset: Attributes, keyword: str) -> list[float]:
    try:
        return floats(dataset, keyword)
    except HeaderError as error:
        raise HeaderError(Reason.SPACING_IMPLAUSIBLE, str(error)) from None


def check_spacing(spacing_mm: tuple[float, float], config: ArchiveConfig) -> None:
    """The spacing can be a mammogram's.

    Raises:
        HeaderError: SPACING_IMPLAUSIBLE.
    """
    if all(config.min_spacing_mm <= value <= config.max_spacing_mm for value in spacing_mm):
        return
    raise HeaderError(
        Reason.SPACING_IMPLAUSIBLE,
        f"a pixel is {spacing_mm[0]:.4g} x {spacing_mm[1]:.4g} mm; expected {config.min_spacing_mm:g} to "
        f"{config.max_spacing_mm:g} (archive.min_spacing_mm, max_spacing_mm); give spacing_mm in a manifest",
    )
