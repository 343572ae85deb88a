"""Machines whose headers are known, and what is made of an unknown one."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from mammosweep.archive import index
from mammosweep.archive.manifest import ManifestRow
from mammosweep.archive.parse import quiet
from mammosweep.archive.vendors import PROFILES, profile_of, side_and_view
from mammosweep.config import ArchiveConfig
from mammosweep.errors import Flag, Reason
from mammosweep.records import ImageStatus, Laterality, Position

SHARED = Path(os.environ.get("MAMMOSWEEP_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
GE = {"Manufacturer": "GE MEDICAL SYSTEMS", "ManufacturerModelName": "Senographe Essential VERSION ADS_54.10"}

# As they stand in toolkit headers and in the metadata of EMBED, VinDr-Mammo and OPTIMAM.
SEEN = [
    ("GE MEDICAL SYSTEMS", "Senograph DS ADS_43.10.1", "GE Senographe"),
    ("GE MEDICAL SYSTEMS", "Senograph 2000D ADS_17.4.5", "GE Senographe"),
    ("GE HEALTHCARE", "Senographe Pristina", "GE Senographe"),
    ("HOLOGIC, Inc.", "Selenia Dimensions", "Hologic Selenia"),
    ("HOLOGIC, Inc.", "Lorad Selenia", "Hologic Selenia"),
    ("Lorad, A Hologic Company", "Lorad Selenia", "Hologic Selenia"),
    ("SIEMENS", "Mammomat Inspiration", "Siemens Mammomat"),
    ("FUJIFILM Corporation", "FDR-3000AWS", "Fujifilm"),
    ("FUJIFILM Corporation", "Clearview CSm", "Fujifilm"),
    ("Sectra Imtec AB", "L30", "Philips MicroDose"),
    ("Philips Digital Mammography Sweden AB", "", "Philips MicroDose"),
    ("Philips Medical Systems", "MammoDiagnost DR", "Philips MammoDiagnost"),
    ("IMS Giotto S.p.A.", "Giotto Image 3DL", "IMS Giotto"),
    ("IMS s.r.l.", "Giotto Class", "IMS Giotto"),
    ("Planmed", "Planmed Nuance", "Planmed"),
    ("Agfa", "CR 85", "Agfa CR"),
    ("Carestream Health", "DirectView CR 975", "Carestream CR"),
    ("mammosweep", "phantom", "phantom"),
]


def named(maker, model):
    dataset = Dataset()
    dataset.Manufacturer, dataset.ManufacturerModelName = maker, model
    return dataset


@pytest.mark.parametrize(("maker", "model", "name"), SEEN, ids=lambda value: value or "no model")
def test_machines_that_were_seen_have_their_profile(maker, model, name):
    profile = profile_of(named(maker, model))

    assert profile is not None
    assert profile.name == name


@pytest.mark.parametrize(
    ("maker", "model"),
    [
        ("", ""),
        ("SIEMENS", "SOMATOM Confidence"),
        ("Philips", "Ingenia"),
        ("GE MEDICAL SYSTEMS", "SIGNA HDx"),
    ],
    ids=str,
)
def test_other_machines_have_none(maker, model):
    assert profile_of(named(maker, model)) is None


def test_every_profile_has_a_name_of_its_own_and_patterns_that_compile():
    assert len({profile.name for profile in PROFILES}) == len(PROFILES)
    assert all(re.compile(profile.manufacturer) and re.compile(profile.model) for profile in PROFILES)


def with_clinical_view(films, value, creator="GEMS_SENO_02", **changes):
    dataset = films.mammogram(**(GE | {"ViewPosition": ""} | changes))
    dataset.add_new(0x00450010, "LO", creator)
    dataset.add_new(0x0045101B, "CS", value)
    return dataset


@pytest.mark.parametrize("implicit", [False, True], ids=["explicit", "implicit"])
@pytest.mark.parametrize(("value", "view"), [("LCC", Position.CC), ("LMLO", Position.MLO)])
def test_where_the_standards_attributes_are_empty_ges_own_says_the_view(
    films, tmp_path, value, view, implicit
):
    dataset = with_clinical_view(films, value)
    if implicit:
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian

    record = films.read(films.save(dataset, tmp_path / "view.dcm"))

    assert (record.status, record.view_position, record.flags) == (ImageStatus.USED, view, ()), record.message


def test_the_standards_attribute_goes_before_ges_own(films, tmp_path):
    dataset = with_clinical_view(films, "LCC", ViewPosition="MLO")

    assert films.read(films.save(dataset, tmp_path / "view.dcm")).view_position is Position.MLO


@pytest.mark.parametrize(
    ("value", "changes", "reason"),
    [
        ("RCC", {}, Reason.LATERALITY_CONFLICT),
        ("LXCCL", {}, Reason.VIEW_MISSING),
        ("", {}, Reason.VIEW_MISSING),
        ("LCC", {"creator": "ELSCINT1"}, Reason.VIEW_MISSING),
        ("LCC", {"Manufacturer": "SIEMENS", "ManufacturerModelName": "Mammomat"}, Reason.VIEW_MISSING),
    ],
    ids=["the other breast", "another view", "empty", "another's element", "another machine"],
)
def test_what_ges_own_attribute_does_not_say_is_not_guessed(films, tmp_path, value, changes, reason):
    record = films.read(films.save(with_clinical_view(films, value, **changes), tmp_path / "view.dcm"))

    assert (record.status, record.reason) == (ImageStatus.SET_ASIDE, reason), record.message


def test_an_unknown_machine_is_flagged(films, tmp_path):
    path = films.save(films.mammogram(Manufacturer="Aperture Science"), tmp_path / "view.dcm")

    record = films.read(path)

    assert (record.status, record.flags) == (ImageStatus.USED, (Flag.VENDOR_UNKNOWN,))


def test_an_unknown_machine_that_a_manifest_vouches_for_is_not(films, tmp_path):
    path = films.save(films.mammogram(Manufacturer=""), tmp_path / "view.dcm")
    row = ManifestRow(path="view.dcm", laterality=Laterality.LEFT, view=Position.CC)

    assert films.read(path, row).flags == (Flag.FROM_MANIFEST,)


@pytest.mark.skipif(not (SHARED / "dicom_mg").is_dir(), reason="the shared toolkit files are not here")
def test_the_toolkits_machines_are_known_and_its_test_pattern_is_not():
    catalog = index(SHARED / "dicom_mg", config=ArchiveConfig(workers=1))

    unknown = {image.path for image in catalog.images() if Flag.VENDOR_UNKNOWN in image.flags}
    assert unknown == {"MG_Explicit_Little.dcm"}


@pytest.mark.skipif(not (SHARED / "dicom_mg").is_dir(), reason="the shared toolkit files are not here")
@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("GH133.dcm", (Laterality.RIGHT, Position.MLO)),
        ("MG-Im-GE_Seno_1_ForPresentation.dcm", (Laterality.LEFT, Position.CC)),
    ],
)
def test_ges_own_attribute_says_what_the_standards_say(file, expected):
    with quiet():
        dataset = pydicom.dcmread(SHARED / "dicom_mg" / file, stop_before_pixels=True)

    assert side_and_view(dataset) == expected
