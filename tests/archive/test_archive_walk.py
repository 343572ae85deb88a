"""A walked header says what pydicom says of it, whatever is in it; what is not usual is pydicom's to read."""

from __future__ import annotations

import io
from random import Random

import pydicom.charset
import pytest
from pydicom import uid
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filereader import ENCODED_VR
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32
from tests.fuzz.corpus import make_corpus

from mammosweep.archive import sop_classes
from mammosweep.archive.attributes import floats, integer, items, text, words
from mammosweep.archive.by_pydicom import parse_by_pydicom
from mammosweep.archive.identity import USUAL_CHARACTER_SETS
from mammosweep.archive.parse import parse, quiet
from mammosweep.archive.trailing import LONG_VRS, VRS
from mammosweep.archive.transfer_syntaxes import NATIVE_SYNTAXES, SUPPORTED_SYNTAXES
from mammosweep.archive.values import Header
from mammosweep.archive.wanted import ITEM_ATTRIBUTES, WANTED
from mammosweep.demo import demo_source
from mammosweep.errors import HeaderError

NUM_MUTANTS = 40  # of each file of the corpus

FIELDS = ("transfer_syntax", "sop_class_of_file", "pixels", "num_private", "torn", "inflated")


def outcome(work, *arguments):
    """What it gives, or which error; NaN equals itself."""
    try:
        return repr(work(*arguments))
    except HeaderError as error:
        return f"{error.reason}: {error}"


def said(attributes, wanted):
    """Every attribute in every way in which one of its VR is asked for."""
    ways = {"SQ": (items_said,), "US": (integer, floats), "IS": (integer, floats), "DS": (floats, words)}
    return {
        (keyword, way.__name__): outcome(way, attributes, keyword)
        for keyword, attribute in wanted.items()
        for way in ways.get(attribute.vr, (text, words))
    }


def items_said(attributes, keyword):
    return [said(item, ITEM_ATTRIBUTES) for item in items(attributes, keyword)]


def parsed(work, data):
    with quiet():
        try:
            file = work(io.BytesIO(data), len(data), data[:16384])
        except Exception as error:  # the same of both
            return f"{type(error).__name__}: {error}"
        fields = {name: getattr(file, name) for name in FIELDS}
        return fields | said(file.header, WANTED)


def check_alike(data):
    assert parsed(parse, data) == parsed(parse_by_pydicom, data)


def is_walked(data):
    with quiet():
        return isinstance(parse(io.BytesIO(data), len(data), data[:16384]).header, Header)


@pytest.fixture(scope="module")
def corpus():
    return make_corpus()


def written(films, dataset, tmp_path):
    return films.save(dataset, tmp_path / "view.dcm").read_bytes()


def test_usual_files_of_every_syntax_are_walked_and_read_alike(corpus):
    walked = set()
    for seed in corpus:
        check_alike(seed.file())
        walked |= {seed.syntax} if is_walked(seed.file()) else set()

    assert walked == set(SUPPORTED_SYNTAXES) - {
        uid.DeflatedExplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
    }


def test_real_headers_are_read_alike():
    paths = [path for path in demo_source().rglob("*") if path.is_file()]

    assert paths
    for path in paths:
        data = path.read_bytes()
        if data[128:132] == b"DICM":
            check_alike(data)


def test_headers_with_changed_bytes_are_read_alike(corpus):
    for seed in corpus:
        whole, end = seed.file(), len(seed.meta) + len(seed.header) + 12
        for number in range(NUM_MUTANTS):
            random = Random(f"{seed.name}/{number}")
            data = bytearray(whole)
            for _ in range(random.randint(1, 4)):
                at = random.randrange(132, end)
                data[at : at + random.randint(1, 4)] = random.randbytes(random.randint(1, 4))
            check_alike(bytes(data))


@pytest.mark.parametrize("vr", [b"OW", b"UN", b"US", b"SQ", b"O\xc2", b" B", b"\0\0", b"ZZ"], ids=repr)
def test_pixels_of_whatever_vr_are_read_alike(corpus, vr):
    for seed in corpus:
        data = bytearray(seed.file())
        at = len(seed.meta) + len(seed.header) + 4
        data[at : at + 2] = vr
        check_alike(bytes(data))


@pytest.mark.parametrize("keep", [0.01, 0.02, 0.03, 0.05, 0.1, 0.5, 0.99])
def test_files_that_end_too_soon_are_read_alike(corpus, keep):
    for seed in corpus:
        whole = seed.file()
        check_alike(whole[: 132 + int(keep * (len(whole) - 132))])


def code(**more):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "399162004", "SCT", "cranio-caudal"
    for keyword, value in more.items():
        setattr(item, keyword, value)
    return item


