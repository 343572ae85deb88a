"""Machines whose headers are known: which attributes they fill, and how theirs differ.

Everything particular to a manufacturer stands in `PROFILES`, with where it was seen. A profile holds only
what there is evidence for; a machine without one is read by the standard alone and flagged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from mammosweep.archive.attributes import Attributes, as_dataset, text
from mammosweep.records import Laterality, Position

__all__ = ["PRIVATE_TAGS", "PROFILES", "PrivateElement", "VendorProfile", "profile_of", "side_and_view"]


@dataclass(frozen=True, slots=True)
class PrivateElement:
    """An attribute that a manufacturer defined, in the first private block of its group (PS3.5 7.8.1)."""

    group: int
    number: int  # within its block
    creator: str
    name: str

    @property
    def tags(self) -> tuple[int, int]:
        """The creator's and its own."""
        return self.group << 16 | 0x10, self.group << 16 | 0x1000 | self.number

    def __str__(self) -> str:
        return f"{self.name} ({self.group:04X},10{self.number:02X})"


@dataclass(frozen=True, slots=True)
class VendorProfile:
    """One family of machines; patterns are matched from the beginning, ignoring case."""

    name: str
    manufacturer: str  # pattern of Manufacturer (0008,0070)
    model: str  # pattern of Manufacturer's Model Name (0008,1090); empty: any
    side_and_view: PrivateElement | None = None  # holds "LCC" where the standard's attributes may be empty


# Both GE images of the toolkit (Senographe Essential ADS_54.10, Senograph DS ADS_43.10.1) hold "RMLO" and
# "LCC" here; pydicom's private dictionary gives the name.
GE_CLINICAL_VIEW = PrivateElement(0x0045, 0x1B, "GEMS_SENO_02", "Clinical View")

PROFILES = (
    VendorProfile("phantom", "mammosweep$", "phantom$"),
    # Toolkit headers; EMBED's models: Senograph 2000D, Senographe Essential, Senographe Pristina.
    VendorProfile("GE Senographe", "GE (MEDICAL|HEALTHCARE)", "Senograph", GE_CLINICAL_VIEW),
    # Toolkit header: HOLOGIC, Inc., Selenia Dimensions; EMBED: Lorad, A Hologic Company, Lorad Selenia.
    VendorProfile("Hologic Selenia", "(HOLOGIC|LORAD)", "((Lorad|Hologic) )?(Selenia|3?Dimensions)"),
    # VinDr-Mammo's metadata: SIEMENS, Mammomat Inspiration; the conformance statement of MAMMOMAT Revelation.
    VendorProfile("Siemens Mammomat", "SIEMENS", "MAMMOMAT"),
    # EMBED: FUJIFILM Corporation, Clearview CSm; the conformance statement of FDR-3000AWS (AMULET Innovality)
    # and CR-IR363AWS.
    VendorProfile("Fujifilm", "FUJI", "(FDR-|AMULET|CR-IR|FCR|Clearview)"),
    # OPTIMAM's manufacturers; these two companies made nothing else.
    VendorProfile("Philips MicroDose", "(Sectra Imtec|Philips Digital Mammography)", ""),
    VendorProfile("Philips MammoDiagnost", "Philips", "MammoDiagnost"),
    # VinDr-Mammo's metadata: IMS Giotto SpA, IMS srl, Giotto Image 3DL, Giotto Class; Planmed Nuance.
    VendorProfile("IMS Giotto", r"IMS\b", "Giotto"),
    VendorProfile("Planmed", "Planmed", ""),
    # OPTIMAM's manufacturers of plate readers; which of a hospital's readers it was does not matter.
    VendorProfile("Agfa CR", "Agfa", ""),
    VendorProfile("Carestream CR", "(Carestream|Kodak)", ""),
    VendorProfile("Konica Minolta CR", "Konica", ""),
)
"""The first that fits is taken."""

PRIVATE_TAGS = frozenset(tag for p in PROFILES if p.side_and_view for tag in p.side_and_view.tags)
"""What header reading has to keep for `side_and_view`."""

SIDE_AND_VIEW = re.compile(rf"({'|'.join(Laterality)})({'|'.join(Position)})")


def profile_of(dataset: Attributes) -> VendorProfile | None:
    """The profile of the machine that made an image; None where it is not known."""
    return _profile(text(dataset, "Manufacturer"), text(dataset, "ManufacturerModelName"))


@lru_cache(maxsize=64)
def _profile(maker: str, model: str) -> VendorProfile | None:
    for profile in PROFILES:
        if _matches(profile.manufacturer, maker) and _matches(profile.model, model):
            return profile
    return None


def _matches(pattern: str, value: str) -> bool:
    return re.match(pattern, value, re.IGNORECASE) is not None


def side_and_view(dataset: Attributes) -> tuple[Laterality, Position] | None:
    """What the machine's own attribute says; None where it has none, or names another view than CC or MLO."""
    profile = profile_of(dataset)
    if profile is None or profile.side_and_view is None:
        return None
    creator, value = (_private_text(dataset, tag) for tag in profile.side_and_view.tags)
    found = SIDE_AND_VIEW.fullmatch(value.upper())
    if creator != profile.side_and_view.creator or found is None:
        return None
    return Laterality(found[1]), Position(found[2])


def _private_text(dataset: Attributes, tag: int) -> str:
    """Written in implicit VR, a private value may come as bytes."""
    element = as_dataset(dataset).get(tag)
    value = "" if element is None or element.value is None else element.value
    return (value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)).strip("\0 ")