def delimited(dataset):
    """Every sequence and item of undefined length, as many machines write them."""
    for element in dataset:
        if element.VR == "SQ":
            element.is_undefined_length = True
            for item in element.value:
                item.is_undefined_length_sequence_item = True
                delimited(item)
    return dataset


SEQUENCES = {
    "one": [code()],
    "two": [code(), code(CodeValue="399368009")],
    "modifier": [code(ViewModifierCodeSequence=[code()])],
    "nested": [code(ConceptNameCodeSequence=[code(ConceptNameCodeSequence=[code()])])],
    "own character set": [code(SpecificCharacterSet="ISO_IR 100")],
    "not ASCII": [code(CodeValue="größe")],
    "empty item": [Dataset()],
    "none": [],
}


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian])
@pytest.mark.parametrize("change", [lambda dataset: dataset, delimited], ids=["lengths", "delimiters"])
@pytest.mark.parametrize("name", SEQUENCES)
def test_sequences_are_read_alike_however_they_are_written(films, tmp_path, name, change, syntax):
    dataset = films.mammogram(ViewCodeSequence=SEQUENCES[name], AnatomicRegionSequence=SEQUENCES[name])
    dataset.file_meta.TransferSyntaxUID = syntax

    data = written(films, change(dataset), tmp_path)

    check_alike(data)
    assert is_walked(data) is (name != "own character set" or change is not delimited)


VALUES = {
    "several": {"WindowCenter": ["1", "2"], "WindowWidth": ["3", "4e1"], "ImageType": ["A", "", "B"]},
    "empty": dict.fromkeys(("WindowCenter", "Rows", "ViewPosition", "PatientID", "NumberOfFrames"), ""),
    "padded": {"WindowCenter": " 1 ", "ViewPosition": " CC ", "PatientID": " \t1 ", "NumberOfFrames": " 1"},
    "awkward numbers": {"RescaleSlope": "nan", "RescaleIntercept": "1_0", "WindowWidth": "1e999"},
    "no whole numbers": {"NumberOfFrames": "1.5"},
    "control characters": {"PatientID": "a\x07b", "Manufacturer": "a\tb", "ViewPosition": "\t"},
    "not ASCII": {"Manufacturer": "Größe", "PatientID": "é"},
    "other characters": {"SpecificCharacterSet": "ISO 2022 IR 87", "Manufacturer": "a"},
    "no character set": {"SpecificCharacterSet": "KLINGON", "Manufacturer": "a"},
    "two numbers": {"Rows": [1, 2]},
}


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian])
@pytest.mark.parametrize("name", VALUES)
def test_awkward_values_are_read_alike(films, tmp_path, name, syntax):
    dataset = films.mammogram(**VALUES[name])
    dataset.file_meta.TransferSyntaxUID = syntax

    check_alike(written(films, dataset, tmp_path))


@pytest.mark.parametrize("said", [b"wide", b"   \\", b"4\x005 ", b"\t1\\ ", b"1,5 ", b"\xd9\xa1 1"], ids=repr)
def test_what_is_no_number_is_read_alike(films, tmp_path, said):
    whole = written(films, films.mammogram(WindowCenter="2048", NumberOfFrames="2048"), tmp_path)

    for num in (1, 2):
        check_alike(whole.replace(b"2048", said, num))


@pytest.mark.parametrize(("num_bytes", "walked"), [(20_000, True), (60_000, True), (400_000, False)])
def test_a_header_longer_than_what_is_read_first_is_read_alike(films, tmp_path, num_bytes, walked):
    dataset = films.mammogram()
    dataset.add_new(0x00091010, "OB", bytes(num_bytes))

    data = written(films, dataset, tmp_path)

    check_alike(data)
    assert is_walked(data) is walked


def test_what_is_written_down_of_the_standard_is_what_pydicom_knows():
    for keyword, attribute in {**WANTED, **ITEM_ATTRIBUTES}.items():
        assert attribute.tag == tag_for_keyword(keyword)
        assert attribute.vr == dictionary_VR(attribute.tag).replace(" ", "")
    assert {name.encode() for name in EXPLICIT_VR_LENGTH_32} == LONG_VRS
    assert {name for name in ENCODED_VR if len(name) == 2} == VRS
    assert {s for s in SUPPORTED_SYNTAXES if not uid.UID(s).is_encapsulated} == NATIVE_SYNTAXES
    assert all("Mammography" in uid.UID(name).name for name in sop_classes.MAMMOGRAPHY_CLASSES)
    assert all("Processing" in uid.UID(name).name for name in sop_classes.FOR_PROCESSING_CLASSES)
    assert all("Breast" in uid.UID(name).name for name in sop_classes.TOMOSYNTHESIS_CLASSES)
    assert all(uid.UID(name).type == "SOP Class" for name in sop_classes.IMAGE_CLASSES)
    assert USUAL_CHARACTER_SETS - {""} <= pydicom.charset.python_encoding.keys()
